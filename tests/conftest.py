"""One thread in every test: results do not depend on the machine, and small models are no slower."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "support"))

from warm import WarmProcess  # noqa: E402 - of the folder that was just added

SLOW = {
    "tests": "curricula encoding_together features flagship folds hostile imagining notebook predicting processes "
    "python_runs studies time_zones wheel",
    "tests/jepa_core": "first_plugin partitions report resume scaffold sharing study study_folds study_stops timing",
    "tests/jepa_meds": "trajectories",
    "tests/jepa_mimic_iv": "before_admission derived leak source synthetic tables",
    "tests/jepa_sensors": "from_file_to_report table",
}
"""Files whose tests run commands in processes of their own, train, or build many stores: two thirds of the time."""


# Python looks for unused cycles among all that imports and tests leave behind: a tenth of the time, at its own pace.
gc.set_threshold(50_000, 20, 20)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs commands, trains or builds stores; left out by -m 'not slow'")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parents[1]
    slow = {root / folder / f"test_{name}.py" for folder, names in SLOW.items() for name in names.split()}
    assert all(path.is_file() for path in slow), "a file that SLOW names is gone"
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What is imported by now stays to the end, and is not looked through again."""
    gc.collect()
    gc.freeze()


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
