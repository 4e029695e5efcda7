#!/usr/bin/env bash
# xarray 2026.9.0, zarr 3.1.6, dask 2026.8.0: a sharded Zarr 3 array, opened by xarray.open_zarr and written again.
# open_zarr cuts dask chunks as large as the INNER chunks, not the shards, so several dask tasks write into one shard.
# to_zarr refuses (the message speaks of chunks of the shard's size that were never set by the reader); with
# safe_chunks=False, which the message offers, tasks read, change and write back the same shard at the same time: values are
# lost, and other ones at each try. Nothing is raised.
# Seen: dask chunks of 10 for shards of 50; of 100 values 30 to 40 come back wrong. With .chunk({"i": 50}) first, all are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 xarray==2026.9.0 zarr==3.1.6 "dask[array]==2026.8.0"
"$folder/env/bin/python" - "$folder" <<'PY'
import sys
import warnings

import numpy as np
import xarray as xr

warnings.simplefilter("ignore")
folder, values = sys.argv[1], np.arange(1, 101)
xr.Dataset({"v": ("i", values)}).to_zarr(
    f"{folder}/written.zarr", consolidated=False, encoding={"v": {"chunks": (10,), "shards": (50,)}}
)
opened = xr.open_zarr(f"{folder}/written.zarr", consolidated=False)
print("dask chunks:", opened.v.chunks[0], "shards:", opened.v.encoding["shards"])
try:
    opened.to_zarr(f"{folder}/refused.zarr", consolidated=False)
    refused = False
except ValueError as error:
    refused = True
    print("refused:", str(error)[:90], "...")


def wrong(dataset: xr.Dataset, name: str, **settings) -> int:
    dataset.to_zarr(f"{folder}/{name}.zarr", consolidated=False, **settings)
    again = xr.open_zarr(f"{folder}/{name}.zarr", consolidated=False, chunks=None)
    return int((again.v.values != values).sum())


unsafe = [wrong(opened, f"unsafe{number}", safe_chunks=False) for number in range(10)]
right = wrong(opened.chunk({"i": 50}), "by_shards")
print("wrong values of 100 with safe_chunks=False:", unsafe, "| with chunks that follow the shards:", right)
assert refused and opened.v.chunks[0][0] == 10 and max(unsafe) > 0 and right == 0, "the behaviour has changed"
PY
