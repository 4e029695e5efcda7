#!/usr/bin/env bash
# datasets 5.2.0 (torch 2.13.0): which rows skip(n) leaves out of a stream depends on the number of workers that read it. In one process
# skip(6) leaves out the first six rows; with two workers each leaves out the first three of its own shards. take(n) divides n the same
# way, so the two fit together for as long as both are read by as many workers: the usual way to hold out rows, take for validation and
# skip for training, is a split that moves with num_workers. Held-out rows read in the main process, and training rows by workers, share
# rows; so do a run on one machine and its test, or its continuation, on another; split_dataset_by_node with as many processes does the
# same. No warning. What helps: filter by a column of the rows, or hold out whole shards. Upstream: pull request 2582 of datasets keeps the
# order of shards still after take and skip for this very reason; of workers no thread was found (8568 is of a skip after a split by node).
# Seen, 24 rows in 4 shards: take(6) with no worker is 0 to 5; skip(6) leaves out 0 to 5 with no worker or one, 0 to 2 and 6 to 8 with two,
# 0, 1, 6, 7, 12 and 18 with four. So with two workers, or by two processes, 3, 4 and 5 are trained on and held out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 torch==2.13.0 numpy==2.3.5
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$folder/cache" "$folder/env/bin/python" -W ignore - 2> /dev/null <<'PY'

from datasets import Dataset, IterableDataset
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

ROWS = set(range(24))
stream = Dataset.from_dict({"row": sorted(ROWS)}).to_iterable_dataset(num_shards=4)
validation, training = stream.take(6), stream.skip(6)


def rows(part: IterableDataset, workers: int) -> list[int]:
    return sorted(int(item["row"]) for item in DataLoader(part, batch_size=None, num_workers=workers))


held_out = set(rows(validation, 0))
for workers in (0, 1, 2, 4):
    assert set(rows(validation, workers)) | set(rows(training, workers)) == ROWS, "one number of workers for both: a split"
left_out = {workers: sorted(ROWS - set(rows(training, workers))) for workers in (0, 1, 2, 4)}
nodes = [row for rank in (0, 1) for row in rows(split_dataset_by_node(training, rank=rank, world_size=2), 0)]
print("held out:", sorted(held_out), "| left out of training by number of workers:", left_out)
print("trained on and held out, with two workers:", sorted(held_out - set(left_out[2])), "| by two processes:", sorted(held_out & set(nodes)))
assert left_out[0] == left_out[1] == sorted(held_out) == list(range(6))
assert len(held_out - set(left_out[2])) == 3 and len(held_out - set(left_out[4])) == 4, "the behaviour has changed"
assert held_out & set(nodes), "the behaviour has changed"
PY
