#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.13.0): a forecast of TimesFm2_5ModelForPrediction depends on whether some other series of its batch has a
# value below zero. infer_is_positive, on by default, is to keep the forecast of a series that is nowhere negative from being negative;
# it asks for the least value of all series together. So urine output is never forecast below 0 ml by itself or beside heart rates, and
# is beside a base excess or a temperature that was standardised; a NaN anywhere in the batch does the same to all. The size of a batch,
# and the order that fills it, so become a part of the result. And the loss of fine-tuning depends on how much context there could
# be: each series is scaled by the mean and deviation of its values with the zeros in front that fill it up to forecast_context_len (by
# default 16384). The forecast is scaled back and does not tell; the loss is taken in that scale, so that a short series weighs by its
# level and by how short it is. What helps: one series a batch, or truncate_negative=False and a clamp of one's own; contexts as long as
# the series. Upstream: no thread was found on either.
# Seen (random weights), urine output alone, beside positive and beside mixed values, least of the 8 steps: 0, 0, -94.7; loss of
# 40 hours of heart rate and one and the same forecast, contexts of 40, 64, 512 and 16384: 9.35, 0.41, 0.95, 16.4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 transformers==5.24.0
"$folder/env/bin/python" -W ignore - 2> /dev/null <<'PY'
import torch
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

torch.set_num_threads(1)
torch.manual_seed(0)
SIZES = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
LENGTHS = {"patch_length": 8, "context_length": 64, "horizon_length": 8, "output_quantile_len": 16}
model = TimesFm2_5ModelForPrediction(TimesFm2_5Config(**SIZES, **LENGTHS, head_dim=16, initializer_range=0.2)).eval()
assert TimesFm2_5Config().infer_is_positive and TimesFm2_5Config().context_length == 16384
draw = torch.Generator().manual_seed(1)
urine = torch.tensor([0.0, 0, 40, 0, 0, 60, 0, 0]).repeat(5)
mixed = torch.randn(40, generator=draw)
rate = 80 + 5 * torch.randn(40, generator=draw)


@torch.no_grad()
def forecast(*series: torch.Tensor, **options) -> torch.Tensor:
    """Of the first of some series."""
    return model(past_values=list(series), **options).mean_predictions[0]


@torch.no_grad()
def loss(context: int) -> float:
    return float(model(past_values=[rate], future_values=torch.full((1, 8), 90.0), forecast_context_len=context).loss)


alone, beside_positive, beside_mixed = forecast(urine), forecast(urine, mixed.abs()), forecast(urine, mixed)
print("least of the forecast:", *(round(float(made.min()), 1) for made in (alone, beside_positive, beside_mixed)))
assert torch.allclose(alone, beside_positive) and alone.min() == 0
assert beside_mixed.min() < -10, "the behaviour has changed"
assert torch.allclose(beside_mixed.clamp(min=0), alone, atol=1e-3), "nothing else differs"
missing = mixed.abs()
missing[3] = float("nan")
assert torch.allclose(forecast(urine, missing), beside_mixed, atol=1e-3), "the behaviour has changed"
contexts = (40, 64, 512, 16384)
losses = [loss(context) for context in contexts]
print("loss by context:", dict(zip(contexts, losses)))
assert all(torch.allclose(forecast(rate), forecast(rate, forecast_context_len=context), atol=0.01) for context in contexts)
assert max(losses) > 10 * min(losses), "the behaviour has changed"
PY
