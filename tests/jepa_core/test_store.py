from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from jepa_core.data.excerpts import write_excerpt
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import ROLES, Channel, Events, Trajectories
from jepa_core.errors import DataError, UnsafeArtefactError


def block(seed: int, count: int = 3) -> Trajectories:
    draws = np.random.default_rng(seed)
    steps = draws.integers(1, 6, count)
    texts = np.array(["common", f"only {seed}"], dtype=object)

    def some(owners: int) -> Events:
        offsets = np.concatenate([[0], np.cumsum(draws.poisson(2, owners))])
        events = int(offsets[-1])
        return Events(
            offsets, draws.integers(0, 2, events), draws.normal(size=events).astype(np.float32),
            draws.integers(-1, 2, events), draws.random(events).astype(np.float32),
        )  # fmt: skip

    total = int(steps.sum())
    identifiers = np.arange(count) + 10 * seed
    height = np.where(draws.random(total) < 0.3, np.nan, draws.random(total)).astype(np.float32)
    return Trajectories(
        identifiers, identifiers // 2, np.zeros(count), steps, some(count), some(total), some(total), texts,
        labels={"height": height, "fell": np.float32([np.nan, 0, 1])[draws.integers(0, 3, total)]},
        outcomes={"broke": np.float32([0, np.nan, 1])[:count]},
    )  # fmt: skip


def write(path: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> list[Trajectories]:
    blocks = [block(seed) for seed in seeds]
    with StoreWriter(path, "toy", "fingerprint") as writer:
        for one in blocks:
            writer.append(one)
        writer.channels([Channel("position", "m", order=3), Channel("mode")])
        writer.record("attrition", [{"step": "all", "trajectories": 9, "subjects": 5}])
    return blocks


def texts_of(events: Events, texts: np.ndarray) -> list[str | None]:
    return [None if index < 0 else texts[index] for index in events.text]


@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_what_was_written_is_read_back_in_blocks_of_any_size(tmp_path: Path, size: int) -> None:
    written = write(tmp_path / "store")
    store = Store(tmp_path / "store")
    read = list(store.blocks(size))
    assert (
        np.concatenate([one.identifier for one in read]).tolist()
        == np.concatenate([one.identifier for one in written]).tolist()
    )
    for role in ROLES:
        for field in ("channel", "value", "time"):
            joined = [np.concatenate([getattr(one.events(role), field) for one in part]) for part in (read, written)]
            assert np.array_equal(*joined)
        assert [text for one in read for text in texts_of(one.events(role), one.texts)] == [
            text for one in written for text in texts_of(one.events(role), one.texts)
        ]
        counts = [np.concatenate([np.diff(one.events(role).offsets) for one in part]) for part in (read, written)]
        assert np.array_equal(*counts)
    for name in ("height", "fell"):
        joined = [np.concatenate([one.labels[name] for one in part]) for part in (read, written)]
        assert np.array_equal(*joined, equal_nan=True)
        assert np.array_equal(store.label(name), joined[1], equal_nan=True)
    joined = [np.concatenate([one.outcomes["broke"] for one in part]) for part in (read, written)]
    assert np.array_equal(*joined, equal_nan=True)
    assert np.array_equal(store.outcome("broke"), joined[1], equal_nan=True)
    assert (store.label_names, store.outcome_names) == (["fell", "height"], ["broke"])
    assert store.channels == [Channel("position", "m", order=3), Channel("mode")]
    assert store.record("attrition")[0]["trajectories"] == 9


def test_xarray_opens_the_store(tmp_path: Path) -> None:
    write(tmp_path / "store")
    opened = xarray.open_zarr(tmp_path / "store", consolidated=False)
    assert opened.sizes["trajectory"] == 9
    assert opened.sizes["step"] == int(opened["step_count"].sum())
    assert opened.sizes["state_event"] == int(opened["state_count"].sum())


def test_equal_content_has_an_equal_digest_however_it_was_cut_into_blocks(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    write(tmp_path / "c", seeds=(0, 1, 3))
    assert Store(tmp_path / "a").content == Store(tmp_path / "b").content != Store(tmp_path / "c").content


@pytest.mark.parametrize("kind", ["labels", "outcomes"])
def test_labels_and_outcomes_count_in_the_digest(tmp_path: Path, kind: str) -> None:
    for name, change in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        one = block(0)
        changed = {key: values + np.float32(change) for key, values in getattr(one, kind).items()}
        with StoreWriter(tmp_path / name, "toy", "f") as writer:
            writer.append(replace(one, **{kind: changed}))
    contents = [Store(tmp_path / name).content for name in "abc"]
    assert contents[0] == contents[1] != contents[2]


def test_a_store_without_labels_has_none_and_says_so(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", "toy", "f") as writer:
        writer.append(replace(block(0), labels={}, outcomes={}))
    store = Store(tmp_path / "store")
    assert (store.label_names, store.outcome_names, next(store.blocks()).labels) == ([], [], {})
    with pytest.raises(DataError, match="no label 'height'; it has none"):
        store.label("height")


def test_xarray_shows_labels_along_steps_and_outcomes_along_trajectories(tmp_path: Path) -> None:
    write(tmp_path / "store")
    opened = Store(tmp_path / "store").to_xarray()
    assert (opened["label_fell"].dims, opened["outcome_broke"].dims) == (("step",), ("trajectory",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"height": np.zeros(2)}}, "label_height must have one value"),
        ({"outcomes": {"broke": np.zeros(4)}}, "outcome_broke must have one value"),
        ({"labels": {}}, "same labels and outcomes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message), StoreWriter(tmp_path / "store", "toy", "f") as writer:
        writer.append(block(0))
        writer.append(replace(block(1), **change))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"subject": np.array([1, 2**63 + 5, 3], dtype=np.uint64)}, "subject .* int64"),
        ({"identifier": np.array([1.0, 2.5, 3.0])}, "identifier .* int64"),
        ({"split": np.array([0, 256, 1])}, "split .* int8"),
        ({"outcomes": {"broke": np.array([0.0, 1e39, np.nan])}}, "outcome_broke .* float32"),
    ],
    ids=["cut to its last bits", "half", "of another split", "infinite"],
)
def test_a_number_that_its_type_does_not_hold_is_refused(tmp_path: Path, change: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named), StoreWriter(tmp_path / "store", "toy", "f") as writer:
        writer.append(replace(block(0), **change))
    assert not (tmp_path / "store").exists()


def test_a_writer_that_fails_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="torn"), StoreWriter(tmp_path / "store", "toy", "f") as writer:
        writer.append(block(0))
        raise RuntimeError("torn")
    assert list(tmp_path.iterdir()) == []


def change(path: Path, **attributes: object) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(metadata))


def test_a_half_written_store_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "store")
    change(tmp_path / "store", complete=False)
    with pytest.raises(DataError, match="half written"):
        Store(tmp_path / "store")


def test_a_store_of_another_version_is_refused_naming_both(tmp_path: Path) -> None:
    write(tmp_path / "store")
    change(tmp_path / "store", format_version=99)
    with pytest.raises(DataError, match="format 99, and this version reads 2"):
        Store(tmp_path / "store")


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a store"):
        Store(tmp_path)


def test_a_missing_array_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "store")
    (tmp_path / "store" / "split" / "zarr.json").unlink()
    with pytest.raises(DataError, match="split/zarr.json is missing; .* run again"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_is_found_wherever_it_lies(seed: int, tmp_path: Path) -> None:
    write(path := tmp_path / "store")
    draw = random.Random(seed)
    file = draw.choice(sorted(one for one in path.rglob("*") if one.is_file()))
    content = bytearray(file.read_bytes())
    place = draw.randrange(len(content))
    content[place] ^= 1 << draw.randrange(8)
    file.write_bytes(content)
    with pytest.raises((DataError, UnsafeArtefactError), match="damaged|not as it was written|JSON|codec|Zarr|format"):
        Store(path)


def test_a_chunk_that_is_gone_is_not_read_as_zeros(tmp_path: Path) -> None:
    write(path := tmp_path / "store")
    next((path / "state_value" / "c").rglob("*")).unlink()
    with pytest.raises(DataError, match="state_value/c/0 is missing"):
        Store(path)


def test_a_store_that_another_tool_copied_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    write(path := tmp_path / "store")
    copy = tmp_path / "copy"
    Store(path).to_xarray().isel(trajectory=slice(0, 1)).to_zarr(copy, zarr_format=3, consolidated=False)
    with pytest.raises(DataError, match="not changed, cut or copied"):
        Store(copy)


@pytest.mark.parametrize("nested", [False, True])
def test_a_codec_that_could_execute_code_is_refused_wherever_it_stands(tmp_path: Path, nested: bool) -> None:
    write(tmp_path / "store")
    path = tmp_path / "store" / "subject" / "zarr.json"
    metadata = json.loads(path.read_text())
    codecs = metadata["codecs"][0]["configuration"]["codecs"] if nested else metadata["codecs"]
    codecs.append({"name": "numcodecs.pickle", "configuration": {}})
    path.write_text(json.dumps(metadata))
    with pytest.raises(UnsafeArtefactError, match="numcodecs.pickle"):
        Store(tmp_path / "store")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_copy_of_the_metadata_in_the_group_is_not_believed(tmp_path: Path) -> None:
    """Zarr would take an array's shape and codecs from it."""
    write(tmp_path / "store")
    written = Store(tmp_path / "store").steps
    zarr.consolidate_metadata(str(tmp_path / "store"))
    metadata = tmp_path / "store" / "zarr.json"
    record = json.loads(metadata.read_text())
    copied = record["consolidated_metadata"]["metadata"]["step_count"]
    copied["shape"], copied["codecs"] = [len(written) - 1], [{"name": "pickle"}]
    metadata.write_text(json.dumps(record))
    np.testing.assert_array_equal(Store(tmp_path / "store").steps, written)


def test_an_excerpt_is_a_store_of_its_own_with_no_text_of_any_other(tmp_path: Path) -> None:
    written = write(tmp_path / "store")
    store = Store(tmp_path / "store")
    chosen = np.flatnonzero(np.isin(store.subject, written[1].subject))
    excerpt = write_excerpt(store, chosen, tmp_path / "excerpt")
    assert excerpt.subject.tolist() == store.subject[chosen].tolist() and excerpt.content != store.content
    assert not {"only 0", "only 2"} & set(excerpt.texts().tolist())
    for name in store.label_names:
        parts = [store.label(name)[store.first_step[one] :][: store.steps[one]] for one in chosen]
        np.testing.assert_array_equal(excerpt.label(name), np.concatenate(parts))
    for (_, expected), (_, found) in zip(store.each(chosen), excerpt.each(np.arange(len(chosen))), strict=True):
        for role in ROLES:
            of, wanted = found.events(role), expected.events(role)
            np.testing.assert_array_equal(of.value, wanted.value)
            assert texts_of(of, found.texts) == texts_of(wanted, expected.texts)


def test_trajectories_asked_for_one_by_one_are_those_of_blocks_of_one_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "store")
    store = Store(tmp_path / "store")
    singles = list(store.blocks(size=1))
    asked = np.array([len(store) - 1, 0, 2])
    for wanted, (position, alone) in zip(asked.tolist(), store.each(asked), strict=True):
        assert position == wanted
        expected = singles[position]
        assert alone.identifier.tolist() == expected.identifier.tolist() and alone.steps == expected.steps
        for role in ROLES:
            for field, values in vars(expected.events(role)).items():
                np.testing.assert_array_equal(getattr(alone.events(role), field), values)
        for targets, of_block in ((alone.labels, expected.labels), (alone.outcomes, expected.outcomes)):
            assert targets.keys() == of_block.keys()
            for name, values in of_block.items():
                np.testing.assert_array_equal(targets[name], values)
    assert list(store.each(np.empty(0, np.int64))) == []


def test_the_same_excerpt_has_the_same_digest(tmp_path: Path) -> None:
    write(tmp_path / "store")
    store = Store(tmp_path / "store")
    contents = {write_excerpt(store, np.array([1, 4]), tmp_path / str(number)).content for number in range(2)}
    assert len(contents) == 1


def test_a_store_opened_as_documented_can_be_saved_by_xarray(tmp_path: Path) -> None:
    write(tmp_path / "store")
    opened = Store(tmp_path / "store").to_xarray()
    opened.to_zarr(tmp_path / "saved", consolidated=False)
    saved = xarray.open_zarr(tmp_path / "saved", consolidated=False, chunks=None)
    assert saved.equals(opened.load())
