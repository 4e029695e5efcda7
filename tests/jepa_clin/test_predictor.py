"""The action transformer against the naive recomputation of the whole history."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Latents
from jepa_core.errors import JepaError

SMALL = ActionTransformerConfig(
    width=16, layers=2, heads=2, feedforward=24, max_steps=12, dropout=0.0, attention_dropout=0.0
)
LATENT_DIM = 6
LENGTHS = (10, 7, 4)
ORIGINS = torch.tensor([[0, 5, 3], [2, 2, 6], [3, 0, 1]])
HORIZON = 5


@pytest.fixture(params=["interleaved", "joined"])
def small(request: pytest.FixtureRequest) -> ActionTransformerConfig:
    """A small predictor of either layout."""
    return SMALL.model_copy(update={"layout": request.param})


def make_predictor(config: ActionTransformerConfig = SMALL, dtype: torch.dtype = torch.float32) -> ActionTransformer:
    torch.manual_seed(0)
    predictor = ActionTransformer(config, LATENT_DIM).to(dtype)
    # The small initial output would hide errors in what a rollout feeds back.
    torch.nn.init.normal_(predictor.output.weight, std=0.3)
    return predictor.eval()


def make_latents(dtype: torch.dtype = torch.float32, requires_grad: bool = False) -> Latents:
    draw = torch.Generator().manual_seed(1)
    windows, steps = len(LENGTHS), max(LENGTHS) + HORIZON - 3

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, LATENT_DIM, generator=draw, dtype=dtype).requires_grad_(requires_grad)

    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return Latents(normal(windows), normal(windows, max(LENGTHS)), normal(windows, steps), mask)


def recompute_rollout(predictor: ActionTransformer, latents: Latents, row: int, origin: int, horizon: int) -> Tensor:
    """Roll out one origin of one window by running the whole history again at every step: (H, D)."""
    states, rolled = latents.states[row : row + 1, : origin + 1], []
    for _ in range(horizon):
        length = states.shape[1]
        actions = latents.actions[row : row + 1, :length]
        history = Latents(latents.static[row : row + 1], states, actions, torch.ones(1, length, dtype=torch.bool))
        rolled.append(predictor(history).next_states[:, -1])
        states = torch.cat((states, rolled[-1][:, None]), dim=1)
    return torch.cat(rolled)


def recompute_all(predictor: ActionTransformer, latents: Latents) -> Tensor:
    """The naive rollouts from ORIGINS: (B, M, H, D)."""
    windows = [
        torch.stack([recompute_rollout(predictor, latents, row, int(origin), HORIZON) for origin in origins])
        for row, origins in enumerate(ORIGINS)
    ]
    return torch.stack(windows)


def roll(predictor: ActionTransformer, latents: Latents, origins: Tensor = ORIGINS, horizon: int = HORIZON) -> Tensor:
    return predictor.rollout(latents, predictor(latents).memory, origins, horizon).states


@pytest.mark.parametrize("output", ["absolute", "residual"])
@pytest.mark.parametrize("gradients", [True, False])
def test_rollout_equals_recomputing_the_history(output: str, gradients: bool, small: ActionTransformerConfig) -> None:
    predictor = make_predictor(small.model_copy(update={"output": output}), torch.float64)
    latents = make_latents(torch.float64)
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(roll(predictor, latents), recompute_all(predictor, latents), atol=1e-10, rtol=0)


def test_rollout_has_the_gradients_of_recomputing_the_history(small: ActionTransformerConfig) -> None:
    predictor = make_predictor(small, dtype=torch.float64)
    gradients = []
    for compute in (roll, recompute_all):
        latents = make_latents(torch.float64, requires_grad=True)
        leaves = [latents.static, latents.states, latents.actions, *predictor.parameters()]
        gradients.append(torch.autograd.grad(compute(predictor, latents).sin().sum(), leaves))
    assert all(gradient.abs().sum() > 0 for gradient in gradients[0])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-10, rtol=1e-8)


def test_a_memory_serves_several_rollouts(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    with torch.no_grad():
        memory = predictor(latents).memory
        first = predictor.rollout(latents, memory, ORIGINS, HORIZON).states
        predictor.rollout(latents, memory, ORIGINS[:, :1], 2)
        assert torch.equal(first, predictor.rollout(latents, memory, ORIGINS, HORIZON).states)


def test_a_memory_for_some_origins_serves_rollouts_from_these(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small, torch.float64), make_latents(torch.float64)
    with torch.no_grad():
        rolled = predictor.rollout(latents, predictor.memory_for(latents, ORIGINS), ORIGINS, HORIZON)
        expected = predictor.rollout(latents, predictor(latents).memory, ORIGINS, HORIZON)
    torch.testing.assert_close(rolled.states, expected.states, atol=1e-12, rtol=0)
    torch.testing.assert_close(rolled.belief, expected.belief, atol=1e-12, rtol=0)


def test_the_last_layer_feeds_the_origins_alone_to_a_memory_for_them(small: ActionTransformerConfig) -> None:
    predictor, fed = make_predictor(small), list[int]()
    predictor.layers[1].feedforward[0].register_forward_pre_hook(lambda _, given: fed.append(given[0].shape[1]))
    predictor.memory_for(make_latents(), ORIGINS)
    assert fed == [ORIGINS.shape[1]]


def test_first_entry_of_a_rollout_is_the_teacher_forced_prediction(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small).train(), make_latents()
    prediction = predictor(latents)
    rolled = predictor.rollout(latents, prediction.memory, torch.tensor([[4], [3], [2]]), 3)
    first = torch.arange(3), torch.tensor([4, 3, 2])
    assert torch.equal(rolled.states[:, 0, 0], prediction.next_states[first])
    assert torch.equal(rolled.belief[:, 0, 0], prediction.belief[first])


def test_states_are_read_from_their_beliefs_real_or_imagined(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    prediction = predictor(latents)
    rolled = predictor.rollout(latents, prediction.memory, ORIGINS, HORIZON)
    torch.testing.assert_close(predictor.output(prediction.belief), prediction.next_states)
    torch.testing.assert_close(predictor.output(rolled.belief), rolled.states)


def test_padding_changes_nothing(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    padding = ~latents.mask[..., None]
    other = replace(latents, states=latents.states.masked_fill(padding, 50.0))
    before, after = predictor(latents).next_states, predictor(other).next_states
    torch.testing.assert_close(after[latents.mask], before[latents.mask])
    torch.testing.assert_close(roll(predictor, other), roll(predictor, latents))


def test_a_prediction_sees_no_later_state_and_no_later_action(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    before = predictor(latents).next_states
    for step in range(1, LENGTHS[0]):
        states, actions = latents.states.clone(), latents.actions.clone()
        states[:, step:] += 1
        actions[:, step:] -= 1
        after = predictor(replace(latents, states=states, actions=actions)).next_states
        torch.testing.assert_close(after[:, :step], before[:, :step])
        assert not torch.allclose(after[0, step], before[0, step])


def test_a_prediction_sees_static_facts_every_earlier_step_and_the_present_action(
    small: ActionTransformerConfig,
) -> None:
    predictor, latents = make_predictor(small, dtype=torch.float64), make_latents(torch.float64, requires_grad=True)
    predicted = predictor(latents).next_states[0, 3].sum()
    static, states, actions = torch.autograd.grad(predicted, (latents.static, latents.states, latents.actions))
    assert static[0].abs().sum() > 0
    seen = torch.arange(10) < 4
    assert torch.equal(states[0].abs().sum(-1) > 0, seen)
    assert torch.equal(actions[0, :10].abs().sum(-1) > 0, seen)
    assert static[1:].abs().sum() == states[1:].abs().sum() == actions[1:].abs().sum() == 0


def test_a_rollout_sees_no_state_after_its_origin_and_no_action_that_is_still_to_come(
    small: ActionTransformerConfig,
) -> None:
    predictor, latents = make_predictor(small), make_latents()
    origins = torch.full((3, 1), 3)
    before = roll(predictor, latents, origins)
    states, actions = latents.states.clone(), latents.actions.clone()
    states[:, 4:] += 1
    actions[:, 6:] -= 1
    after = roll(predictor, replace(latents, states=states, actions=actions), origins)
    torch.testing.assert_close(after[:, :, :3], before[:, :, :3])
    assert not torch.allclose(after[:, :, 3], before[:, :, 3])


def test_rollouts_of_one_window_do_not_see_one_another(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    together = roll(predictor, latents)
    for column in range(ORIGINS.shape[1]):
        alone = roll(predictor, latents, ORIGINS[:, column : column + 1])
        torch.testing.assert_close(together[:, column : column + 1], alone)


def test_residual_output_adds_to_the_present_state(small: ActionTransformerConfig) -> None:
    latents = make_latents()
    absolute = make_predictor(small)
    residual = make_predictor(small.model_copy(update={"output": "residual"}))
    torch.testing.assert_close(residual(latents).next_states, latents.states + absolute(latents).next_states)


def test_dropout_acts_in_training_only(small: ActionTransformerConfig) -> None:
    latents = make_latents()
    predictor = make_predictor(small.model_copy(update={"dropout": 0.5, "attention_dropout": 0.5}))
    assert torch.equal(roll(predictor, latents), roll(predictor, latents))
    predictor.train()
    assert not torch.equal(roll(predictor, latents), roll(predictor, latents))


@pytest.mark.parametrize(
    ("origin", "horizon", "message"),
    [
        (9, 6, "positions for 15 steps"),
        (10, 1, "memory holds the steps 0 to 9"),
        (-1, 1, "from -1"),
        (3, 0, "at least 1 step"),
    ],
)
def test_a_rollout_out_of_reach_is_refused(origin: int, horizon: int, message: str) -> None:
    predictor, latents = make_predictor(), make_latents()
    latents = replace(latents, actions=latents.actions.repeat(1, 3, 1))
    with pytest.raises(ValueError, match=message) as caught:
        roll(predictor, latents, torch.full((3, 1), origin), horizon)
    assert isinstance(caught.value, JepaError)


def test_a_rollout_reaches_the_last_position_and_the_last_action(small: ActionTransformerConfig) -> None:
    predictor, latents = make_predictor(small), make_latents()
    latents = replace(latents, actions=latents.actions.repeat(1, 3, 1)[:, : small.reach])
    assert roll(predictor, latents, torch.full((3, 1), 9), small.reach - 9).shape == (3, 1, small.reach - 9, LATENT_DIM)


def test_a_rollout_without_enough_actions_is_refused() -> None:
    predictor, latents = make_predictor(), make_latents()
    with pytest.raises(ValueError, match="needs 11 actions; 10 are given"):
        roll(predictor, replace(latents, actions=latents.actions[:, :10]), torch.full((3, 1), 8), 3)


def test_windows_longer_than_the_position_table_are_refused() -> None:
    short = make_latents()
    long = Latents(short.static, short.states.repeat(1, 2, 1), short.actions.repeat(1, 2, 1), short.mask.repeat(1, 2))
    with pytest.raises(ValueError, match="20 steps, and the predictor has positions for 14"):
        make_predictor()(long)


def test_the_papers_sizes_give_the_papers_parameter_count() -> None:
    config = ActionTransformerConfig()
    with torch.device("meta"):
        predictor = ActionTransformer(config, 4096)
    assert sum(parameter.numel() for parameter in predictor.parameters()) == 92_514_304
    assert config.size(4096).parameters == config.size(4096).trainable == 92_514_304


def test_size_counts_the_parameters_of_any_predictor(small: ActionTransformerConfig) -> None:
    assert (
        sum(parameter.numel() for parameter in make_predictor(small).parameters()) == small.size(LATENT_DIM).parameters
    )


@pytest.mark.parametrize("layout", ["interleaved", "joined"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activation_estimate_is_near_what_a_training_step_keeps(dropout: float, layout: str) -> None:
    config = ActionTransformerConfig(
        width=64, layers=3, heads=4, feedforward=256, max_steps=24, dropout=dropout, attention_dropout=dropout,
        layout=layout,
    )  # fmt: skip
    predictor, steps = ActionTransformer(config, 48), 24
    states, actions = torch.randn(2, 4, steps, 48)
    latents = Latents(torch.randn(4, 48), states, actions, torch.ones(4, steps, dtype=torch.bool))
    weights = {parameter.untyped_storage().data_ptr() for parameter in predictor.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        predicted = predictor(latents).next_states
    measured = sum(size for pointer, size in kept.items() if pointer not in weights)
    assert predicted.requires_grad
    assert 0.75 < config.activation_bytes(4, steps, 48) / measured < 1.5


@pytest.mark.parametrize(("layout", "tokens"), [("interleaved", 21), ("joined", 11)])
def test_the_last_layer_carries_on_the_states_alone(layout: str, tokens: int) -> None:
    predictor, seen = make_predictor(SMALL.model_copy(update={"layout": layout})), list[int]()
    for layer in predictor.layers:
        layer.feedforward[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    predictor(make_latents())
    assert seen == [tokens, 10]


def test_joined_tokens_take_half_the_operations() -> None:
    interleaved, joined = (ActionTransformerConfig(layout=layout) for layout in ("interleaved", "joined"))
    assert joined.flops(8, 72, 64, True) < 0.6 * interleaved.flops(8, 72, 64, True)


def test_heads_must_divide_width() -> None:
    with pytest.raises(ValueError, match=r"heads \(8\) must divide width \(100\)"):
        ActionTransformerConfig(width=100)


def test_initial_weights_follow_the_reference() -> None:
    torch.manual_seed(0)
    predictor = ActionTransformer(ActionTransformerConfig(width=128, layers=1, heads=4, feedforward=256), 96)
    assert predictor.output.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert predictor.positions.weight.std().item() == pytest.approx(0.02, rel=0.05)
    bound = (6 / (128 + 3 * 128)) ** 0.5
    largest = predictor.layers[0].query_key_value.weight.abs().max().item()
    assert 0.99 * bound < largest <= bound
    assert all(not module.bias.any() for module in predictor.modules() if isinstance(module, torch.nn.Linear))


@pytest.mark.parametrize("layout", ["interleaved", "joined"])
@pytest.mark.parametrize("training", [False, True])
def test_operations_are_about_as_many_as_torch_counts(training: bool, layout: str) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    config = ActionTransformerConfig(width=32, layers=3, heads=4, feedforward=64, max_steps=20, layout=layout)
    predictor = ActionTransformer(config, 24)
    draw = torch.randn
    latents = Latents(draw(2, 24), draw(2, 9, 24), draw(2, 9, 24), torch.ones(2, 9, dtype=torch.bool))
    # Other kernels of attention are not counted on every machine.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        predicted = predictor(latents).next_states
        if training:
            predicted.sum().backward()
    # The latents of this test need no gradient, those of an encoder that trains do.
    assert config.flops(2, 9, 24, training) == pytest.approx(counter.get_total_flops(), rel=0.05 if training else 0)
