"""From events to trajectories: where they begin and end, what a step shows, and who is in which split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from jepa_core.errors import RecipeError
from jepa_meds import reading
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource
from jepa_meds.survey import cut_episodes

from .conftest import ICU, SCHEMA, Folder, build, cohort, stay, table

OPTIONS: dict[str, Any] = {
    "trajectory": ICU,
    "actions": ["INFUSION_START//.*"],
    "exclude": ["DIAGNOSIS//.*", "DRG//.*"],
    "units": [r"LAB//\d+//(?!UNK)(.+)"],
}


def test_an_episode_shows_what_happened_from_its_start_to_before_its_end(folder: Folder, tmp_path: Path) -> None:
    folder.describe({"LAB//220045//bpm": "Heart  rate", "LAB//223900//UNK": "Verbal response"})
    static, states, actions = build(folder.path, tmp_path / "stores", **OPTIONS).texts[0]
    assert static == "Age: 60 years. GENDER//F."
    assert states == [
        "t=0h | ICU_ADMISSION//MICU. Heart rate: 88 bpm.",
        "t=1h | LAB//50912//mg/dL: 1.5.",
        "t=2h | Verbal response: 4 Confused.",
        "t=3h | No observations recorded.",
        "t=4h | No observations recorded.",
    ]
    assert actions[1] == "t=1h | INFUSION_START//221906: 0.004 words of a record."
    assert actions[0] == "t=0h | No active interventions."


def test_texts_can_call_a_code_by_itself_and_that_renders_the_same_store(folder: Folder, tmp_path: Path) -> None:
    folder.describe({"LAB//220045//bpm": "Heart rate"})
    described, coded = (
        build(folder.path, tmp_path / "stores", **OPTIONS, names=one) for one in ("description", "code")
    )
    assert described.store.path == coded.store.path
    assert coded.texts[0][1][0] == "t=0h | ICU_ADMISSION//MICU. LAB//220045//bpm: 88."
    sources = [MedsSource(MedsConfig(path="x", names=one)) for one in ("description", "code")]
    assert sources[0].rendering_fingerprint("text") != sources[1].rendering_fingerprint("text")


def test_neither_birth_nor_death_nor_what_is_excluded_is_ever_an_event(folder: Folder, tmp_path: Path) -> None:
    for trajectory in (ICU, "subject"):
        built = build(folder.path, tmp_path / "stores", **OPTIONS | {"trajectory": trajectory})
        told = " ".join(text for static, states, actions in built.texts for text in [static, *states, *actions])
        for code in ("MEDS_BIRTH", "MEDS_DEATH", "DIAGNOSIS", "DRG"):
            assert code not in told
        shown = {channel.name for channel in built.store.channels[1:]}
        assert not shown & {"MEDS_BIRTH", "MEDS_DEATH", "DIAGNOSIS//ICD//10//A419", "DRG//870"}


def test_a_death_whose_code_is_longer_is_not_an_event_either(tmp_path: Path) -> None:
    rows = [(0, 0.0, "A", 1.0, None), (0, 1.0, "MEDS_DEATH//IN_HOSPITAL", None, None), (0, 2.0, "A", 1.0, None)]
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(1)
    assert [channel.name for channel in build(made.path, tmp_path / "stores").store.channels] == ["MEDS_BIRTH", "A"]


def test_a_subject_with_static_rows_alone_takes_no_event_of_the_next(tmp_path: Path) -> None:
    """findings/events_of_the_next_subject.sh shows a reader that gives every later subject the events of the next."""
    sexes = [(number, None, f"SEX//{sex}", None, None) for number, sex in enumerate("FMFM")]
    timed = [(number, hour, code, 1.0, None) for number, code in ((0, "A"), (2, "B"), (3, "C")) for hour in (0.0, 1.5)]
    rows = sorted(sexes + timed, key=lambda row: row[0])
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(4)
    texts = build(made.path, tmp_path / "stores").texts
    assert [static for static, _, _ in texts] == ["SEX//F.", "SEX//F.", "SEX//M."]
    assert [states[0] for _, states, _ in texts] == ["t=0h | A: 1.", "t=0h | B: 1.", "t=0h | C: 1."]


def test_a_record_is_one_trajectory_from_its_first_to_its_last_event_and_is_cut_off(
    folder: Folder, tmp_path: Path
) -> None:
    built = build(folder.path, tmp_path / "a", **OPTIONS | {"trajectory": "subject"})
    assert len(built.store) == 6 and built.store.steps.tolist() == [36] * 6  # from -30 h to 5 h, both seen
    assert built.texts[0][1][0] == "t=0h | LAB//50912//mg/dL: 9."
    assert built.texts[0][1][35] == "t=35h | ICU_DISCHARGE//MICU."
    short = build(folder.path, tmp_path / "b", **OPTIONS | {"trajectory": "subject", "max_steps": 31})
    assert short.store.steps.tolist() == [31] * 6 and short.texts[0][1] == built.texts[0][1][:31]


def test_steps_may_be_longer_or_shorter_than_an_hour(folder: Folder, tmp_path: Path) -> None:
    half = build(folder.path, tmp_path / "a", **OPTIONS, step_hours=0.5)
    assert half.store.steps.tolist() == [10] * 6 and half.texts[0][1][1] == "t=0.5h | LAB//220045//bpm: 88."
    long = build(folder.path, tmp_path / "b", **OPTIONS, step_hours=4.0)
    assert long.store.steps.tolist() == [2] * 6 and long.texts[0][1][0].count(": ") == 3


@pytest.mark.parametrize(
    ("begun", "ended", "episodes"),
    [
        ([1], [4], [(1, 4)]),
        ([1, 6], [4, 9], [(1, 4), (6, 9)]),
        ([1, 2], [4, 5], [(1, 4)]),  # what begins inside another is part of it
        ([1, 4], [4, 9], [(1, 4), (4, 9)]),  # a transfer
        ([1, 5], [1, 9], [(5, 9)]),  # nothing long
        ([1, 4, 4], [4, 4, 9], [(1, 4), (4, 9)]),  # a transfer through a ward of no time
        ([1], [], [(1, 21)]),  # no end: to the last event, that one included
        ([1, 6], [4], [(1, 4), (6, 21)]),
        ([30], [], []),  # begins after all that can be shown
        ([], [4], []),
    ],
)
def test_episodes_are_cut_by_the_next_end(begun: list[int], ended: list[int], episodes: list[tuple[int, int]]) -> None:
    assert cut_episodes(begun, ended, last=20) == episodes


def test_attrition_tells_how_the_trajectories_came_about(tmp_path: Path) -> None:
    rows = [*stay(0), *[(0, hour, f"ICU_{kind}//X", None, None) for hour, kind in ((9, "ADMISSION"), (9, "DISCHARGE"))]]
    rows += [(1, 0.0, "LAB//50912//mg/dL", 1.0, None)]
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(2)
    store = build(made.path, tmp_path / "stores", **OPTIONS).store
    counts = [(row["trajectories"], row["subjects"]) for row in store.record("attrition")]
    assert counts == [(2, 2), (2, 1), (1, 1)]
    assert store.record("dataset")[0]["dataset_name"] == "HAND"


def shardings() -> dict[str, dict[str, Any]]:
    rows = cohort()
    bare = pa.schema([field for field in SCHEMA if field.name in ("subject_id", "time", "code")])
    large = pa.schema([("subject_id", pa.int64()), ("time", pa.timestamp("ns")), ("code", pa.large_string()),
                       ("numeric_value", pa.float64()), ("text_value", pa.string())])  # fmt: skip
    return {
        "flat": {"0.parquet": rows},
        "split by shard": {"train/0.parquet": rows[:36], "tuning/0.parquet": rows[36:]},
        "deep, with an empty shard": {"a/b/0.parquet": rows[:12], "a/b/1.parquet": [], "c/0.parquet": rows[12:]},
        "other widths": {"0.parquet": table(rows, large)},
        "dictionary": {"0.parquet": table(rows).set_column(2, "code", table(rows)["code"].dictionary_encode())},
        "without values": {"0.parquet": table(rows).select(bare.names).cast(bare)},
        "extra columns": {"0.parquet": table(rows).append_column("hadm_id", pa.array([5] * len(rows)))},
    }


@pytest.mark.parametrize("name", shardings())
@pytest.mark.parametrize("batch", [5, 1 << 17])
def test_any_sharding_and_width_of_columns_gives_the_same_trajectories(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, batch: int
) -> None:
    expected = build(folder.path, tmp_path / "stores", **OPTIONS)
    monkeypatch.setattr(reading, "BATCH", batch)
    other = Folder(tmp_path / "other").write(shardings()[name]).describe().split()
    made = build(other.path, tmp_path / "others", **OPTIONS)
    if name == "without values":
        assert made.texts[0][1][1] == "t=1h | LAB//50912//mg/dL."
    else:
        assert made.texts == expected.texts and made.store.content == expected.store.content
    assert made.store.split.tolist() == expected.store.split.tolist()


def test_splits_come_from_the_file_or_from_a_seed(folder: Folder, tmp_path: Path) -> None:
    assert build(folder.path, tmp_path / "a", **OPTIONS).store.split.tolist() == [0, 1, 2, 0, 1, 2]
    seeded = {"from": "seed", "fractions": (0.5, 0.25, 0.25), "seed": 1}
    (folder.path / "metadata" / "subject_splits.parquet").unlink()
    one = build(folder.path, tmp_path / "b", **OPTIONS, split=seeded).store.split.tolist()
    assert sorted(one) in ([0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 2, 2])
    others = [build(folder.path, tmp_path / "b", **OPTIONS, split=seeded | {"seed": seed}) for seed in (1, 2, 3)]
    assert others[0].store.split.tolist() == one
    assert any(other.store.split.tolist() != one for other in others[1:])


def test_folds_deal_the_subjects_anew(folder: Folder, tmp_path: Path) -> None:
    splits = [
        build(folder.path, tmp_path / "a", **OPTIONS, split={"from": "seed", "folds": 3, "fold": fold}).store.split
        for fold in range(3)
    ]
    assert [int((split == 2).sum()) for split in splits] == [2, 2, 2]
    with pytest.raises(ValidationError, match="from: seed"):
        MedsConfig(path="meds", split={"folds": 3})


def test_several_columns_of_words_are_written_after_the_number(tmp_path: Path) -> None:
    rows = table(cohort())
    units = pa.array(["mg" if "INFUSION" in code else None for code in rows["code"].to_pylist()], pa.string())
    made = Folder(tmp_path / "meds").write({"0.parquet": rows.append_column("unit", units)}).describe().split()
    built = build(made.path, tmp_path / "stores", **OPTIONS, text_columns=["unit", "text_value"])
    assert built.texts[0][2][1] == "t=1h | INFUSION_START//221906: 0.004 mg words of a record."
    assert built.texts[0][1][2] == "t=2h | LAB//223900//UNK: 4 Confused."


def test_another_file_or_option_gives_another_fingerprint_and_another_place_does_not(
    folder: Folder, tmp_path: Path
) -> None:
    def fingerprint(path: Path, **changes: Any) -> str:
        return MedsSource(MedsConfig(path=str(path), **OPTIONS | changes)).fingerprint()

    first = fingerprint(folder.path)
    assert fingerprint(folder.path.rename(tmp_path / "moved")) == first
    moved = tmp_path / "moved"
    assert fingerprint(moved, step_hours=2.0) != first != fingerprint(moved, exclude=["DRG//.*"])
    assert fingerprint(moved, names="code") == first
    Folder(moved).split(names=["train"] * 5 + ["tuning"])
    changed = fingerprint(moved)
    Folder(moved).write({"0.parquet": cohort()[:-1]})
    assert len({first, changed, fingerprint(moved)}) == 3


def test_any_modality_but_text_is_refused(folder: Folder, tmp_path: Path) -> None:
    source = MedsSource(MedsConfig(path=str(folder.path)))
    store = build(folder.path, tmp_path / "stores").store
    (block,) = store.blocks(100)
    with pytest.raises(RecipeError, match="text, not channels"):
        source.render(block, store.channels, "channels")


def test_what_a_model_keeps_is_of_the_codes_that_enough_subjects_share(folder: Folder, tmp_path: Path) -> None:
    folder.describe({"LAB//50912//mg/dL": "Creatinine", "INFUSION_START//221906": "Norepinephrine"})
    source = MedsSource(MedsConfig(path=str(folder.path)))
    store = build(folder.path, tmp_path / "stores").store
    [shared] = [channel for channel in store.channels if channel.label == "Creatinine"]

    assert source.fitted(store, [shared]) == {"descriptions": {shared.name: "Creatinine"}, "units": {}}
    assert "Norepinephrine" in source.fitted(store, store.channels)["descriptions"].values()


@pytest.mark.parametrize("hours", [1e-9, 1e13])
def test_a_step_is_one_that_microseconds_can_count(hours: float) -> None:
    with pytest.raises(ValidationError, match="step_hours"):
        MedsConfig(path="x", step_hours=hours)
