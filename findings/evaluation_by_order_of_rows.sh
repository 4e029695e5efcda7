#!/usr/bin/env bash
# meds-evaluation 0.0.6 (Python 3.12): evaluate_binary_classification sets the seed of NumPy's GLOBAL generator on every call, so
# whatever draws after it in the process repeats; and its metrics "with subjects equally weighted" are of four rows that
# are drawn from each subject by their place in the file, so another order of the same rows gives other metrics. Its calibration error
# is the plain mean over bins, not weighted by how many rows a bin holds.
# Seen on 40 rows of 10 subjects: the global draw after two calls is the same number; AUROC with subjects equally weighted
# 0.371, 0.321 and 0.232 by order of rows; with samples equally weighted 0.331 each time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON312:-python3.12}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check meds-evaluation==0.0.6 numpy==2.3.5
"$folder/env/bin/python" - <<'PY'
import datetime as dt

import numpy as np
import polars as pl
from meds_evaluation.evaluate import evaluate_binary_classification

draw = np.random.default_rng(0)
rows = 40
table = pl.DataFrame(
    {
        "subject_id": np.repeat(np.arange(10), 4),
        "prediction_time": [dt.datetime(2020, 1, 1) + dt.timedelta(hours=i) for i in range(rows)],
        "boolean_value": draw.random(rows) < 0.5,
        "predicted_boolean_probability": draw.random(rows).astype(np.float32),
        "predicted_boolean_value": draw.random(rows) < 0.5,
    }
)


def evaluated(order: np.ndarray) -> tuple[float, float, float]:
    found = evaluate_binary_classification(table[order.tolist()])
    after = float(np.random.random())
    return found["samples_equally_weighted"]["roc_auc_score"], found["subjects_equally_weighted"]["roc_auc_score"], after


orders = [np.arange(rows), np.arange(rows)[::-1], draw.permutation(rows)]
by_sample, by_subject, drawn = zip(*(evaluated(order) for order in orders))
print("samples weighted:", by_sample, "| subjects weighted:", by_subject, "| next global draw:", drawn)
assert max(by_sample) - min(by_sample) < 1e-9
assert max(by_subject) - min(by_subject) > 0.01, "the behaviour has changed"
assert len(set(drawn)) == 1, "the behaviour has changed"
PY
