#!/usr/bin/env bash
# pandas 3.0.6 -> xarray 2026.9.0 -> zarr 3.1.6: a missing text becomes the empty text. Dataset.from_dataframe of a `str` column
# keeps the missing value (an object array with nan), to_zarr writes a Zarr 3 string array, which has no missing value, and
# the reader gets '' for it: missing and empty cannot be told apart any more. No warning, no attribute that remembers it.
# Seen: ['mmHg', None, ''] -> ['mmHg', '', ''].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 pandas==3.0.6 xarray==2026.9.0 zarr==3.1.6
"$folder/env/bin/python" - "$folder/store.zarr" <<'PY'
import sys
import warnings

import pandas as pd
import xarray as xr

frame = pd.DataFrame({"unit": ["mmHg", None, ""]})
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    xr.Dataset.from_dataframe(frame).to_zarr(sys.argv[1], consolidated=False)
read = xr.open_zarr(sys.argv[1], consolidated=False, chunks=None).unit
print("missing before:", frame.unit.isna().tolist(), "| read:", read.values.tolist(), dict(read.attrs))
print("warnings that speak of missing values:", [str(one.message) for one in told if "missing" in str(one.message).lower()])
assert read.values.tolist() == ["mmHg", "", ""], "the behaviour has changed"
PY
