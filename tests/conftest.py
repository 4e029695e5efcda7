"""One thread in every test: results do not depend on the machine, and small models are no slower."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "support"))

from warm import WarmProcess  # noqa: E402 - of the folder that was just added


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    """What runs the command `jepa` without importing its libraries again."""
    with WarmProcess() as process:
        yield process


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the open data sets; tests that need it are skipped where JEPA_DATA does not name it."""
    folder = os.environ.get("JEPA_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("JEPA_DATA does not name a folder with the open data sets")
    return Path(folder)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
