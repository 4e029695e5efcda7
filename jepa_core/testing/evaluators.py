"""Checks of evaluators, on oscillators and a tiny learner."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import EvaluatorConfig
from jepa_core.contracts import Channels, Encoder, Evaluation, Evaluator, Head, Intervals, Readout
from jepa_core.data.dataset import Dataset
from jepa_core.errors import DataError
from jepa_core.model.view import View
from jepa_core.results.findings import Findings, Predictions
from jepa_core.results.heads import read_heads, write_heads
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    LATENT,
    WINDOW,
    NotApplicable,
    differing,
    oscillators,
    quietly,
    require,
    require_no_global_draws,
    require_silent,
    scramble_global_states,
    scratch,
    snapshot,
    tiny_learner,
)
from jepa_core.testing.peers import in_step
from jepa_core.training.learner import Learner
from jepa_core.training.processes import Peers

TRAJECTORIES = 80
REPEATS = 4
"""Resampling rows in place of subjects halves an interval when every trajectory stands there four times."""
NARROWED = 0.75


class EvaluatorBench(base.Bench):
    """An evaluator."""

    @cached_property
    def evaluator_config(self) -> EvaluatorConfig:
        return cast(EvaluatorConfig, self.config)

    @cached_property
    def dataset(self) -> Dataset:
        return oscillators(trajectories=TRAJECTORIES)

    @cached_property
    def own_findings(self) -> Findings:
        """Its findings; to be left as they are."""
        return self.findings()

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Its findings, as plain values."""
        return self.own_findings.to_dict()

    @property
    def evaluator(self) -> Evaluator:
        return self.component.load()(self.evaluator_config)

    def evaluation(
        self, dataset: Dataset | None = None, learner: Learner | None = None, control: bool = True
    ) -> Evaluation:
        """An untrained learner to be measured; `control` offers a learner of other weights as the control."""
        dataset = self.dataset if dataset is None else dataset
        learner = tiny_learner(dataset) if learner is None else learner
        learner.freeze()
        return Evaluation(
            learner=learner,
            window_length=WINDOW,
            seed=0,
            untrained=(lambda: _frozen(tiny_learner(dataset, seed=1))) if control else None,
            scratch=scratch() / "evaluation",
        )

    def findings(
        self, dataset: Dataset | None = None, learner: Learner | None = None, control: bool = True
    ) -> Findings:
        """What it finds of such an evaluation."""
        with quietly():
            return self.evaluator.evaluate(self.evaluation(dataset, learner, control))


def _frozen(learner: Learner) -> Learner:
    learner.freeze()
    return learner


class _Constant(Encoder[Channels]):
    """One latent for all items: a learner that has collapsed."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_dim = LATENT
        self.bias = nn.Parameter(torch.ones(LATENT))

    def forward(self, items: Channels) -> Tensor:
        return self.bias.expand(len(items.values), -1)


def _cells(plain: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Everything in findings that is not a text, with its place."""
    for headline in plain["headlines"]:
        yield from ((f"headline '{headline['label']}'", headline[key]) for key in ("value", "low", "high"))
    for table in plain["tables"]:
        yield from ((f"table '{table['name']}'", cell) for row in table["rows"] for cell in row)


def check_returns_findings(bench: EvaluatorBench) -> None:
    """It returns findings with something in them: what could not be measured is null with a reason, never left out."""
    findings = bench.own_findings
    require(isinstance(findings, Findings), f"evaluate returned {type(findings).__name__}; return Findings")
    require(
        findings.headlines or findings.tables or findings.verdicts,
        "the findings are empty; give a headline whose value is None, and whose note says why",
    )


def check_json_serialisable(bench: EvaluatorBench) -> None:
    """The findings are plain values without NaN, and come back from JSON as they were: reports are made from files."""
    try:
        stored = json.loads(json.dumps(bench.plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        strange = [position for position, cell in _cells(bench.plain) if not isinstance(cell, str | int | float | None)]
        raise AssertionError(
            f"JSON does not hold the findings ({error}){': ' + strange[0] if strange else ''}; use float() and int(), "
            "and None for NaN"
        ) from None
    require(Findings.from_dict(stored).to_dict() == stored, "the findings changed on their way through JSON")


def check_kept_heads(bench: EvaluatorBench) -> None:
    """What it kept (`Findings.heads`) comes back from files as what it was: a head scores the rows of its predictions
    as they say, to the bit, whatever other rows are asked for; a readout gives a value a channel."""
    evaluation = bench.evaluation()
    with quietly():
        findings = bench.evaluator.evaluate(evaluation)
    if not findings.heads:
        raise NotApplicable("it keeps no heads")
    folder = Path(tempfile.mkdtemp(dir=scratch())) / "heads"
    write_heads(folder, findings.heads, {})
    for kept in read_heads(folder)[1]:
        head = bench.evaluator.head(kept)
        if isinstance(head, Readout):
            read = head.decode(np.zeros((2, 3, LATENT), dtype=np.float32))
            wanted = (2, 3, len(head.channels))
            require(read.shape == wanted, f"the readout '{kept.name}' gave {read.shape} for {wanted}")
            continue
        if isinstance(head, Intervals):
            shapes = {part.shape for part in head.at([*head.names, "unknown"], 1)}
            require(shapes == {(1, len(head.names) + 1)}, f"the intervals '{kept.name}' gave {shapes} at one step")
            continue
        for told in findings.predictions:
            if (told.task, told.method) == (kept.task, kept.method):
                _require_same_scores(head, evaluation, told)


def _require_same_scores(head: Head, evaluation: Evaluation, told: Predictions) -> None:
    """Refuse a head that scores the rows otherwise, all at once or those of one trajectory by themselves."""
    last = told.trajectory == told.trajectory[-1]
    for part in (slice(None), last):
        trajectory, step = told.trajectory[part], told.step[part]
        try:
            scores = head.scores(View.of(evaluation.learner, evaluation), trajectory, step)
        except DataError:
            return  # what it read is not kept, such as an untrained control
        require(
            np.array_equal(scores, told.score[part]),
            f"the head of '{told.task}' by '{told.method}' scores rows otherwise than its predictions; keep all that "
            "it was fitted to, and let no score depend on the rows beside it (matrix products do, by rounding)",
        )
    for length in (1, int(told.step.max()) + 1):
        steps = head.steps(length)
        require(
            len(steps) == 0 or (steps.min() >= 0 and steps.max() < length),
            f"the head of '{told.task}' scores steps that a trajectory of {length} steps has not",
        )


def check_learner_unchanged(bench: EvaluatorBench) -> None:
    """It leaves the learner as it was given: weights, what trains, modes. Another evaluator comes after it."""
    learner = tiny_learner(bench.dataset)
    learner.freeze()
    before, flags = snapshot(dict(learner.weights())), _flags(learner)
    bench.findings(learner=learner)
    changed = differing(before, dict(learner.weights()))
    require(not changed, f"it changed {', '.join(changed[:3])} of the learner; work on a copy")
    require(_flags(learner) == flags, "it left modules in training mode, or parameters asking for gradients; undo that")


def _flags(learner: Learner) -> list[bool]:
    modules = (learner.encoder, learner.predictor)
    return [part.training for module in modules for part in module.modules()] + [
        parameter.requires_grad for module in modules for parameter in module.parameters()
    ]


def check_data_unchanged(bench: EvaluatorBench) -> None:
    """It leaves the dataset's arrays as they were: others read the same ones."""
    dataset = bench.dataset
    before = [array.copy() for array in (dataset.subject, dataset.split, dataset.steps)]
    bench.findings()
    for name, value, other in zip(
        ("subject", "split", "steps"), before, (dataset.subject, dataset.split, dataset.steps), strict=True
    ):
        require(np.array_equal(value, other), f"it wrote on dataset.{name}; work on a copy")


def check_deterministic_by_seed(bench: EvaluatorBench) -> None:
    """Findings are a function of learner, data and seed alone: two runs write the same bytes. No global random state
    is used or seeded."""
    scramble_global_states(1)
    torch.manual_seed(1)
    first = bench.findings().to_dict()
    scramble_global_states(2)
    torch.manual_seed(2)
    again: dict[str, Any] = {}
    learner = tiny_learner(bench.dataset)
    require_no_global_draws(lambda: again.update(bench.findings(learner=learner, control=False).to_dict()))
    require(
        first == bench.findings().to_dict(),
        "two evaluations with one seed found two things; draw from numpy.random.default_rng(evaluation.seed)",
    )


def check_null_has_reason(bench: EvaluatorBench) -> None:
    """Where nothing can be measured (windows of two steps, hardly a subject, one class) it fails in no way: what is
    missing is null, with the reason in `note`."""
    short = oscillators(trajectories=6, shortest=2, longest=2)
    plain = bench.findings(dataset=short).to_dict()
    require(any(plain.values()), "the findings are empty; give a headline whose value is None, and whose note says why")
    json.dumps(plain, allow_nan=False)
    silent = [
        headline["label"] for headline in plain["headlines"] if headline["value"] is None and not headline["note"]
    ]
    silent += [
        table["name"] for table in plain["tables"]
        if not table["note"] and any(cell is None for row in table["rows"] for cell in row)
    ]  # fmt: skip
    require(not silent, f"{', '.join(silent[:3])} lacks a value and does not say why; put the reason into `note`")


def check_collapsed_learner_survived(bench: EvaluatorBench) -> None:
    """A learner whose latents are all the same is evaluated too, without NaN: it is the failure to be told of."""
    learner = tiny_learner(bench.dataset, encoder=_Constant())
    json.dumps(bench.findings(learner=learner).to_dict(), allow_nan=False)


def check_untrained_control_is_optional(bench: EvaluatorBench) -> None:
    """It does without the untrained control where the curriculum cannot make one (`untrained` is None)."""
    require(any(bench.findings(control=False).to_dict().values()), "without a control it found nothing")


def check_n_beside_figures(bench: EvaluatorBench) -> None:
    """Every headline with a value has its n, and lies in its interval: a figure without n cannot be judged."""
    for headline in bench.plain["headlines"]:
        if headline["value"] is not None:
            require(
                headline["n"],
                f"the headline '{headline['label']}' has no n; say of how many it is, and of what (n_unit)",
            )
            low, high = headline["low"], headline["high"]
            require((low is None) == (high is None), f"the headline '{headline['label']}' has one bound of two")
            require(low is None or low <= high, f"the interval of the headline '{headline['label']}' is upside down")


def check_intervals_by_subject(bench: EvaluatorBench) -> None:
    """Intervals resample subjects: when every trajectory stands in the data four times under its one subject, nothing
    more is known, and they are no narrower."""
    repeated = oscillators(trajectories=TRAJECTORIES, repeats=REPEATS)
    once, often = (_widths(page) for page in (bench.plain, bench.findings(dataset=repeated).to_dict()))
    if not once:
        raise NotApplicable("it gives no headline with an interval on the tiny data")
    narrowed = [label for label, width in once.items() if often.get(label, width) < NARROWED * width]
    require(
        not narrowed,
        f"the interval of {', '.join(narrowed)} narrows when trajectories are repeated under the same subjects; "
        "resample subjects, for example with jepa_core.results.statistics.bootstrap_subjects",
    )


def _widths(plain: dict[str, Any]) -> dict[str, float]:
    return {
        headline["label"]: headline["high"] - headline["low"]
        for headline in plain["headlines"]
        if headline["low"] is not None and headline["high"] is not None and headline["high"] > headline["low"]
    }


def check_shared_alike(bench: EvaluatorBench) -> None:
    """Processes that share its work find what one finds, be they on one machine or on two: each of them runs it, and
    what is divided (`jepa_core.training.shares`) is put together in the order that one process has."""
    alone = bench.findings(learner=tiny_learner(bench.dataset), control=False).to_dict()
    for own_machines in (False, True):
        learners = [tiny_learner(bench.dataset) for _ in range(2)]

        def shared(processes: Peers, learners: list[Learner] = learners) -> dict[str, Any]:
            learner = learners[processes.number]
            learner.processes = processes
            return bench.findings(learner=learner, control=False).to_dict()

        for plain in in_step(2, shared, own_machines):
            require(
                plain == alone,
                "two processes that share its work find something else than one; compute each part as one process "
                "does, and do the same in every process",
            )


def check_no_prints(bench: EvaluatorBench) -> None:
    """The evaluator prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(bench.findings)
