"""The source as the framework uses it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.store import Store, StoreWriter
from jepa_core.errors import DataError, RecipeError
from jepa_mimic_iv import jepa_components
from jepa_mimic_iv.config import MimicIVConfig, StaySplitConfig, SyntheticConfig
from jepa_mimic_iv.source import MimicIVSource


def store_of(source: MimicIVSource, folder: Path) -> Store:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    with StoreWriter(folder / "store", "mimic_iv", source.fingerprint()) as writer:
        source.build(writer, scratch)
    return Store(folder / "store")


def fingerprint(folder, **options) -> str:
    return MimicIVSource(MimicIVConfig(tables=str(folder), **options)).fingerprint()


def test_the_component_is_declared_and_its_implementation_imports():
    (component,) = jepa_components()

    assert (component.kind, component.name) == ("source", "mimic_iv")
    assert component.load() is MimicIVSource
    assert component.summary


@pytest.mark.parametrize(
    "options",
    [
        {"min_age": 19}, {"min_hours": 7.0}, {"first_icu_stay": False}, {"step_hours": 2.0}, {"max_steps": 335},
        {"lab_visibility": "charted"}, {"saturation_fallback": True}, {"split": StaySplitConfig(seed=1)},
        {"split": StaySplitConfig(fractions=(0.8, 0.1, 0.1))},
    ],
)  # fmt: skip
def test_every_option_that_changes_the_store_changes_the_fingerprint(three_stays, tmp_path, options):
    folder = three_stays.write(tmp_path)

    assert fingerprint(folder, **options) != fingerprint(folder)


def test_the_fingerprint_follows_the_content_and_not_the_place_or_the_means(three_stays, tmp_path):
    here, there = three_stays.write(tmp_path / "a"), three_stays.write(tmp_path / "b")
    assert fingerprint(here) == fingerprint(there, memory_limit="1GB", threads=7, synthetic=SyntheticConfig(seed=9))

    path = there / "icu/chartevents.csv"
    path.write_text(path.read_text().replace(",80,", ",81,"))
    assert fingerprint(here) != fingerprint(there)


def test_a_change_at_either_end_of_a_large_file_is_seen(three_stays, tmp_path):
    folder = three_stays.write(tmp_path)
    path = folder / "icu/chartevents.csv"
    content = path.read_bytes() + b" " * (10 << 20)
    path.write_bytes(content)
    whole = fingerprint(folder)
    path.write_bytes(content[:-1] + b"x")

    assert fingerprint(folder) != whole


def test_a_fingerprint_of_missing_tables_is_refused(tmp_path):
    with pytest.raises(DataError, match="hosp/patients"):
        fingerprint(tmp_path)


def test_a_modality_that_is_not_rendered_is_refused_naming_those_that_are(three_stays, build):
    built = build(three_stays)

    with pytest.raises(RecipeError, match="text and channels, not images"):
        built.source.render(built.kept.blocks[0], built.kept.declared, "images")


def test_the_template_changes_the_rendering_and_not_the_store(three_stays, tmp_path):
    folder = three_stays.write(tmp_path)
    ours, reference = (
        MimicIVSource(MimicIVConfig(tables=str(folder), template=one)) for one in ("default", "reference")
    )

    assert ours.fingerprint() == reference.fingerprint()
    assert ours.rendering_fingerprint("text") != reference.rendering_fingerprint("text")
    assert ours.rendering_fingerprint("channels") == reference.rendering_fingerprint("channels")


def test_channels_are_unique_and_events_lie_within_their_steps(three_stays, build):
    three_stays.pump(0, 1.5, 9.5, 221906, rate=0.1, rateuom="mcg/kg/min", amount=0.96, amountuom="mg")
    three_stays.lab(1, 4.75, 50912, 1.3)

    built = build(three_stays, step_hours=0.5)

    names = [channel.name for channel in built.kept.declared]
    assert len(names) == len(set(names))
    assert {
        "vitalsign/heart_rate",
        "inputevents/Norepinephrine [mg]",
        "inputevents/Norepinephrine/rate [mcg/kg/min]",
    } < set(names)
    (block,) = built.kept.blocks
    for events in (block.state, block.action):
        step = np.repeat(block.step_numbers(), np.diff(events.offsets))
        assert ((events.time >= step * 0.5) & (events.time < (step + 1) * 0.5)).all()
    assert block.steps.tolist() == [60, 60, 60]


def test_the_store_holds_blocks_in_any_number_alike(three_stays, tmp_path, monkeypatch):
    for number in range(3, 12):
        three_stays.stay(number)
        three_stays.chart(number, 1, 220045, 70 + number)
        three_stays.order(number, 2, f"Drug {number}")
    folder = three_stays.write(tmp_path / "tables")
    source = MimicIVSource(MimicIVConfig(tables=str(folder)))
    whole = store_of(source, tmp_path / "whole")
    monkeypatch.setattr("jepa_mimic_iv.assembly.BLOCK", 5)

    assert store_of(source, tmp_path / "parts").content == whole.content


def test_synthetic_tables_are_made_on_the_way_and_the_same_seed_gives_the_same_store(tmp_path):
    first, again, other = (
        store_of(MimicIVSource(MimicIVConfig(synthetic=SyntheticConfig(stays=10, seed=seed))), tmp_path / name)
        for seed, name in ((0, "first"), (0, "again"), (1, "other"))
    )

    assert first.content == again.content != other.content
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(first) > 3


REFERENCE_TABLES = {
    "sofa", "vitalsign", "rhythm", "oxygen_delivery", "height", "weight", "bg", "chemistry", "complete_blood_count",
    "coagulation", "enzyme", "inflammation", "cardiac_marker", "blood_differential", "gcs", "urine_output",
    "urine_output_rate", "kdigo_stages", "vasoactive_agent", "norepinephrine_equivalent_dose", "antibiotic",
    "ventilation", "ventilator_setting", "rrt", "crrt", "neuroblock", "invasive_line", "inputevents", "procedureevents",
    "prescriptions", "emar",
}  # fmt: skip
"""Tables that the published reference reads; but diagnoses, which docs/mimic-iv.md says why we do not."""


def test_every_table_of_the_reference_has_events_in_the_demo(real_data, tmp_path):
    store = store_of(MimicIVSource(MimicIVConfig(tables=str(real_data / "mimic-iv-demo"))), tmp_path)
    (block,) = store.blocks(len(store))

    seen = np.unique(np.concatenate([block.state.channel, block.action.channel]))
    groups = {store.channels[one].group for one in seen}

    assert {channel.group for channel in store.channels} >= REFERENCE_TABLES
    assert groups >= REFERENCE_TABLES - {"neuroblock"}, "nobody in the demo was given a blocker"


def test_the_real_demo_is_extracted_and_reads_like_intensive_care(real_data, tmp_path):
    source = MimicIVSource(MimicIVConfig(tables=str(real_data / "mimic-iv-demo")))
    store = store_of(source, tmp_path)

    attrition = [(row["trajectories"], row["subjects"]) for row in store.record("attrition")]
    (block,) = store.blocks()
    rendered = source.render(block, store.channels, "text")

    assert attrition == [(140, 100), (140, 100), (140, 100), (140, 100), (128, 100), (126, 98), (126, 98), (126, 98)]
    assert "340 stop before they start; 18 of these were given" in store.record("attrition")[-1]["step"]
    assert int(store.steps.sum()) == len(rendered.state) == len(rendered.action) == 10_891
    assert sum("Heart rate: " in text for text in rendered.state) / len(rendered.state) > 0.95
    assert sum("mcg/kg/min" in text for text in rendered.action) > 500
    assert not any("nan" in text or "None " in text or ": ." in text for text in rendered.state)
    assert not any(
        "nan" in text or re.search(r"(?<!CRRT heparin dose): 0 (mg|mcg|ml|units|dose|mEq)\b", text)
        for text in rendered.action
    )


def test_hidden_groups_leave_the_texts_and_not_the_store(three_stays, tmp_path, build):
    shown, hidden = build(three_stays), build(three_stays, hidden_groups=("vitalsign",))

    assert shown.source.rendering_fingerprint("text") != hidden.source.rendering_fingerprint("text")
    assert [len(block.state.channel) for block in shown.kept.blocks] == [
        len(block.state.channel) for block in hidden.kept.blocks
    ]
    (texts, without) = (
        built.source.render(built.kept.blocks[0], built.kept.declared, "text").state for built in (shown, hidden)
    )  # fmt: skip
    assert any("Heart rate" in text for text in texts)
    assert not any("Heart rate" in text for text in without)


def test_a_hidden_group_that_is_not_there_is_refused_naming_those_that_are(three_stays, build):
    with pytest.raises(RecipeError, match="names vitalsigns.* it has .*vitalsign"):
        build(three_stays, hidden_groups=("vitalsigns",))


def test_laboratory_values_in_another_unit_are_refused_and_a_stray_one_is_read(three_stays, build):
    for hour in range(1, 4):
        three_stays.lab(0, hour, 50912, 1.1, valueuom="mg/dL")
    three_stays.lab(0, 4, 50912, 97.0, valueuom="umol/L")
    three_stays.lab(0, 4, 50820, 7.4, valueuom="units")
    assert build(three_stays).kept.blocks

    for row in three_stays.rows["hosp/labevents"]:
        row["valueuom"] = row["valueuom"].replace("mg/dL", "umol/L")
    with pytest.raises(DataError, match="4 of 4 values of item 50912 are in umol/L, and it is read in mg/dL; convert"):
        build(three_stays)
