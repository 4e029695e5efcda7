"""Where stores lie."""

from __future__ import annotations

import os
from pathlib import Path


def stores_folder(runs: Path) -> Path:
    """Folder of the stores of the runs in a folder: the environment's JEPA_STORES, or `stores` beside the runs."""
    return Path(os.environ.get("JEPA_STORES", runs / "stores"))


def store_path(folder: Path, name: str, fingerprint: str) -> Path:
    """Where the store of a source called `name` lies in `folder`."""
    return folder / f"{name}-{fingerprint[:12]}"
