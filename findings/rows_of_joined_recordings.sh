#!/usr/bin/env bash
# stable-worldmodel 0.1.1: two ways to read the same place of joined recordings give different values. (1) ConcatDataset.get_row_data(i)
# of several stores is not row i of ConcatDataset.get_col_data. It looks up in which store row i lies by their numbers of CLIPS, which
# are fewer than the rows as soon as num_steps or frameskip is above 1; so rows come from the next store and none of the last ones of
# the first is ever read. (2) MergeDataset joins columns; of a column that two stores have, items take it from the first, as the
# docstring says, and load_chunk, by which World evaluates, from the last, keys_from_dataset or not: a model trained on the cleaned
# values is tested on the raw ones. What helps: num_steps=1 for reading rows, and no column twice. Upstream: no thread was found.
# Seen, two stores of two episodes of 5 rows, num_steps=3: rows 0, 5, 6, 7 of 0, 100, 101, 102 are read as 0, 100, 1000, 1001; with
# num_steps=1 right. Merged: the item has 0, 1, 2, the chunk of the same three rows 1000, 1001, 1002.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 numpy==2.3.5 \
    h5py==3.16.0 hdf5plugin==7.1.0 imageio==2.38.1 opencv-python-headless==5.0.0.93 gymnasium==1.4.0 stable-worldmodel==0.1.1
"$folder/env/bin/python" - "$folder" 2> /dev/null <<'PY'
import sys

import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # the index has it for CUDA alone; with a CPU build of torch two operators lack their names. None is called here.
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from stable_worldmodel.data.dataset import ConcatDataset, MergeDataset
from stable_worldmodel.data.formats.hdf5 import HDF5Dataset, HDF5Writer


def stored(first: int) -> str:
    path = f"{sys.argv[1]}/{first}.h5"
    with HDF5Writer(path) as writer:
        for episode in (0, 100):
            writer.write_episode({"state": [np.array([first + episode + row], dtype="float32") for row in range(5)]})
    return path


def by_row_and_column(steps: int) -> tuple[list[float], list[float]]:
    joined = ConcatDataset([HDF5Dataset(path=path, num_steps=steps) for path in paths])
    asked = [0, 5, 6, 7]
    return joined.get_row_data(asked)["state"].ravel().tolist(), joined.get_col_data("state")[asked].ravel().tolist()


paths = [stored(0), stored(1000)]
rows, column = by_row_and_column(3)
merged = MergeDataset([HDF5Dataset(path=path, num_steps=3) for path in paths])
item = merged[0]["state"].ravel().tolist()
chunk = merged.load_chunk(np.array([0]), np.array([0]), np.array([3]))[0]["state"].ravel().tolist()
print("rows:", rows, "of", column, "| merged: item", item, "chunk", chunk)
assert column == [0, 100, 101, 102] and by_row_and_column(1) == (column, column) and item == [0, 1, 2]
assert rows == [0, 100, 1000, 1001] and chunk == [1000, 1001, 1002], "the behaviour has changed"
PY
