from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from jepa_core.contracts import Batch, Listener, Phase
from jepa_core.errors import RunError
from jepa_core.rates import AdamwConfig, CosineConfig
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner
from jepa_core.training.optimization import make_optimizer, matrices
from jepa_core.training.schedules import Cosine


def weights_after(learner: Learner, phases: list[BuiltPhase], seed: int = 0) -> dict[str, torch.Tensor]:
    windows = learner.dataset.windows("train", 12, 4, 3)
    run_curriculum(phases, learner, windows, seed)
    return {name: value.detach().clone() for name, value in learner.weights()}


def test_the_rate_rises_from_above_zero_to_its_peak_and_falls_along_a_cosine() -> None:
    schedule = Cosine(CosineConfig(warmup=0.1, final=0.2))
    factors = [schedule.factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0 and factors[10] == 1.0
    assert factors[55] == pytest.approx(0.2 + 0.8 * 0.5)
    assert all(later <= earlier for earlier, later in zip(factors[10:], factors[11:], strict=False))
    assert factors[-1] == pytest.approx(0.2, abs=1e-3)


def test_no_warm_up_and_a_single_step_are_schedules_too() -> None:
    assert Cosine(CosineConfig(warmup=0.0)).factor(0, 10) == 1.0
    assert Cosine(CosineConfig(warmup=0.1)).factor(0, 1) == 1.0


def test_weight_decay_falls_on_every_matrix_and_on_nothing_else(make) -> None:
    learner, (built,) = make(("joint", "toy_train", {"steps": 1, "optimizer": AdamwConfig(weight_decay=0.3)}))
    groups = make_optimizer(learner, built).param_groups
    decayed = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    both = [*learner.encoder.named_parameters(), *learner.predictor.named_parameters()]
    assert {name for name, parameter in both if id(parameter) in decayed} == {
        name for name, _ in both if "bias" not in name
    }
    assert "cell.weight_hh_l0" in dict(both), "the toy predictor is a recurrent cell"


def test_tables_and_norms_are_no_matrices() -> None:
    module = torch.nn.ModuleDict({
        "linear": torch.nn.Linear(1, 3),
        "convolution": torch.nn.Conv2d(1, 2, 3),
        "recurrent": torch.nn.GRUCell(2, 3),
        "attention": torch.nn.MultiheadAttention(4, 1, add_bias_kv=True),
        "tokens": torch.nn.Embedding(5, 4),
        "bag": torch.nn.EmbeddingBag(5, 4),
        "norm": torch.nn.LayerNorm((2, 3)),
        "batch": torch.nn.BatchNorm1d(3),
    })  # fmt: skip
    found = {id(one) for one in matrices(module)}
    assert [name for name, one in module.named_parameters() if id(one) in found] == [
        "linear.weight", "convolution.weight", "recurrent.weight_ih", "recurrent.weight_hh", "attention.in_proj_weight",
        "attention.out_proj.weight",
    ]  # fmt: skip


def test_only_what_a_phase_trains_changes(make) -> None:
    learner, phases = make(("fit", "toy_fit", {"steps": 3, "batch_size": 4}))
    before = {name: value.detach().clone() for name, value in learner.weights()}
    after = weights_after(learner, phases)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"predictor"}


def test_removing_a_phase_leaves_the_batches_and_draws_of_the_others_as_they_were(make) -> None:
    """A phase that changes nothing (rates of 0) may stand before another or not."""
    still = AdamwConfig(encoder_lr=0, predictor_lr=0)
    last = ("last", "toy_train", {"steps": 4, "batch_size": 4})
    with_it = make(("still", "toy_fit", {"steps": 3, "batch_size": 4, "optimizer": still}), last)
    without = make(last)
    first, second = weights_after(*with_it), weights_after(*without)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_one_seed_gives_the_same_bits_and_another_does_not(make) -> None:
    built = ("joint", "toy_train", {"steps": 4, "batch_size": 4})
    first, again, other = (weights_after(*make(built), seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


DISPOSABLE = ("refine", "toy_disposable", {"steps": 3, "batch_size": 4})


def module_states(learner: Learner, phases: list[BuiltPhase], name: str = "refine") -> list[dict[str, torch.Tensor]]:
    """The state of a phase's own module when the phase begins and after each of its steps."""
    states = []

    class Keep(Listener):
        def phase_started(self, progress: Progress) -> None:
            if progress.current.name == name:
                module = progress.current.phase.module.state_dict()
                states.append({key: value.detach().clone() for key, value in module.items()})

        step_ended = phase_started

    windows = learner.dataset.windows("train", 12, 4, 3)
    run_curriculum(phases, learner, windows, 0, [Keep()])
    return states


def test_a_phases_own_module_is_trained_and_gone_when_the_phase_is_done(make) -> None:
    learner, phases = make(DISPOSABLE)
    names = {name for name, _ in learner.weights()}
    before, *_, after = module_states(learner, phases)
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert phases[0].phase.module is None
    assert {name for name, _ in learner.weights()} == names


def test_a_phases_own_module_begins_as_the_seed_and_the_phases_name_say(make) -> None:
    still = AdamwConfig(encoder_lr=0, predictor_lr=0)
    earlier = ("still", "toy_fit", {"steps": 3, "batch_size": 4, "optimizer": still})
    alone, after_another = module_states(*make(DISPOSABLE)), module_states(*make(earlier, DISPOSABLE))
    assert all(
        torch.equal(one[name], other[name]) for one, other in zip(alone, after_another, strict=True) for name in one
    )
    renamed = module_states(*make(("other", *DISPOSABLE[1:])), name="other")
    assert not torch.equal(alone[0]["0.weight"], renamed[0]["0.weight"])


def test_a_phases_own_module_has_the_rate_the_decay_and_the_clip_of_the_predictor(make) -> None:
    optimizer = AdamwConfig(encoder_lr=0, predictor_lr=0.5, weight_decay=0.3, predictor_clip=1e-12)
    learner, (built,) = make(("refine", "toy_disposable", {"steps": 1, "optimizer": optimizer}))
    built.phase.module = built.phase.build_module(learner.encoder.latent_dim)
    own = {id(parameter) for parameter in built.phase.module.parameters()}
    groups = [group for group in make_optimizer(learner, built).param_groups if id(group["params"][0]) in own]
    assert {id(parameter) for group in groups for parameter in group["params"]} == own
    assert [(group["peak_lr"], group["weight_decay"]) for group in groups] == [(0.5, 0.3), (0.5, 0.0)]
    plain = AdamwConfig(encoder_lr=0, predictor_lr=0.5, weight_decay=0.0, predictor_clip=1e-12)
    before, after = module_states(*make(("refine", "toy_disposable", {"steps": 1, "optimizer": plain})))
    moved = (after["0.weight"] - before["0.weight"]).abs().max()
    assert moved < 1e-3  # Adam's epsilon outweighs gradients clipped to 1e-12; unclipped, a step moves by the rate


class Kept(Listener):
    """Keeps terms and metrics of every step."""

    def __init__(self) -> None:
        self.terms: list[dict[str, torch.Tensor]] = []
        self.metrics: list[dict[str, torch.Tensor]] = []

    def step_ended(self, progress: Progress) -> None:
        self.terms.append(dict(progress.terms))
        self.metrics.append(dict(progress.metrics))


def logging_loss(phase: Phase, values: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor | float]]) -> None:
    """Have a phase log values of its terms."""
    original = phase.loss

    def loss(learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        terms = original(learner, batch, generator)
        for name, value in values(terms).items():
            learner.log(name, value)
        return terms

    phase.loss = loss  # type: ignore[method-assign]


def test_what_a_phase_logs_is_told_beside_its_terms_and_changes_no_weight(make) -> None:
    built = ("joint", "toy_train", {"steps": 3, "batch_size": 4})
    silent = weights_after(*make(built))
    learner, phases = make(built)
    logging_loss(phases[0].phase, lambda terms: {"twice": 2 * terms["prediction"], "constant": 3.0})
    kept = Kept()
    run_curriculum(phases, learner, learner.dataset.windows("train", 12, 4, 3), 0, [kept])
    assert [set(one) for one in kept.terms] == [{"prediction", "noise"}] * 3
    for terms, metrics in zip(kept.terms, kept.metrics, strict=True):
        assert metrics["twice"] == 2 * terms["prediction"] and metrics["constant"] == 3
        assert not metrics["twice"].requires_grad
    assert all(torch.equal(silent[name], value) for name, value in learner.weights())


def test_what_is_logged_must_be_one_number(make) -> None:
    learner, phases = make(("fit", "toy_fit", {"steps": 1, "batch_size": 4}))
    logging_loss(phases[0].phase, lambda terms: {"both": torch.zeros(2)})
    with pytest.raises(RunError, match=r"learner.log\('both', ...\) takes one number, not a tensor of shape \(2,\)"):
        weights_after(learner, phases)


def test_a_loss_that_is_not_finite_is_reported_with_its_first_step() -> None:
    progress = Progress([BuiltPhase("broken", phase=None)], learner=None, step=5)
    progress.first_bad_step = torch.tensor(2)
    progress.terms = {"prediction": torch.tensor(float("nan"))}
    with pytest.raises(RunError, match="phase 'broken' was not finite at step 3 .*prediction = nan"):
        progress.check_finite()
