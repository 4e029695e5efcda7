#!/usr/bin/env bash
# xarray 2026.9.0, zarr 3.1.6: to_zarr(append_dim="time") looks at the shapes of what is appended, not at its names and not at the width
# of its numbers. (1) Coordinates of the other dimensions are written over with those of the new part: where its channels are the
# same in another order, or others, all that was stored before changes its channel, without a word. mode="a-", which leaves them,
# gives the new part the old names instead. (2) Whole numbers that the first part's type does not hold are cut to its bits, where texts
# that do not fit are refused. xr.concat of the same parts aligns them by name and widens the type. So shards of one cohort, each with
# its columns as they came, make a store of right values under wrong names. What helps: reindex each part to the names that are
# stored, and one type for all, before it is appended. Upstream: pydata/xarray issues 8427 (closed by mode="a-") and 11101 (open when this
# was written); of the numbers no thread was found.
# Seen: heart rate 80 and pressure 120, after an append of (pressure 121, heart rate 81): heart rate 120 and 81, pressure 80 and 121;
# with mode="a-": the old part right, and heart rate 121, pressure 81 in the new one; 70,000 appended to 16-bit numbers: 4,464.
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

warnings.simplefilter("error")


def part(time: int, values: list[float], channels: list[str]) -> xr.Dataset:
    names = np.array(channels, dtype=object)
    return xr.Dataset({"value": (("time", "channel"), [values])}, coords={"time": [time], "channel": names})


def appended(name: str, first: xr.Dataset, second: xr.Dataset, **how) -> xr.Dataset:
    store = f"{sys.argv[1]}/{name}.zarr"
    first.to_zarr(store, consolidated=False)
    second.to_zarr(store, append_dim="time", consolidated=False, **how)
    return xr.open_zarr(store, consolidated=False, chunks=None).load()


first, second = part(0, [80.0, 120.0], ["rate", "pressure"]), part(1, [121.0, 81.0], ["pressure", "rate"])
together = {
    "append": appended("a", first, second),
    "append, a-": appended("b", first, second, mode="a-"),
    "concat": xr.concat([first, second], "time", join="outer"),
    "reindexed": appended("c", first, second.reindex(channel=first.channel)),
}
rates = {how: dataset.value.sel(channel="rate").values.tolist() for how, dataset in together.items()}
few, many = (xr.Dataset({"count": ("time", np.array([value], kind))}) for value, kind in ((1, "int16"), (70_000, "int64")))
counts = appended("d", few, many)["count"].values.tolist()
print("heart rates:", rates, "| counts:", counts)
assert rates["append"] == [120.0, 81.0] and rates["append, a-"] == [80.0, 121.0], "the behaviour has changed"
assert rates["concat"] == rates["reindexed"] == [80.0, 81.0]
assert counts == [1, 4464], "the behaviour has changed"
PY
