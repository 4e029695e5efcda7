#!/usr/bin/env bash
# xarray 2026.9.0, zarr 3.1.6: rows that are appended are on disk and readers do not see them. to_zarr writes consolidated metadata by
# default, a copy of every array's shape in the group's own file; zarr's append and resize bring the array's metadata up to date and leave
# the copy as it was, also where the array was reached through that very group. zarr.open_group and xarray.open_zarr believe the copy: the
# new rows are missing, without a word; zarr.open_array, which looks at the array itself, sees them. xarray's own append makes the copy
# anew, or with consolidated=False takes it away. What helps: zarr.consolidate_metadata after each change by zarr, or
# consolidated=False from the first write on; readers may say use_consolidated=False (zarr) or consolidated=False (xarray). Upstream: that
# the copy is for data that no longer change is an old decision (zarr-developers/zarr-python pull request 268); of a group
# that misses what was written through it no thread was found.
# Seen of 4 rows and 3 appended through the group: open_array 7, open_group 4, open_zarr 4; after consolidate_metadata 7 everywhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 pandas==3.0.6 xarray==2026.9.0 zarr==3.1.6
"$folder/env/bin/python" - "$folder/stay.zarr" <<'PY'
import sys
import warnings

import numpy as np
import xarray as xr
import zarr

warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)  # that consolidated metadata are no part of the format 3 yet
store = sys.argv[1]


def rates(first: float, rows: int) -> xr.Dataset:
    return xr.Dataset({"rate": ("hour", first + np.arange(rows))})


def seen() -> dict[str, int]:
    return {
        "open_array": zarr.open_array(f"{store}/rate", mode="r").shape[0],
        "open_group": zarr.open_group(store, mode="r")["rate"].shape[0],
        "open_zarr": xr.open_zarr(store, chunks=None).sizes["hour"],
    }


rates(80, 4).to_zarr(store)
with warnings.catch_warnings():
    warnings.simplefilter("error")
    zarr.open_group(store, mode="r+")["rate"].append(84.0 + np.arange(3))
    by_zarr = seen()
zarr.consolidate_metadata(store)
at_last = seen()
print("rows seen, 7 on disk:", by_zarr, "| after consolidate_metadata:", at_last)
assert by_zarr == {"open_array": 7, "open_group": 4, "open_zarr": 4}, "the behaviour has changed"
assert set(at_last.values()) == {7}
PY
