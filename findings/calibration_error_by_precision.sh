#!/usr/bin/env bash
# torchmetrics 1.9.0: binary_calibration_error of the same six predictions is 0.300 in float32 and 0.233 in float64. A
# probability such as 0.3 lies on the border of two of ten bins; in float32 the border, made by linspace, and the value
# round to other sides than in float64, and a single row that changes its bin moves the figure by a third. Scores that are
# rounded to one or two decimals (tree leaves, clinical scores) all lie on borders.
# Seen: float32 0.3000000119, float64 0.2333333333; moved off the borders by 0.01, both are equal to 1e-6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 torchmetrics==1.9.0
"$folder/env/bin/python" - <<'PY'
import torch
from torchmetrics.functional.classification import binary_calibration_error

labels = torch.tensor([0, 0, 1, 0, 1, 1])


def errors(scores: list[float]) -> list[float]:
    return [
        float(binary_calibration_error(torch.tensor(scores, dtype=kind), labels, n_bins=10, norm="l1"))
        for kind in (torch.float32, torch.float64)
    ]


on_borders = errors([0.1, 0.2, 0.3, 0.4, 0.7, 0.9])
off_borders = errors([0.11, 0.21, 0.31, 0.41, 0.71, 0.91])
print("on borders: float32, float64", on_borders, "| off borders", off_borders)
assert abs(on_borders[0] - on_borders[1]) > 0.05, "the behaviour has changed"
assert abs(off_borders[0] - off_borders[1]) < 1e-6
PY
