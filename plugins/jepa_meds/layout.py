"""Where the files of a MEDS data set lie. Imports no pyarrow."""

from __future__ import annotations

from pathlib import Path

from jepa_core.io.files import require_regular_files

DATASET = "metadata/dataset.json"
CODES = "metadata/codes.parquet"
SPLITS = "metadata/subject_splits.parquet"

BIRTH = "MEDS_BIRTH"
DEATH = "MEDS_DEATH"


def shards(folder: Path) -> list[Path]:
    """The files of events in the order of their names, however deep they lie below data/.

    Raises UnsafeArtefactError if something there is no regular file, such as a pipe, which may be read for ever.
    """
    require_regular_files(folder / "data")
    return sorted((folder / "data").rglob("*.parquet"), key=lambda path: path.relative_to(folder).as_posix())


def is_special(code: str, special: str) -> bool:
    """Whether a code is MEDS_BIRTH or MEDS_DEATH, which may be the beginning of a longer one."""
    return code == special or code.startswith(special + "//")


def label_files(path: Path) -> list[Path]:
    """The files of a task's labels: one file, or all below a folder. Raises UnsafeArtefactError as `shards` does."""
    require_regular_files(path)
    return [path] if path.is_file() else sorted(path.rglob("*.parquet"))
