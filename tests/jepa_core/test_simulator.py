"""Made data run on under chosen acts."""

import numpy as np
import pytest

from jepa_core.contracts import Act
from jepa_core.errors import DataError
from jepa_core.testing.bench import oscillators
from jepa_core.testing.oscillator_parts import CHANNELS, POSITION, SPEED, DrawnOscillators, Oscillators
from jepa_core.testing.oscillators import OscillatorsConfig

AT, HORIZON = 4, 5
EXACT = {"noise": 0.0, "gaps": 0.0, "shortest": AT + HORIZON}


@pytest.mark.parametrize("samples", [1, 3])
def test_oscillators_pushed_as_they_were_are_those_of_the_data(samples: int) -> None:
    store = oscillators(**EXACT, samples=samples).store
    source = Oscillators(OscillatorsConfig(**EXACT, samples=samples))
    simulated = source.simulator().simulate(store.identifier, [[]] * len(store), AT, HORIZON, "recorded")
    for row, (_, alone) in enumerate(store.each(np.arange(len(store)))):
        values = source.render(alone, CHANNELS, "channels").state[AT : AT + HORIZON].mean(axis=2)
        np.testing.assert_allclose(simulated["position"][row], values[:, POSITION], atol=1e-6)
        np.testing.assert_allclose(simulated["speed"][row], values[:, SPEED], atol=1e-6)


def test_pushes_last_as_long_as_is_asked_and_vary_as_much() -> None:
    for persistence in (0.0, 0.8):
        push = DrawnOscillators.of(
            OscillatorsConfig(trajectories=40, shortest=50, longest=50, persistence=persistence)
        ).push
        rows = push.reshape(40, 50)
        assert np.corrcoef(rows[:, :-1].ravel(), rows[:, 1:].ravel())[0, 1] == pytest.approx(persistence, abs=0.06)
        assert push.std() == pytest.approx(1.0, abs=0.1)


def test_a_push_moves_the_states_after_it() -> None:
    store = oscillators(**EXACT).store
    acts = [[], [Act("push", -1.5, "N", AT + 1, AT + HORIZON)]]
    free, held = (
        Oscillators(OscillatorsConfig(**EXACT))
        .simulator()
        .simulate(store.identifier[[3, 3]], acts, AT, HORIZON)["speed"]
    )
    np.testing.assert_array_equal(free[:2], held[:2])
    np.testing.assert_allclose(held[2:], held[1])  # this push undoes what an oscillator turns by itself
    assert np.abs(free[2:] - held[2:]).min() > 0.01


def test_an_act_or_an_oscillator_that_is_not_known_is_refused() -> None:
    simulator = Oscillators(OscillatorsConfig()).simulator()
    with pytest.raises(DataError, match="can be pushed and nothing else"):
        simulator.simulate(np.array([7_300_001]), [[Act("pull", 1.0, None, 1, 2)]], 1, 2)
    with pytest.raises(DataError, match="not of this source"):
        simulator.simulate(np.array([1]), [[]], 1, 2)
