#!/usr/bin/env bash
# LightGBM 4.7.0: a missing value is scored as 0 where the trees saw none missing in its column, and whether they saw one is drawn by
# lot. "Native missing values" hold for columns of which a value was missing in training; for the others NaN is compared as 0, which
# for a heart rate is the lowest there is, without a warning. Of more than 200,000 rows (bin_construct_sample_cnt) what a column may
# be is decided on as many that are drawn, so with a value that is seldom missing the seed decides: under one NaN has a side of its
# own, under the next it is 0, in training too. What helps: fill in columns that are hardly ever missing before training and scoring.
# Upstream: the first half is known (lightgbm-org/LightGBM issues 4040 and 6139, "not a bug"); of the lot no thread was found.
# Seen, scores of NaN, 0 and 90: none of 4,000 missing 0.005, 0.005, 0.579; 100 of 4,000 missing 0.489, 0.006, 0.605; one of 400,000
# missing, under ten values of data_random_seed: equal to that of 0 (0.310) under 4, and 0.691 under another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 numpy==2.3.5 scipy==1.17.1
"$folder/env/bin/python" - <<'PY'
import lightgbm
import numpy as np

SETTINGS = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}
ASKED = np.array([[np.nan], [0.0], [90.0]])


def scores(rows: int, missing: int, trees: int, seed: int = 1) -> list[float]:
    draw = np.random.default_rng(0)
    rate = draw.normal(90, 12, rows)
    died = (draw.random(rows) < 1 / (1 + np.exp((90 - rate) / 8))).astype(int)
    rate[draw.choice(rows, missing, replace=False)] = np.nan
    model = lightgbm.train(SETTINGS | {"data_random_seed": seed}, lightgbm.Dataset(rate[:, None], died), trees)
    return model.predict(ASKED).tolist()


none, some = scores(4000, 0, 50), scores(4000, 100, 50)
print("scores of NaN, 0 and 90; none missing in training:", none, "| 100 of 4,000 missing:", some)
assert none[0] == none[1] != none[2] and some[0] != some[1], "the behaviour has changed"
by_seed = [scores(400_000, 1, 5, seed) for seed in range(10)]
taken_for_zero = [found[0] == found[1] for found in by_seed]
print("one of 400,000 missing, NaN scored as 0, by data_random_seed:", taken_for_zero, by_seed[:2])
assert set(taken_for_zero) == {True, False}, "the behaviour has changed"
PY
