#!/usr/bin/env bash
# xarray 2026.9.0, zarr 3.1.6, pandas 3.0.6: times that are appended to a Zarr store move by days or years. The first write chooses the
# coarsest unit that holds its own times, such as hours where all are whole hours; to_zarr(append_dim=...) of times between them counts
# in a finer unit, and appends those counts under the old unit. The warning says the opposite of what happens ("Serializing with
# units 'minutes since ...' instead"): the store goes on saying hours, and 150 minutes become 150 hours. Values beside them are
# right, so each reading has another time. What helps: set encoding {"time": {"units": "microseconds since 1970-01-01"}} at the first
# write. Upstream: pydata/xarray issues 5969 (closed, for there is the warning) and 10639 (open when this was written).
# Seen: 02:30 on 1 January 2020, appended to 00:00 and 01:00, is read as 06:00 on 7 January; with the encoding set as 02:30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 pandas==3.0.6 xarray==2026.9.0 zarr==3.1.6
"$folder/env/bin/python" - "$folder" <<'PY'
import sys
import warnings

import numpy as np
import xarray as xr

HOURS, BETWEEN = ["2020-01-01T00:00", "2020-01-01T01:00"], ["2020-01-01T02:30"]
FINE = {"time": {"units": "microseconds since 1970-01-01", "dtype": "int64"}}


def readings(times: list[str]) -> xr.Dataset:
    rate = ("time", np.arange(float(len(times))))
    return xr.Dataset({"rate": rate}, coords={"time": np.array(times, dtype="datetime64[us]")})


def read_back(name: str, **first_write) -> tuple[str, list[str]]:
    store = f"{sys.argv[1]}/{name}.zarr"
    readings(HOURS).to_zarr(store, consolidated=False, **first_write)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        readings(BETWEEN).to_zarr(store, append_dim="time", consolidated=False)
    last = xr.open_zarr(store, consolidated=False, chunks=None).time.values[-1]
    return str(last.astype("datetime64[m]")), [str(one.message) for one in told if "Serializing with" in str(one.message)]


(moved, told), (kept, silent) = read_back("plain"), read_back("fine", encoding=FINE)
print("appended 2020-01-01T02:30, read", moved, "| told:", told, "| with the unit set at first:", kept, silent)
assert moved == "2020-01-07T06:00" and len(told) == 1, "the behaviour has changed"
assert kept == "2020-01-01T02:30" and not silent
PY
