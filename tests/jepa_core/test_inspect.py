"""What `jepa inspect` counts, against counting one by one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data import inspection
from jepa_core.data.inspection import find_store, inspect_store, inspection_text
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import ROLES, Channel, Events, Trajectories
from jepa_core.errors import DataError, RecipeError, UnsafeArtefactError
from jepa_core.io.records import write_sealed
from jepa_core.io.seals import seal_of

Jepa = Callable[..., subprocess.CompletedProcess[str]]

CANARY_SUBJECT = 77_001_000
CANARY_TEXT = "a word out of a record"
CANARY_TIME = 123.4375
CHANNELS = [
    Channel("age", "years"),
    Channel("position", "m"),
    Channel("rare", "m"),
    Channel("push", "N"),
    Channel("no"),
]


def some_events(random: np.random.Generator, owners: int, channels: tuple[int, ...]) -> Events:
    offsets = np.concatenate([[0], np.cumsum(random.poisson(3, owners))])
    count = int(offsets[-1])
    value = random.normal(size=count).astype(np.float32)
    value[random.random(count) < 0.3] = np.nan
    channel = random.choice(channels, count, p=[0.97, 0.03] if len(channels) == 2 else [1.0])
    return Events(offsets, channel, value, random.integers(-1, 1, count), np.full(count, CANARY_TIME, dtype=np.float32))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    random = np.random.default_rng(0)
    count = 20
    steps = random.integers(1, 30, count)
    total = int(steps.sum())
    block = Trajectories(
        identifier=np.arange(count) + 2 * CANARY_SUBJECT, subject=np.arange(count) // 2 + CANARY_SUBJECT,
        split=np.arange(count) // 2 % 3, steps=steps, texts=np.array([CANARY_TEXT], dtype=object),
        static=some_events(random, count, (0,)), state=some_events(random, total, (1, 2)),
        action=some_events(random, total, (3,)),
    )  # fmt: skip
    with StoreWriter(tmp_path / "toy-000000000000", "toy", "0" * 64) as writer:
        writer.append(block)
        writer.channels(CHANNELS)
        writer.record("attrition", [{"step": "all", "trajectories": 20, "subjects": 10}])
    return Store(tmp_path / "toy-000000000000")


def counted_one_by_one(store: Store) -> dict[tuple[str, str], tuple[int, int, float]]:
    """Events, values and missing share of every channel with events."""
    (block,) = store.blocks(1000)
    counted = {}
    for role in ROLES:
        events = block.events(role)
        owners = len(events.offsets) - 1
        for number, channel in enumerate(CHANNELS):
            own = [
                [place for place in range(low, high) if events.channel[place] == number]
                for low, high in zip(events.offsets[:-1], events.offsets[1:], strict=True)
            ]
            places = [place for part in own for place in part]
            if places:
                valued = sum(not np.isnan(events.value[place]) for place in places)
                counted[role, channel.name] = (len(places), valued, sum(not part for part in own) / owners)
    return counted


@pytest.mark.parametrize("span", [5, 1 << 20])
def test_channels_are_counted_right_however_the_store_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, span: int
) -> None:
    monkeypatch.setattr(inspection, "SPAN", span)
    rows = inspect_store(store)["channels"]
    found = {(row["role"], row["channel"]): (row["events"], row["values"], row["missing"]) for row in rows}
    expected = counted_one_by_one(store)
    assert found.keys() == expected.keys() and "no" not in {channel for _, channel in found}
    for key, (events, values, missing) in expected.items():
        assert found[key][:2] == (events, values) and found[key][2] == pytest.approx(missing, abs=1e-6)


@pytest.mark.parametrize("memory", [1, 1 << 24])
def test_quartiles_are_those_of_all_values_and_those_of_few_are_withheld(
    store: Store, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(inspection, "VALUES_IN_MEMORY", memory)
    monkeypatch.setattr(inspection, "SPAN", 100)
    (block,) = store.blocks(1000)
    rows = {row["channel"]: row for row in inspect_store(store)["channels"]}
    for name, events in (("position", block.state), ("push", block.action)):
        number = [channel.name for channel in CHANNELS].index(name)
        values = events.value[(events.channel == number) & ~np.isnan(events.value)]
        found = [rows[name][key] for key in ("q25", "median", "q75")]
        assert found == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]).tolist(), rel=1e-5)
    monkeypatch.setattr(inspection, "FEWEST", rows["rare"]["values"] + 1)
    rows = {row["channel"]: row for row in inspect_store(store)["channels"]}
    assert rows["rare"]["median"] is None and rows["position"]["median"] is not None


def test_lengths_splits_and_attrition_are_told(store: Store) -> None:
    page = inspect_store(store)
    assert page["lengths"][0]["min"] == store.steps.min() and page["lengths"][0]["max"] == store.steps.max()
    assert sum(row["trajectories"] for row in page["lengths"][1:]) == len(store)
    assert sum(row["subjects"] for row in page["splits"]) == page["subjects"] == 10
    assert page["attrition"] == [{"step": "all", "trajectories": 20, "subjects": 10}]
    assert page["bytes"] == sum(path.stat().st_size for path in store.path.rglob("*") if path.is_file())


def test_neither_page_nor_text_holds_an_identifier_a_text_or_a_time(store: Store) -> None:
    page = inspect_store(store)
    for told in (json.dumps(page), inspection_text(page)):
        assert "position" in told
        for secret in (str(CANARY_SUBJECT)[:5], f"{CANARY_SUBJECT:,}", CANARY_TEXT, "123.4"):
            assert secret not in told


def test_prevalence_of_labels_and_outcomes_is_told_by_split_and_unknown_ones_do_not_count(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    steps = random.integers(1, 9, 12)
    total = int(steps.sum())
    alarm = np.where(np.arange(total) % 3 == 0, np.nan, np.arange(total) % 3 - 1).astype(np.float32)
    days = np.where(np.arange(12) == 0, np.nan, np.arange(12) * 0.5).astype(np.float32)
    block = Trajectories(
        np.arange(12), np.arange(12), np.arange(12) % 2, steps, some_events(random, 12, (0,)),
        some_events(random, total, (1, 2)), some_events(random, total, (3,)), np.array(["x"], dtype=object),
        labels={"alarm": alarm}, outcomes={"days": days},
    )  # fmt: skip
    with StoreWriter(tmp_path / "store", "toy", "0") as writer:
        writer.append(block)
        writer.channels(CHANNELS)
    page = inspect_store(Store(tmp_path / "store"))
    found = {(row["name"], row["split"]): row for row in page["targets"]}
    assert len(found) == 6 and {row["kind"] for row in page["targets"]} == {"label", "outcome"}
    for number, split in enumerate(("train", "tuning")):
        own = alarm[np.repeat(block.split, steps) == number]
        row = found["alarm", split]
        assert (row["known"], row["unknown"]) == ((~np.isnan(own)).sum(), np.isnan(own).sum())
        assert row["positive"] == np.nansum(own) and row["mean"] == pytest.approx(np.nanmean(own), abs=1e-6)
        assert found["days", split]["mean"] == pytest.approx(np.nanmean(days[block.split == number]), abs=1e-6)
        assert found["days", split]["positive"] is None
    assert found["alarm", "held_out"]["mean"] is None and found["alarm", "held_out"]["known"] == 0
    assert "labels and outcomes" in inspection_text(page)


def test_the_store_of_a_run_is_found_and_its_rendering_named(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    assert jepa("run", "toy.yaml", "--out", "runs/one").returncode == 0
    page = json.loads(jepa("inspect", "runs/one", "--json").stdout)
    (store,) = (tmp_path / "runs" / "stores").glob("toy-" + "?" * 12)
    assert page["store"] == str(store.relative_to(tmp_path)) and page["source"] == "toy"
    assert [one["modality"] for one in page["renderings"]] == ["channels"]
    assert page == inspect_store(find_store(tmp_path / "runs" / "one")) | {"store": page["store"]}


def test_a_store_that_is_gone_is_one_error_that_says_how_to_build_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    dataset = {"source": "toy", "fingerprint": "0123456789abcdef"}
    (run / "manifest.json").write_text(json.dumps({"dataset": dataset}))
    with pytest.raises(DataError, match=r"jepa prepare .*/one/recipe.resolved.yaml --runs .*/runs$"):
        find_store(run)


def test_the_command_prints_a_table_and_refuses_what_is_no_store(jepa: Jepa, store: Store, tmp_path: Path) -> None:
    assert jepa("inspect", store.path).stdout.rstrip() == inspection_text(inspect_store(store))
    (tmp_path / "empty").mkdir()
    refused = jepa("inspect", "empty")
    assert refused.returncode == 3 and "Traceback" not in refused.stderr


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no folder"):
        find_store(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is not a store"):
        find_store(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RecipeError, match="has no store yet"):
        find_store(tmp_path)


def test_a_rendering_that_holds_something_else_than_files_is_refused_unopened(store: Store) -> None:
    rendering = store.path.with_name(f"{store.path.name}.channels-0")
    rendering.mkdir()
    (rendering / "rendering.json").write_text("{}")
    (rendering / "state.npy").symlink_to("/dev/zero")
    with pytest.raises(UnsafeArtefactError, match=r"state\.npy is no regular file"):
        inspect_store(store)


@pytest.mark.parametrize(("change", "told"), [("cut", "is damaged"), ("take away", "is missing")])
def test_a_rendering_with_a_file_of_another_size_or_without_it_is_refused_by_name(
    store: Store, change: str, told: str
) -> None:
    rendering = store.path.with_name(f"{store.path.name}.channels-0")
    rendering.mkdir()
    path = rendering / "static.npy"
    path.write_bytes(b"1234")
    record = {"items": 1, "modality": "channels", "files": seal_of(rendering, without="rendering.json")}
    write_sealed(rendering / "rendering.json", record)
    assert inspect_store(store)["renderings"][0]["items"] == 1
    path.unlink() if change == "take away" else path.write_bytes(b"123")
    with pytest.raises(DataError, match=rf"static\.npy {told}"):
        inspect_store(store)
