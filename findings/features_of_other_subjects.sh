#!/usr/bin/env bash
# meds-tab 0.2.0 (Python 3.12, MEDS-transforms 0.7.0, polars 1.44.2): the tables that it makes of a MEDS data set are wrong, and nothing is
# told. (1) Static features are taken by place: where labels are of some subjects of a shard only, as those of a task are, the second
# labelled subject gets what belongs to the second subject of the shard. (2) Columns of static features are those which a shard happens
# to have: where a shard has no girl, its boys stand in the column of girls. (3) code/count leaves out the last event of each time, so a
# time with one event counts as none. (4) value/count, sum, min, max and the like are 0 everywhere. What is learned from such tables is
# learned from other patients. What helps: a table of one's own, until a later version. Upstream: of (4) mmcdermott/MEDS_Tabular_AutoML
# issue 168 (open when this was written); of the rest no thread was found.
# Seen: subject 3, a girl of 170 cm, labelled beside subject 1 -> 160 cm and a boy, which is subject 2; subject 4, a boy alone in his
# shard -> a girl; heart rates of subjects 1, 3 and 4, charted 3 times, once and once -> counts 1, 0 and 0, and every value feature 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON312:-python3.12}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check MEDS-transforms==0.7.0 meds==0.4.1 polars==1.44.2 numpy==2.3.5 scipy==1.17.1 \
    pandas==3.0.6 pyarrow==26.0.1 hydra-core==1.3.8 ml-mixins==0.3.0 tqdm
"$folder/env/bin/pip" install --quiet --disable-pip-version-check --no-deps meds-tab==0.2.0  # its learners are not used
cat > "$folder/write.py" <<'PY'
import datetime as dt
import sys
from pathlib import Path

import polars as pl

START, SCHEMA = dt.datetime(2020, 1, 1), {"subject_id": pl.Int64, "hour": pl.Int64, "code": pl.String, "numeric_value": pl.Float32}
SHARDS = {
    "0": [
        (1, None, "HEIGHT", 150.0), (1, None, "SEX//F", None), (1, 0, "HR", 81.0), (1, 0, "HR", 83.0), (1, 1, "HR", 85.0),
        (2, None, "HEIGHT", 160.0), (2, None, "SEX//M", None), (2, 0, "HR", 90.0),
        (3, None, "HEIGHT", 170.0), (3, None, "SEX//F", None), (3, 0, "HR", 100.0),
    ],
    "1": [(4, None, "HEIGHT", 180.0), (4, None, "SEX//M", None), (4, 0, "HR", 110.0)],
}  # fmt: skip
LABELLED = {"0": [1, 3], "1": [4]}
for name in SHARDS:
    for kind in ("data", "labels"):
        (Path(sys.argv[1]) / kind / "train").mkdir(parents=True, exist_ok=True)
    time = (pl.lit(START) + pl.duration(hours="hour")).cast(pl.Datetime("us"))
    events = pl.DataFrame(SHARDS[name], schema=SCHEMA, orient="row").with_columns(time=time)
    events.select("subject_id", "time", "code", "numeric_value").write_parquet(Path(sys.argv[1]) / f"data/train/{name}.parquet")
    asked = pl.DataFrame({"subject_id": LABELLED[name], "boolean_value": True}).with_columns(
        prediction_time=pl.lit(START + dt.timedelta(hours=2)).cast(pl.Datetime("us"))
    )
    asked.write_parquet(Path(sys.argv[1]) / f"labels/train/{name}.parquet")
PY
"$folder/env/bin/python" "$folder/write.py" "$folder"
common=("input_dir=$folder/data" "output_dir=$folder/out")
"$folder/env/bin/meds-tab-describe" "${common[@]}" > /dev/null 2>&1
for step in static time-series; do
    "$folder/env/bin/meds-tab-tabularize-$step" "${common[@]}" "input_label_dir=$folder/labels" \
        tabularization.min_code_inclusion_count=1 "tabularization.window_sizes=[full]" > /dev/null 2>&1
done
"$folder/env/bin/python" - "$folder/out" <<'PY'
import sys
from pathlib import Path

import numpy as np
from MEDS_tabular_automl.describe_codes import get_feature_columns
from MEDS_tabular_automl.utils import get_feature_names, load_matrix

out = Path(sys.argv[1])
columns = get_feature_columns(out / "metadata" / "codes.parquet")


def table(aggregation: str) -> tuple[list[str], np.ndarray]:
    window = "none" if aggregation.startswith("static") else "full"
    files = [out / "tabularize/train" / shard / window / f"{aggregation}.npz" for shard in ("0", "1")]
    return get_feature_names(aggregation, columns), np.concatenate([load_matrix(file).toarray() for file in files])


(_, heights), (present, sexes), (_, counts) = (table(kind) for kind in ("static/first", "static/present", "code/count"))
sexes = [[name for name, there in zip(present, row) if there and "SEX" in name] for row in sexes]
values = {kind: table(f"value/{kind}")[1].ravel().tolist() for kind in ("count", "sum", "min", "max")}
print("subjects 1, 3 and 4 | heights", heights.ravel(), "| sexes", sexes, "| counts", counts.ravel(), "|", values)
assert heights.ravel().tolist() == [150.0, 160.0, 180.0], "the behaviour has changed"
assert [row[0][:6] for row in sexes] == ["SEX//F", "SEX//M", "SEX//F"], "the behaviour has changed"
assert counts.ravel().tolist() == [1, 0, 0] and not np.any(list(values.values())), "the behaviour has changed"
PY
