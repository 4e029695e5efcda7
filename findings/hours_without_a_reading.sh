#!/usr/bin/env bash
# xarray 2026.9.0 with flox 0.11.2: what resample says of a time without a reading depends on whether flox is installed, which xarray takes
# by itself where it finds it (it comes with xarray[accel], and with other packages). For whole numbers, first() and last() are then some
# number where there is no reading, and the type stays whole: on x86-64 a heart rate of 0 in 8 bits, of -9223372036854775808 in 64; NumPy
# warns of an "invalid value encountered in cast", once. Without flox they are NaN. For numbers with a fraction, count() of an hour whose
# every reading is missing is NaN with flox, and 0 without. max() and mean() agree. What helps: numbers with a fraction from the
# start, or set_options(use_flox=False). Upstream: pydata/xarray issue 10169 (closed) was of times in first(); of numbers no thread was
# found.
# Seen of readings at 00:10, 00:20 and 03:10: last() of 80, 82 and 90 in 8 bits: with flox [82, 0, 0, 90], without [82, nan, nan, 90];
# count() of 80.5, 82.5 and nan: with flox [2, nan, nan, nan], without [2, nan, nan, 0].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 pandas==3.0.6 scipy==1.17.1 xarray==2026.9.0
cat > "$folder/hourly.py" <<'PY'
import sys
import warnings

import numpy as np
import xarray as xr

warnings.simplefilter("ignore")
TIMES = np.array(["2020-01-01T00:10", "2020-01-01T00:20", "2020-01-01T03:10"], dtype="datetime64[us]")


def hourly(values: list[float], kind: str):  # what resample gives, whose type has no public name
    return xr.DataArray(np.array(values, kind), dims="time", coords={"time": TIMES}).resample(time="1h")


asked = [(name, kind, getattr(hourly([80, 82, 90], kind), name)().values) for name in ("first", "last", "max") for kind in ("uint8", "int64")]
counts = hourly([80.5, 82.5, np.nan], "float64").count().values
for name, kind, values in asked:
    print(name, kind, values.tolist())
print("count", counts.tolist())
with_flox = sys.argv[1] == "with"
empty_is_nan = {(name, kind): bool(np.isnan(values[1:3]).all()) for name, kind, values in asked}
assert empty_is_nan == {(name, kind): name == "max" or not with_flox for name, kind, _ in asked}, "the behaviour has changed"
assert np.isnan(counts[3]) == with_flox and np.isnan(counts[1:3]).all(), "the behaviour has changed"
PY
echo "without flox:"
"$folder/env/bin/python" "$folder/hourly.py" without
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 flox==0.11.2
echo "with flox:"
"$folder/env/bin/python" "$folder/hourly.py" with
