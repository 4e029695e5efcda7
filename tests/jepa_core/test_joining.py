"""Two stores as one: which trajectories are there, in whose channels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.joining import join_stores
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.errors import DataError

STEPS = 30
OWN = [Channel("speed", "m/s"), Channel("heat")]


def store(
    path: Path, subjects: list[int], splits: list[int], seed: int, channels: list[Channel], **outcomes: float
) -> Store:
    """Trajectories that observe every channel at every step."""
    count, total = len(subjects), len(subjects) * STEPS
    draws = np.random.default_rng(seed)
    states = Events(
        np.arange(total + 1) * len(channels), np.tile(np.arange(len(channels), dtype=np.int32), total),
        draws.normal(size=total * len(channels)).astype(np.float32), np.full(total * len(channels), -1, np.int32),
        np.repeat(np.arange(total, dtype=np.float32) % STEPS, len(channels)),
    )  # fmt: skip
    nothing = [Events(np.zeros(owners + 1, np.int64), *(np.empty(0, kind) for kind in ("i4", "f4", "i4", "f4")))
               for owners in (count, total)]  # fmt: skip
    rows = Trajectories(
        np.arange(count), np.array(subjects), np.array(splits, np.int8), np.full(count, STEPS, np.int32), nothing[0],
        states, nothing[1], np.empty(0, object),
        outcomes={name: np.full(count, value, np.float32) for name, value in outcomes.items()},
    )  # fmt: skip
    with StoreWriter(path, path.name, "fingerprint") as writer:
        writer.channels(channels)
        writer.append(rows)
    return Store(path)


def test_what_was_fitted_on_stays_and_all_of_the_other_is_held_out(tmp_path: Path) -> None:
    own = store(tmp_path / "own", [0, 1, 2], [0, 1, 2], 0, OWN, broke=1, stopped=0)
    other = store(tmp_path / "other", [0, 1], [0, 2], 1, [Channel("noise"), Channel("heat")], broke=0, burnt=1)
    joint = join_stores(own, other, tmp_path / "joint")
    assert joint.split.tolist() == [0, 1, 2, 2]
    assert len(set(joint.subject.tolist())) == 4 and joint.subject[:2].tolist() == [0, 1]
    assert [channel.name for channel in joint.channels] == ["speed", "heat", "noise"]
    (block,) = joint.blocks()
    assert set(block.state.channel[block.state.offsets[2 * STEPS] :].tolist()) == {1, 2}
    (theirs,) = other.blocks()
    heat = block.state.value[(block.event_trajectories("state") >= 2) & (block.state.channel == 1)]
    assert np.array_equal(heat, theirs.state.value[theirs.state.channel == 1])
    assert joint.outcome_names == ["broke", "stopped"]
    assert joint.outcome("broke").tolist() == [1, 1, 0, 0] and np.isnan(joint.outcome("stopped")[2:]).all()


def test_a_recording_that_was_fitted_on_is_refused_whoever_it_is_said_to_be_of(tmp_path: Path) -> None:
    own = store(tmp_path / "own", [0, 1, 2], [0, 1, 2], 0, OWN)
    again = store(tmp_path / "again", [7, 8, 9], [2, 2, 2], 0, OWN)
    with pytest.raises(DataError, match="2 of 3 trajectories are among those that the run was trained or tuned on"):
        join_stores(own, again, tmp_path / "joint")
    assert not (tmp_path / "joint").exists()


def test_a_subject_that_has_a_number_of_its_own_is_the_same_one_in_both(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    own = store(tmp_path / "pumps", [1001, 1002, 1003], [0, 1, 2], 0, OWN)
    later = store(tmp_path / "later" / "pumps", [1002, 1003], [2, 2], 1, OWN)
    with pytest.raises(DataError, match="1 of 2 subjects are among those"):
        join_stores(own, later, tmp_path / "joint")
