"""Synthetic stays that are run on: the same stays, and what other treatment does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jepa_core.contracts import Act
from jepa_core.errors import DataError
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource
from jepa_mimic_iv.synthetic.generation import simulate_chunk
from jepa_mimic_iv.synthetic.grid import Chunk
from jepa_mimic_iv.synthetic.simulator import SyntheticStays

STAYS, AT, HORIZON = 60, 8, 6
PRESSURE, PRESSOR = "vitalsign/mbp", "inputevents/Norepinephrine/rate [mcg/kg/min]"


@pytest.fixture(scope="module")
def stays() -> SyntheticStays:
    return SyntheticStays(STAYS, seed=0)


@pytest.fixture(scope="module")
def chunk() -> Chunk:
    """The second chunk, of ten stays."""
    return simulate_chunk(np.random.default_rng([0, 1]), 1, 50, 10)


def pressures(stays: SyntheticStays, chunk: Chunk, acts: list[Act], **keys: object) -> np.ndarray:
    ids = chunk.structure.stay_id
    return stays.simulate(ids, [acts] * len(ids), AT, HORIZON, **keys)[PRESSURE]  # type: ignore[arg-type]


def test_a_stay_that_is_given_what_it_was_given_is_the_stay_of_the_tables(stays, chunk):
    found = pressures(stays, chunk, [], otherwise="recorded")
    went_on = chunk.course.series["map"][AT : AT + HORIZON].T
    np.testing.assert_allclose(found, went_on, rtol=1e-6)


def test_a_vasopressor_raises_the_pressure_from_the_hour_after_it(stays, chunk):
    nothing = pressures(stays, chunk, [])
    given = pressures(stays, chunk, [Act(PRESSOR, 0.2, "mcg/kg/min", AT, AT + HORIZON)])
    np.testing.assert_array_equal(given[:, 0], nothing[:, 0])
    assert (given[:, 1:] - nothing[:, 1:] > 3).all()


def test_chance_takes_the_same_turns_under_every_act_and_others_where_that_is_asked(stays, chunk):
    acts = [Act("inputevents/Furosemide (Lasix) [mg]", 0.0, "mg", AT, AT + 1)]
    np.testing.assert_array_equal(pressures(stays, chunk, acts), pressures(stays, chunk, []))
    other = pressures(stays, chunk, [], turn=1)
    assert np.abs(other - pressures(stays, chunk, [])).max() > 0.5
    np.testing.assert_array_equal(other, pressures(stays, chunk, [], turn=1))


def test_rows_of_a_stay_are_as_if_each_had_been_asked_alone(stays, chunk):
    acts = [[], [Act(PRESSOR, 0.3, None, AT + 1, AT + 3)], []]
    ids = chunk.structure.stay_id[[4, 4, 7]]
    together = stays.simulate(ids, acts, AT, HORIZON)[PRESSURE]
    alone = [stays.simulate(ids[row : row + 1], acts[row : row + 1], AT, HORIZON)[PRESSURE][0] for row in range(3)]
    np.testing.assert_array_equal(together, alone)


def test_what_the_generator_does_not_know_is_refused(stays, chunk):
    with pytest.raises(DataError, match="do not know what 'inputevents/LR'"):
        pressures(stays, chunk, [Act("inputevents/LR", 1.0, None, AT, AT + 1)])
    with pytest.raises(DataError, match="not synthetic ones of this source"):
        stays.simulate(np.array([1]), [[]], AT, HORIZON)


def test_only_invented_patients_can_be_run_on():
    config = MimicIVConfig()
    assert isinstance(MimicIVSource(config).simulator(), SyntheticStays)
    assert MimicIVSource(config.model_copy(update={"tables": "/somewhere"})).simulator() is None


def test_what_is_shown_is_observed_and_what_is_chosen_is_treatment():
    from jepa_mimic_iv.synthetic.physiology import no_treatment
    from jepa_mimic_iv.synthetic.simulator import GIVEN, SHOWN

    assert set(SHOWN) <= set(MimicIVConfig().observations())
    assert replace(no_treatment(1), **{name: np.ones(1) for name in GIVEN.values()})


def test_actions_of_charts_are_planned_in_retrospect_alone() -> None:
    from jepa_meds.config import MedsConfig

    assert MimicIVConfig().in_retrospect and MedsConfig.model_construct().in_retrospect
