#!/usr/bin/env bash
# es-aces 0.7.3 (polars 1.44.2): a reading that is NaN satisfies every value_min. polars holds NaN for greater than all numbers, and the
# predicate compares what is in numeric_value as it is. So "label: potassium of at least 5.5 in the next 24 h" is positive for who was
# measured and has no result, and a value_max on the same predicate is needed to be rid of it, which few tasks have a reason for; a
# predicate with value_max alone is right. An ETL by way of NumPy or pandas writes NaN for a missing result, and the schema of MEDS
# allows it. Null is right everywhere. What helps: fill_nan(None) in the data, or an upper border in each predicate with a lower one.
# Upstream: no thread was found.
# Seen of the next day's potassium, labels of value_min 5.5: 6.0 -> 1, 4.0 -> 0, NaN -> 1, null -> 0; with value_max 20 besides NaN -> 0;
# of value_max 3.5 alone: NaN -> 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check es-aces==0.7.3 polars==1.44.2
cat > "$folder/task.yaml" <<'YAML'
predicates:
  admission: {code: ADM}
  asked: {code: POTASSIUM, BORDERS}
trigger: admission
windows:
  input: {start: null, end: trigger + 24h, start_inclusive: true, end_inclusive: true, index_timestamp: end}
  target: {start: input.end, end: start + 24h, start_inclusive: false, end_inclusive: true, label: asked}
YAML
"$folder/env/bin/python" - "$folder" <<'PY' 2> /dev/null
import datetime as dt
import sys
from pathlib import Path

import polars as pl
from aces.config import TaskExtractorConfig
from aces.predicates import get_predicates_df
from aces.query import query
from omegaconf import DictConfig

folder = Path(sys.argv[1])
RESULTS = {1: 6.0, 2: 4.0, 3: float("nan"), 4: None}
start = dt.datetime(2020, 1, 1)
rows = [(subject, start, "ADM", None) for subject in RESULTS]
rows += [(subject, start + dt.timedelta(hours=30), "POTASSIUM", result) for subject, result in RESULTS.items()]
schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
pl.DataFrame(rows, schema=schema, orient="row").sort("subject_id", "time").write_parquet(folder / "events.parquet")


def labels(borders: str) -> list[int]:
    (folder / "asked.yaml").write_text((folder / "task.yaml").read_text().replace("BORDERS", borders))
    task = TaskExtractorConfig.load(folder / "asked.yaml")
    predicates = get_predicates_df(task, DictConfig({"path": str(folder / "events.parquet"), "standard": "meds"}))
    return query(task, predicates).sort("subject_id")["label"].to_list()


above, between, below = labels("value_min: 5.5"), labels("value_min: 5.5, value_max: 20"), labels("value_max: 3.5")
print("labels of 6.0, 4.0, NaN and null: value_min", above, "| and value_max", between, "| value_max alone", below)
assert above == [1, 0, 1, 0], "the behaviour has changed"
assert between == [1, 0, 0, 0] and below == [0, 0, 0, 0]
PY
