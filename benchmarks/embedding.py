"""Embedding hourly texts: the packed encoder against padded batches, as they come and sorted by length, on one thread.

    python benchmarks/embedding.py              # 2,400 texts, the default random Qwen3: about half a minute
    python benchmarks/embedding.py --texts 800 --hidden 256 --layers 4

The naive way takes the distinct texts as they come, 32 at a time, pads each batch to its longest text, and runs the
library's own model on it with a mask. The sorted way takes them from the longest to the shortest, by their characters,
which is how sentence-transformers batches: it is written here, so that the library need not be installed. All ways use
the same weights, tokenizer and texts, and are timed in fp32 and in processor time, each several times, in turns; the
best time counts. The encoder keeps the tokens of the first time, so that tokenizing counts for none of them.

Exit code 1 if the latents differ by more than 1e-5 or a ratio is below --least-ratio or --least-sorted-ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen3Config as BackboneConfig
from transformers import Qwen3Model

from jepa_text.config import Qwen3Config, RandomQwen3Config
from jepa_text.encoder import Qwen3Encoder

TOLERANCE = 1e-5
NAIVE_BATCH = 32

CHARTED = [
    ("Heart rate", "bpm", 60, 130), ("Systolic BP", "mmHg", 80, 170), ("Diastolic BP", "mmHg", 40, 95),
    ("MAP", "mmHg", 55, 110), ("Respiratory rate", "breaths/min", 8, 35), ("Temperature", "°C", 35, 40),
    ("SpO2", "%", 85, 100), ("FiO2", "%", 21, 100), ("PEEP", "cmH2O", 5, 15), ("GCS total", "", 3, 15),
    ("Urine output", "mL", 0, 300),
]  # fmt: skip
LABORATORY = [
    ("Lactate", "mmol/L", 1, 9), ("PaO2", "mmHg", 50, 150), ("PaCO2", "mmHg", 25, 70), ("Creatinine", "mg/dL", 1, 6),
    ("BUN", "mg/dL", 5, 90), ("Sodium", "mEq/L", 125, 150), ("Potassium", "mEq/L", 3, 6), ("INR", "", 1, 4),
    ("Chloride", "mEq/L", 90, 115), ("Bicarbonate", "mEq/L", 12, 34), ("Anion gap", "mEq/L", 6, 25),
    ("Hemoglobin", "g/dL", 6, 16), ("Platelet count", "K/uL", 20, 450), ("WBC count", "K/uL", 2, 30),
    ("Total bilirubin", "mg/dL", 0, 12), ("Fibrinogen", "mg/dL", 90, 700),
]  # fmt: skip
TREATMENTS = ["Norepinephrine", "Propofol", "Insulin - Regular", "Fentanyl", "Dextrose 5%", "Furosemide", "Vancomycin"]


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    texts = make_texts(options.texts, random.Random(options.seed))
    encoder = make_encoder(options, texts)
    library = library_model(encoder)
    with torch.no_grad():
        result = compare(encoder, library, texts, options.repeats)
    print(json.dumps(result) if options.json else table(result))
    fast = result["ratio"] >= options.least_ratio and result["sorted_ratio"] >= options.least_sorted_ratio
    passed = result["largest_difference"] <= TOLERANCE and fast
    if not passed:
        wanted = f"{options.least_ratio} and {options.least_sorted_ratio}"
        print(f"FAILED: wanted ratios of {wanted} at equal latents", file=sys.stderr)
    return 0 if passed else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=2400, help="distinct texts, two thirds of them states")
    parser.add_argument("--hidden", type=int, default=128, help="hidden size of the random Qwen3")
    parser.add_argument("--layers", type=int, default=2, help="its layers")
    parser.add_argument("--repeats", type=int, default=3, help="how often each way is timed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least-ratio", type=float, default=2.0, help="how many times faster packing must be")
    parser.add_argument("--least-sorted-ratio", type=float, default=1.5, help="the same against sorted batches")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def make_texts(count: int, draw: random.Random) -> list[str]:
    """Distinct texts of hours in the order of the hours: a state of few or many values, often a short action."""
    texts: dict[str, None] = {}
    hour = 0
    while len(texts) < count:
        hour = hour + 1 if draw.random() > 0.01 else 0  # the next trajectory begins
        texts[state_text(hour, draw)] = None
        if draw.random() < 0.55:
            texts[action_text(hour, draw)] = None
    return list(texts)[:count]


def state_text(hour: int, draw: random.Random) -> str:
    """Charted values every hour, one or more readings of them; laboratory values in one hour of five."""
    charted = draw.sample(CHARTED, draw.randint(2, len(CHARTED)))
    measured = draw.sample(LABORATORY, draw.randint(3, len(LABORATORY))) if draw.random() < 0.2 else []
    readings = 2 if draw.random() < 0.1 else 1
    parts = [
        f"{name}: {round(draw.uniform(low, high), draw.choice([0, 0, 1]))} {unit}".rstrip()
        for name, unit, low, high in [*charted * readings, *measured]
    ]
    return f"t={hour}h | " + ". ".join(parts)


def action_text(hour: int, draw: random.Random) -> str:
    given = [
        f"{name}: {draw.uniform(0.1, 50):.2f} mg, {draw.uniform(0.01, 5):.2f} mcg/kg/min"
        for name in draw.sample(TREATMENTS, draw.choice([0, 1, 1, 2]))
    ]
    return f"t={hour}h | " + (". ".join(given) or "No active interventions.")


def make_encoder(options: argparse.Namespace, texts: list[str]) -> Qwen3Encoder:
    sizes = RandomQwen3Config(hidden_size=options.hidden, layers=options.layers, intermediate_size=3 * options.hidden)
    encoder = Qwen3Encoder(Qwen3Config(random=sizes)).eval()
    encoder.fit([texts])
    return encoder


def library_model(encoder: Qwen3Encoder) -> nn.Module:
    """The library's own model, with its own attention, under the encoder's weights."""
    sizes = {key: value for key, value in encoder.backbone.config.to_dict().items() if not key.startswith("_")}
    model = Qwen3Model(BackboneConfig(**sizes)).eval()
    model.load_state_dict(encoder.backbone.state_dict())
    return model


def padded(encoder: Qwen3Encoder, model: nn.Module, texts: list[str], order: list[int]) -> Tensor:
    """Latents from batches in an order of the texts, each padded to the longest of its texts."""
    latents = torch.empty(len(texts), encoder.latent_dim)
    for start in range(0, len(texts), NAIVE_BATCH):
        part = order[start : start + NAIVE_BATCH]
        ids = encoder.tokens([texts[number] for number in part])
        lengths = torch.tensor([len(row) for row in ids])
        longest = int(lengths.max())
        rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        mask = (torch.arange(longest) < lengths.unsqueeze(1)).long()
        hidden = model(input_ids=rows, attention_mask=mask, use_cache=False).last_hidden_state
        latents[part] = hidden[torch.arange(len(ids)), lengths - 1]
    return F.layer_norm(latents, (encoder.latent_dim,))


def compare(encoder: Qwen3Encoder, model: nn.Module, texts: list[str], repeats: int) -> dict[str, float]:
    lengths = [len(ids) for ids in encoder.tokens(texts)]
    as_given = list(range(len(texts)))
    by_length = sorted(as_given, key=lambda number: -len(texts[number]))
    ways: dict[str, Callable[[], Any]] = {
        "packed": lambda: encoder(texts),
        "naive": lambda: padded(encoder, model, texts, as_given),
        "sorted": lambda: padded(encoder, model, texts, by_length),
    }
    rounds = [{name: timed(way) for name, way in ways.items()} for _ in range(repeats)]
    best = {name: min(timing[name][1] for timing in rounds) for name in ways}
    latents = {name: encoded for name, (encoded, _) in rounds[-1].items()}
    return {
        "texts": len(texts),
        "tokens": sum(lengths),
        "shortest": min(lengths),
        "longest": max(lengths),
        "parameters": encoder.config.size().parameters,
        "naive_padding": padding(lengths, as_given),
        "sorted_padding": padding(lengths, by_length),
        **{f"{name}_seconds": best[name] for name in ("packed", "naive", "sorted")},
        "ratio": best["naive"] / best["packed"],
        "sorted_ratio": best["sorted"] / best["packed"],
        "largest_difference": max(
            float((latents["packed"] - latents[name]).abs().max()) for name in ("naive", "sorted")
        ),
    }


def padding(lengths: list[int], order: list[int]) -> float:
    """Tokens of padded batches in an order of the texts, for each token of the texts."""
    batches = [[lengths[number] for number in order[at : at + NAIVE_BATCH]] for at in range(0, len(order), NAIVE_BATCH)]
    return sum(len(batch) * max(batch) for batch in batches) / sum(lengths)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its processor seconds."""
    start = time.process_time()
    value = call()
    return value, time.process_time() - start


def table(result: dict[str, float]) -> str:
    rows = {
        "packed": "packed",
        "naive": f"padded, {NAIVE_BATCH} as they come",
        "sorted": f"padded, {NAIVE_BATCH} by length",
    }
    rates = [
        f"{title:28}{result['texts'] / result[f'{name}_seconds']:12,.0f}"
        f"{result['tokens'] / result[f'{name}_seconds']:12,.0f}"
        for name, title in rows.items()
    ]
    return "\n".join(
        [
            f"{result['texts']:,} distinct texts of {result['shortest']} to {result['longest']} tokens, "
            f"{result['tokens']:,} in all; {result['parameters']:,} parameters; one thread, fp32",
            f"{'':28}{'texts/s':>12}{'tokens/s':>12}",
            *rates,
            f"ratio {result['ratio']:.2f}, by length {result['sorted_ratio']:.2f}; padded tokens "
            f"{result['naive_padding']:.2f} and {result['sorted_padding']:.2f} times the real ones",
            f"largest difference {result['largest_difference']:.1e}",
        ]
    )


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sys.exit(main())
