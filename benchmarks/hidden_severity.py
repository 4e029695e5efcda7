"""How much of the hidden severity of synthetic stays a linear probe reads from a frozen model, before and after
training.

    python benchmarks/hidden_severity.py [--recipe clin_jepa] [--stays 400] [--json] [KEY=VALUE ...]

The generator of synthetic MIMIC-IV writes the severity that drove every hour; no source reads it. A ridge regression is
fitted on the train split and scored (R2) on the tuning split, on state latents, on the predictor's beliefs and on what
the recipe's decoders read of them: before training, where both models are as they were drawn, and after the curriculum
of the recipe with the given changes; and on the numbers of the hour themselves.
Beside it: the effective rank, and the rollout against its two controls from 24 steps of context at h = 1 and 48.
`planted_truth.py` asks the same, and more, of a finished run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from jepa_core.contracts import Evaluation
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.data.preparation import open_store
from jepa_core.model.frozen import Frozen
from jepa_core.plugin import shared_registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.results.findings import Findings
from jepa_core.results.statistics import effective_rank
from jepa_core.runs.learners import built_phase
from jepa_core.training.curriculum import run_curriculum
from jepa_core.training.learner import Learner
from jepa_mimic_iv.synthetic import write_tables

CONTEXT = 24


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder) / "tables"
        write_tables(tables, options.stays, seed=0)
        recipe = load_recipe(options.recipe, [f"source.tables={tables}", *options.overrides], shared_registry())
        dataset, learner = build(recipe, Path(folder))
        severity = read_severity(tables / "truth.parquet", dataset)
        result = {
            "numbers": {"r2": read_numbers(recipe, dataset, severity, "tuning").r2},
            "untrained": probe(learner, dataset, severity, recipe.windows.length),
        }
        cut = recipe.windows
        windows = dataset.windows("train", cut.length, cut.stride, cut.min_length)
        run_curriculum([built_phase(use) for use in recipe.curriculum], learner, windows, recipe.seed)
        trained = probe(learner, dataset, severity, recipe.windows.length)
        result |= {"trained": trained, "rollout": rollout(recipe, learner)}
    print(json.dumps(result, indent=None if options.json else 1))


def build(recipe: Recipe, folder: Path) -> tuple[Dataset, Learner]:
    source = recipe.source.build()
    dataset = Dataset.open(open_store(source, "mimic_iv", folder), source, "text")
    torch.manual_seed(recipe.seed)
    encoder = recipe.encoder.build(recipe.item_shape())
    encoder.fit(dataset.training_items())
    torch.manual_seed(recipe.seed + 1)
    predictor = recipe.predictor.build(encoder.latent_dim)
    numbers = Observer(lambda: Dataset.open(dataset.store, source, "channels"), recipe.source.config.observations())
    return dataset, Learner(encoder, predictor, dataset, torch.device("cpu"), folder, observer=numbers)


def probe(learner: Learner, dataset: Dataset, severity: np.ndarray, window_length: int) -> dict[str, float]:
    """R2 from each feature, and the effective rank of the latents."""
    readings = read_features(learner, dataset, severity, "tuning", window_length)
    rank = effective_rank(readings["latents"].inputs[:4000])
    return {f"r2 of {name}": reading.r2 for name, reading in readings.items()} | {"effective_rank": rank}


def read_severity(path: Path, dataset: Dataset) -> np.ndarray:
    """Severity of every step of the store, in its order."""
    truth = pyarrow.parquet.read_table(path).to_pydict()
    known = dict(zip(zip(truth["stay_id"], truth["hour"], strict=True), truth["severity"], strict=True))
    steps = dataset.steps
    stays = np.repeat(dataset.store.identifier, steps)
    hours = np.arange(steps.sum()) - np.repeat(dataset.store.first_step, steps)
    return np.array([known.get(key, np.nan) for key in zip(stays.tolist(), hours.tolist(), strict=True)])


@dataclass(frozen=True)
class Reading:
    """What a regression, fitted on train, makes of the steps of another split.

    inputs: (R, F). wanted, read: (R,) severity and what was read of it. subject: (R,).
    """

    inputs: np.ndarray
    wanted: np.ndarray
    read: np.ndarray
    subject: np.ndarray

    @property
    def r2(self) -> float:
        return float(r2_score(self.wanted, self.read))


def read_features(
    learner: Learner, dataset: Dataset, severity: np.ndarray, split: str, window_length: int
) -> dict[str, Reading]:
    """Severity read from state latents, from beliefs, and from what decoders read of them, where there are any."""
    learner.freeze()
    frozen = Frozen.of(learner)
    inputs: dict[str, dict[str, np.ndarray]] = {}
    for part in ("train", split):
        parts: dict[str, list[np.ndarray]] = {}
        for trajectory in dataset.trajectories(part):
            for name, values in features_of(learner, frozen, int(trajectory), window_length).items():
                parts.setdefault(name, []).append(values.double().numpy())
        known = np.isfinite(severity[all_steps(dataset, part)])
        for name, values in parts.items():
            inputs.setdefault(name, {})[part] = np.concatenate(values)[known]
    return {name: _regression(dataset, severity, inputs_of, split) for name, inputs_of in inputs.items()}


@torch.no_grad()
def features_of(learner: Learner, frozen: Frozen, trajectory: int, window_length: int) -> dict[str, Tensor]:
    """Of every step of a trajectory: latents (T, D), belief (T, W), decoded belief (T, F)."""
    steps = int(learner.dataset.steps[trajectory])
    windows = learner.dataset.windows_of(np.array([trajectory]), length=steps, stride=1, min_length=1)
    latents = learner.latents(learner.dataset.batch(windows, np.array([0])))
    belief = frozen.beliefs(latents, window_length)
    inputs_read = {"latents": latents.states[0], "belief": belief}
    read = [decoder(belief) for decoder in frozen.decoders.values()]
    return inputs_read | ({"decoded belief": torch.cat(read, dim=-1)} if read else {})


def read_numbers(recipe: Recipe, dataset: Dataset, severity: np.ndarray, split: str) -> Reading:
    """The same regression on the hour's numbers themselves: standardised values, 0 where missing, and what is there."""
    grid = Dataset.open(dataset.store, recipe.source.build(), "channels")
    values = {}
    for part in ("train", split):
        items = grid.rendering.take(np.asarray(grid.rendering.state[known_steps(dataset, severity, part)]))
        values[part] = np.where(items.observed, items.values, np.nan)[:, :, 0].astype(np.float64)
    seen = np.isfinite(values["train"]).any(axis=0)
    mean, spread = np.nanmean(values["train"][:, seen], axis=0), np.nanstd(values["train"][:, seen], axis=0) + 1e-6
    inputs = {
        part: np.hstack(
            [np.nan_to_num((of_split[:, seen] - mean) / spread).clip(-5, 5), np.isfinite(of_split[:, seen])]
        )
        for part, of_split in values.items()
    }
    return _regression(dataset, severity, inputs, split)


def _regression(dataset: Dataset, severity: np.ndarray, inputs: dict[str, np.ndarray], split: str) -> Reading:
    """inputs: by split, of its known steps."""
    fitted = make_pipeline(StandardScaler(), Ridge(alpha=10.0))
    fitted.fit(inputs["train"], severity[known_steps(dataset, severity, "train")])
    steps = known_steps(dataset, severity, split)
    subject = np.repeat(dataset.subject, dataset.steps)[steps]
    return Reading(inputs[split], severity[steps], fitted.predict(inputs[split]), subject)


def known_steps(dataset: Dataset, severity: np.ndarray, split: str) -> np.ndarray:
    """Steps of a split whose severity is known, as numbers among all steps of the store."""
    steps = all_steps(dataset, split)
    return steps[np.isfinite(severity[steps])]


def all_steps(dataset: Dataset, split: str) -> np.ndarray:
    first, steps = dataset.store.first_step, dataset.steps
    return np.concatenate(
        [first[trajectory] + np.arange(steps[trajectory]) for trajectory in dataset.trajectories(split)]
    )


def rollout(recipe: Recipe, learner: Learner) -> dict[str, dict[str, float]]:
    """l1 of the rollout, and over persistence and the mean latent, at h = 1 and 48."""
    (use,) = (evaluator for evaluator in recipe.evaluators if evaluator.component.name == "rollout_drift")
    config = use.config.model_copy(
        update={"split": "tuning", "contexts": (CONTEXT,), "untrained": False, "bootstrap": 100}
    )
    evaluation = Evaluation(learner, recipe.windows.length, recipe.seed, untrained=None)
    return at_horizons(replace(use, config=config).build().evaluate(evaluation), (1, 48))


def at_horizons(findings: Findings, horizons: tuple[int, ...]) -> dict[str, dict[str, float]]:
    (table,) = (candidate for candidate in findings.tables if candidate.name == "horizons")
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    l1 = {(row["h"], row["forecast"]): row["l1"] for row in rows}
    return {
        f"h = {h}": {
            "l1": l1[h, "rollout"],
            "over_persistence": l1[h, "rollout"] / l1[h, "persistence"],
            "over_mean_latent": l1[h, "rollout"] / l1[h, "mean latent"],
        }
        for h in horizons
    }


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="clin_jepa", help="a recipe on synthetic MIMIC-IV")
    parser.add_argument("--stays", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
