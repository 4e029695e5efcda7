"""What the harness works on: small recipes, data with canaries in every value, finished runs, and what they found."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import children
import pyarrow as pa
import pyarrow.parquet as pq
from children import Ended
from trial import CANARY

RECIPE = """\
extends: five_phases
source: {use: oscillators, shortest: 20, longest: 30, trajectories: 30}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
predictor: {use: gru, width: 8}
windows: {length: 16, stride: 8, min_length: 4}
curriculum:
  - {use: predictor_warmup, steps: 3, batch_size: 4, objectives: [{use: grounding, windows: [[0, 1]]}]}
  - {use: joint_refinement, steps: 3, batch_size: 4}
evaluators: [{use: channel_forecast, context: 6, horizon: 4, least_values: 5, stride: 4, bootstrap: 100}]
runtime: {checkpoint_every: 2, threads: 1}
"""
PUSH = "acts:\n  - {channel: push, value: 2.0, unit: N, from: 6, to: 9}\n"
STUDY = """\
base: toy.yaml
seeds: [0]
reference: full
variants:
  full: {}
  shorter: {change: {curriculum: {joint_refinement: null}}, steps: as_written}
"""
TRACKED = RECIPE + "trackers:\n  - {use: tensorboard, folder: curves}\n  - {use: mlflow, uri: 'sqlite:///m.db'}\n"
SENSORS = """\
extends: toy.yaml
source:
  use: table
  files: table.csv
  id: machine
  time: second
  states: [position, speed]
  actions: push
  outcomes: {bad: {column: bad}}
  split: {fractions: [0.5, 0.2, 0.3]}
windows: {length: 8, stride: 4, min_length: 4}
curriculum: [{use: predictor_warmup, steps: 3, batch_size: 4}]
evaluators:
  - {use: prediction_tasks, name: tasks, components: 4, methods: [latents, train_mean], bootstrap: 100,
     tasks: [{outcome: bad, after: 3}]}
"""
MEDS = """\
extends: clin_jepa_ungrounded
source:
  use: meds
  path: meds
  trajectory: {start: ICU_ADMISSION, end: ICU_DISCHARGE}
  actions: [INFUSION]
  split: {from: seed}
encoder: {weights: random, random: {hidden_size: 8, layers: 1, heads: 1, kv_heads: 1, head_dim: 8, vocabulary: 300}}
evaluators: {latent_displacement: null, decoded_forecast: null, risk_tasks: null, early_events: null}
"""
MIMIC = """\
extends: clin_jepa
source: {use: mimic_iv, tables: mimic}
encoder: {weights: random, random: {hidden_size: 8, layers: 1, heads: 1, kv_heads: 1, head_dim: 8, vocabulary: 300}}
"""


@dataclass(frozen=True)
class Scene:
    """Files and finished runs in a folder, each made when it is first asked for."""

    folder: Path

    @cached_property
    def toy(self) -> Finished:
        """A run of oscillators, in `runs/whole`."""
        for name, text in (("toy.yaml", RECIPE), ("push.yaml", PUSH), ("study.yaml", STUDY)):
            (self.folder / name).write_text(text)
        (self.folder / "new.json").write_text(json.dumps({"seed": 5, "trajectories": 8}))
        done = _well(["run", "toy.yaml", "--out", "runs/whole", "--quiet"], self.folder)
        run = self.folder / "runs" / "whole"
        return Finished(run, findings_of(run), done.seconds)

    @cached_property
    def sensors(self) -> Finished:
        """A run of a table, in `machines/runs/whole`, with a head that scores."""
        folder = self.folder / "machines"
        folder.mkdir()
        (folder / "toy.yaml").write_text(RECIPE)
        (folder / "sensors.yaml").write_text(SENSORS)
        (folder / "table.csv").write_text(csv_of(machines()))
        done = _well(["run", "sensors.yaml", "--out", "runs/whole", "--quiet"], folder)
        run = folder / "runs" / "whole"
        return Finished(run, findings_of(run), done.seconds)

    @cached_property
    def study(self) -> dict[str, bytes]:
        """What a study found that nothing struck, by file."""
        assert self.toy
        _well(["study", "study.yaml", "--out", "study", "--jobs", "1"], self.folder)
        return study_findings(self.folder / "study")

    @cached_property
    def export(self) -> Path:
        _well(["export", str(self.toy.run), "--to", "exported"], self.folder)
        return self.folder / "exported"

    @cached_property
    def imagined(self) -> str:
        """What `imagine` says of the toy run."""
        asked = ["imagine", str(self.toy.run), "--data", "new.json", "--actions", "push.yaml", "--at", "6"]
        return _well(asked, self.folder).words

    def said(self, asked: Sequence[str]) -> str:
        """What a command that reads alone says of the toy run, in its place."""
        return self._said.setdefault(tuple(asked), _well(list(asked), self.folder).words)

    @cached_property
    def _said(self) -> dict[tuple[str, ...], str]:
        return {}

    @cached_property
    def scores(self) -> str:
        """What `predict` says of the machines."""
        folder = self.sensors.run.parents[1]
        return _well([*PREDICT, "--quiet"], folder).words

    @cached_property
    def meds(self) -> Path:
        """A MEDS folder with canaries, in `clinic`, beside its recipe."""
        folder = self.folder / "clinic"
        folder.mkdir()
        (folder / "meds.yaml").write_text(MEDS)
        events = stays(12)
        for number, part in enumerate((events.slice(0, len(events) // 2), events.slice(len(events) // 2))):
            (folder / "meds" / "data").mkdir(parents=True, exist_ok=True)
            pq.write_table(part, folder / "meds" / "data" / f"{number}.parquet")
        (folder / "meds" / "metadata").mkdir()
        facts = {"dataset_name": "HAND", "dataset_version": "1", "meds_version": "0.4.0"}
        (folder / "meds" / "metadata" / "dataset.json").write_text(json.dumps(facts))
        _well(["prepare", "meds.yaml", "--workers", "1"], folder)
        return folder

    @cached_property
    def backbone(self) -> Path:
        """A folder of a small random model of texts, as one would download it."""
        import torch
        from transformers import BertConfig, BertModel
        from transformers.utils import logging

        from jepa_text.tokenizer import fit_tokenizer

        torch.manual_seed(0)
        sizes = {"vocab_size": 300, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = BertModel(BertConfig(**sizes, intermediate_size=8))
        folder = self.folder / "backbone"
        logging.disable_progress_bar()
        model.save_pretrained(folder)
        fit_tokenizer(["position 0.31 m; speed -0.95 m/s", "push 1 N"] * 50, 300).save(str(folder / "tokenizer.json"))
        return folder

    @cached_property
    def mimic(self) -> Path:
        """Tables of invented patients, in `ward`, beside their recipe."""
        from jepa_mimic_iv.synthetic import write_tables

        folder = self.folder / "ward"
        folder.mkdir()
        (folder / "mimic.yaml").write_text(MIMIC)
        write_tables(folder / "mimic", stays=12, seed=0)
        _well(["prepare", "mimic.yaml", "--workers", "1"], folder)
        return folder


PREDICT = ["predict", "runs/whole", "--data", "table.csv", "--task", "bad", "--at", "3"]


@dataclass(frozen=True)
class Finished:
    """A run, what it found by file, and how long it took."""

    run: Path
    findings: dict[str, bytes]
    seconds: float


def findings_of(run: Path) -> dict[str, bytes]:
    """The findings of a run, byte by byte."""
    return {path.name: path.read_bytes() for path in sorted((run / "findings").glob("*.json"))}


def study_findings(folder: Path) -> dict[str, bytes]:
    """The findings of all runs of a study, by run and file."""
    runs = sorted(path.parent for path in (folder / "runs").glob("*/findings"))
    return {f"{run.name}/{name}": content for run in runs for name, content in findings_of(run).items()}


def machines(count: int = 40, steps: int = 12) -> list[dict[str, object]]:
    """Rows of a table of machines; every number ends with the same digits."""
    draw = random.Random(0)
    rows: list[dict[str, object]] = []
    for machine in range(count):
        bad = draw.random() < 0.5
        for second in range(steps):
            position, speed = draw.randrange(100) / 100 + bad, draw.randrange(100) / 100
            rows.append({
                "machine": f"{CANARY}{machine:03d}", "second": second, "position": f"{position:.2f}73951",
                "speed": f"{speed:.2f}73951", "push": draw.randrange(3), "bad": int(bad),
                "note": CANARY if second % 5 else "",
            })  # fmt: skip
    return rows


def csv_of(rows: Sequence[dict[str, object]]) -> str:
    """Rows as CSV."""
    return "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]) + "\n"


def stays(count: int) -> pa.Table:
    """Events of stays in intensive care, in the form of MEDS, with canaries as identifiers, times and words."""
    start, rows = datetime(2150, 3, 1, 10, 20), []
    for number in range(count):
        told = [
            (None, "GENDER//F", None, None), (-30.0, "LAB", 9.0, None), (0.0, "ICU_ADMISSION", None, None),
            *((hour + 0.5, "LAB", 1 + (number + hour) % 7 + 0.73951, None) for hour in range(8)),
            (3.0, "INFUSION", 0.5, CANARY), (4.0, "REMARK", None, CANARY), (9.0, "ICU_DISCHARGE", None, None),
            (11.0, "MEDS_DEATH", None, None),
        ]  # fmt: skip
        for hours, code, value, words in sorted(told, key=lambda event: -99 if event[0] is None else event[0]):
            time = None if hours is None else start + timedelta(hours=hours)
            rows.append((77_000_001 + number, time, code, value, words))
    kinds = (pa.int64(), pa.timestamp("us"), pa.string(), pa.float32(), pa.large_string())
    names = ("subject_id", "time", "code", "numeric_value", "text_value")
    return pa.table(list(map(list, zip(*rows, strict=True))), pa.schema(list(zip(names, kinds, strict=True))))


def _well(arguments: list[str], folder: Path) -> Ended:
    """A command that nothing disturbs, which all others are held against."""
    done = children.run(arguments, folder)
    if done.code != 0:
        raise SystemExit(f"{' '.join(arguments)} failed, undisturbed:\n{done.words}")
    return done
