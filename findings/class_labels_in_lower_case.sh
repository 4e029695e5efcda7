#!/usr/bin/env bash
# aeon 1.6.0 and sktime 1.2.0: both readers of `.ts` files turn class labels into lower case, so two classes whose names
# differ by case alone become one, in silence, although the header names both. aeon writes the labels as they are: saved
# and read again, a problem of two classes has one.
# Seen: labels written 'Up' and 'UP'; read by aeon ['up', 'up'], by sktime ['up', 'up'].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 aeon==1.6.0 sktime==1.2.0
"$folder/env/bin/python" - "$folder" <<'PY' 2> /dev/null
import sys
from pathlib import Path

import numpy as np
from aeon.datasets import load_from_ts_file, save_to_ts_file
from sktime.datasets import load_from_tsfile

labels = np.array(["Up", "UP"])
series = np.arange(12.0).reshape(2, 2, 3)
save_to_ts_file(series, y=labels, label_type="classification", path=sys.argv[1], problem_name="two")
file = next(Path(sys.argv[1]).rglob("two*.ts"))
header = next(line for line in file.read_text().splitlines() if line.startswith("@classLabel"))
by_aeon = load_from_ts_file(str(file))[1].tolist()
by_sktime = load_from_tsfile(str(file))[1].tolist()
print("header:", header, "| aeon reads", by_aeon, "| sktime reads", by_sktime)
assert "Up" in header and "UP" in header
assert set(by_aeon) == {"up"} and set(by_sktime) == {"up"}, "the behaviour has changed"
PY
