"""Checks of sources, on the data that their example names."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

from jepa_core.config import Modality, SourceConfig
from jepa_core.contracts import Source
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import ROLES, Rendered, Trajectories
from jepa_core.data.truncation import truncated
from jepa_core.errors import JepaError
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    NotApplicable,
    quietly,
    require,
    require_no_global_draws,
    require_silent,
    scratch,
)

LOOKED_AT = 8
"""Trajectories that are rendered again in other ways."""
TELLING = 10_000
"""An identifier below this is a number that may stand anywhere for other reasons."""


class SourceBench(base.Bench):
    """A source, and its store."""

    @cached_property
    def source_config(self) -> SourceConfig:
        return cast(SourceConfig, self.config)

    @cached_property
    def source(self) -> Source:
        """The source. It has not built the store that it renders."""
        return self.component.load()(self.config)

    @cached_property
    def store(self) -> Store:
        return self.build()

    @cached_property
    def some(self) -> Trajectories:
        """The first trajectories of the store."""
        return next(self.store.blocks(LOOKED_AT))

    def build(self, config: SourceConfig | None = None) -> Store:
        """Build a store, in a place of its own."""
        source: Source = self.component.load()(config or self.config)
        folder = Path(tempfile.mkdtemp(dir=scratch()))
        with StoreWriter(folder / "store", self.component.name, source.fingerprint()) as writer:
            (folder / "work").mkdir()
            source.build(writer, folder / "work")
        shutil.rmtree(folder / "work")
        return Store(folder / "store")

    def render(self, trajectories: Trajectories) -> Iterator[tuple[Modality, Rendered]]:
        """Trajectories in every modality that the config names."""
        for modality in self.source_config.modalities:
            yield modality, self.source.render(trajectories, self.store.channels, modality)


def check_splits_by_subject(bench: SourceBench) -> None:
    """No subject stands in two splits, and there is something to train on: else an evaluation measures memory."""
    with quietly():
        store = bench.store
    pairs = {(int(subject), int(split)) for subject, split in zip(store.subject, store.split, strict=True)}
    shared = len(pairs) - len({subject for subject, _ in pairs})
    require(not shared, f"{shared} subjects stand in two splits; use jepa_core.data.splits.split_by_subject")
    require(len(store) and (store.split == 0).any(), "the train split is empty; give it trajectories")


def check_two_builds_equal(bench: SourceBench) -> None:
    """Building twice gives the same content, and depends on no global random state: equal fingerprints mean equal
    stores."""
    with quietly():
        again: list[Store] = []
        require_no_global_draws(lambda: again.append(bench.build()))
        require(
            bench.store.content == again[0].content,
            "two builds from the same data differ; sort what comes from sets and files, and draw from "
            "numpy.random.default_rng(seed)",
        )


def check_fingerprint_stable(bench: SourceBench) -> None:
    """`fingerprint` is a hex digest, the same for every instance: a store is found again by it."""
    first, other = (bench.component.load()(bench.config).fingerprint() for _ in range(2))
    require(first == other, "two instances gave two fingerprints; digest inputs and options, and nothing else")
    hexadecimal = len(first) >= 12 and set(first) <= set("0123456789abcdef")
    require(hexadecimal, "the fingerprint must be a hex digest, such as hashlib.sha256(...).hexdigest()")


def check_fingerprint_sensitive_to_options(bench: SourceBench) -> None:
    """An option that changes the store or what is rendered changes `fingerprint` or `rendering_fingerprint`: else a run
    goes on with data that its recipe does not ask for."""
    with quietly():
        before = _fingerprints(bench, bench.source_config)
        for key, config in _variants(bench.source_config):
            if config.missing() or _fingerprints(bench, config) != before:
                continue
            try:
                store = bench.build(config)
            except JepaError:
                continue
            require(
                store.content == bench.store.content and _renders_alike(bench, config, store),
                f"another `{key}` gives another store or other items under the same fingerprints; digest it too",
            )


def _fingerprints(bench: SourceBench, config: SourceConfig) -> list[str]:
    source: Source = bench.component.load()(config)
    try:
        return [source.fingerprint(), *(source.rendering_fingerprint(modality) for modality in config.modalities)]
    except JepaError as refusal:  # an option that asks for other data, which are not here
        return [str(refusal)]


def _renders_alike(bench: SourceBench, config: SourceConfig, store: Store) -> bool:
    source: Source = bench.component.load()(config)
    return all(
        _equal(rendered, source.render(bench.some, store.channels, modality))
        for modality, rendered in bench.render(bench.some)
    )


def _variants(config: BaseModel) -> Iterator[tuple[str, Any]]:
    """The config with one key changed, for every key whose other values can be guessed."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        inner = (
            _variants(value) if isinstance(value, BaseModel) else ((None, variant) for variant in _others(value, field))
        )
        for deeper, other in inner:
            try:
                changed = type(config).model_validate(config.model_dump(by_alias=True) | {field.alias or name: other})
            except ValidationError:
                continue
            yield f"{name}.{deeper}" if deeper else name, changed
            break


def _others(value: Any, field: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.5 + 0.1, value / 2]
    return [choice for choice in get_args(field.annotation) if isinstance(choice, str) and choice != value]


def check_items_as_declared(bench: SourceBench) -> None:
    """Every declared modality can be rendered, an item for each trajectory and two for each step; channel values are
    float32 of the config's `item_shape`: encoders are built for it before there are data."""
    steps = int(bench.some.steps.sum())
    for modality, rendered in bench.render(bench.some):
        wanted = {"static": len(bench.some.steps), "state": steps, "action": steps}
        for role, count in wanted.items():
            items = getattr(rendered, role)
            require(len(items) == count, f"{modality}: {len(items)} items for {count} owners of the role {role}")
            if modality == "text":
                require(all(isinstance(item, str) for item in items), f"the texts of the role {role} must be str")
            else:
                shape = bench.source_config.item_shape()
                expected = (count, shape.channels, shape.samples)
                require(
                    items.shape == expected and items.dtype == np.float32,
                    f"items of the role {role} are {items.shape} {items.dtype}; item_shape says {expected} float32",
                )


def check_observations_as_declared(bench: SourceBench) -> None:
    """The places that the config's `observations` names are channels that states show: objectives and decoders read
    them."""
    if "channels" not in bench.source_config.modalities:
        raise NotApplicable("the source renders no numbers")
    places, shape = list(bench.source_config.observations().values()), bench.source_config.item_shape()
    require(places, "observations() names no channel; name those that states show, or leave the default")
    inside = all(0 <= index < shape.channels for index in places) and len(set(places)) == len(places)
    require(inside, f"observations() names the places {places} of {shape.channels} channels; each must be one of them")
    states = np.asarray(dict(bench.render(bench.some))["channels"].state)
    require(np.isfinite(states[:, places]).any(), "no state shows any of the channels that observations() names")


def check_undeclared_modality_refused(bench: SourceBench) -> None:
    """A modality that the config does not name is refused in one sentence, not rendered in some way."""
    others = [name for name in get_args(Modality) if name not in bench.source_config.modalities]
    if not others:
        raise NotApplicable("the config names every modality")
    for modality in others:
        try:
            bench.source.render(bench.some, bench.store.channels, modality)
        except JepaError:
            continue
        except Exception as error:
            raise AssertionError(
                f"rendering '{modality}' raised {error!r}; raise RecipeError, saying what can be"
            ) from None
        raise AssertionError(f"'{modality}' was rendered, and the config does not name it; raise RecipeError")


def check_no_future_in_items(bench: SourceBench) -> None:
    """A step shows nothing that came after it: with the later steps of a trajectory cut off, the items of the earlier
    ones are the same."""
    kept = np.maximum(1, bench.some.steps // 2)
    cut = truncated(bench.some, kept)
    early = bench.some.step_numbers() < np.repeat(kept, bench.some.steps)
    for (modality, whole), (_, part) in zip(bench.render(bench.some), bench.render(cut), strict=True):
        for role in ("state", "action"):
            before = [item for item, is_early in zip(getattr(whole, role), early, strict=True) if is_early]
            require(
                _equal_items(before, getattr(part, role)),
                f"{modality}: items of the role {role} change when later steps are cut off; render a step from events "
                "up to its end alone",
            )
        require(_equal_items(whole.static, part.static), f"{modality}: static facts change with later steps")


def check_items_independent_of_block(bench: SourceBench) -> None:
    """A trajectory's items do not depend on the trajectories rendered beside it: blocks are cut anywhere."""
    alone = [next(store_block) for store_block in [bench.store.blocks(1)]]
    for (modality, block), (_, single) in zip(bench.render(bench.some), bench.render(alone[0]), strict=True):
        for role in ROLES:
            few = getattr(single, role)
            require(
                _equal_items(getattr(block, role)[: len(few)], few),
                f"{modality}: items of the role {role} change with the trajectories beside; render each by itself",
            )


def check_targets_never_rendered(bench: SourceBench) -> None:
    """Labels and outcomes are what evaluators predict, and show in no item."""
    bare = replace(
        bench.some,
        labels={name: np.full_like(values, 7.0) for name, values in bench.some.labels.items()},
        outcomes={name: np.full_like(values, 7.0) for name, values in bench.some.outcomes.items()},
    )
    for (modality, whole), (_, other) in zip(bench.render(bench.some), bench.render(bare), strict=True):
        require(_equal(whole, other), f"{modality}: items change with labels or outcomes; render events alone")


def check_identifiers_kept_private(bench: SourceBench) -> None:
    """No identifier of a subject or trajectory stands in a log, in what is recorded about the store, or in an item."""
    heard = io.StringIO()
    handler, logger = logging.StreamHandler(heard), logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            store = bench.build()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    identifiers = {int(number) for number in (*store.identifier, *store.subject) if abs(int(number)) >= TELLING}
    if not identifiers:
        raise NotApplicable(f"its identifiers are below {TELLING:,}, and cannot be told from other numbers")
    texts = [item for modality, part in bench.render(bench.some) if modality == "text" for item in _texts(part)]
    places = {"log": heard.getvalue(), "store's attributes": str(store.attributes), "items": "\n".join(texts)}
    for where, text in places.items():
        count = sum(str(number) in text for number in identifiers)
        require(not count, f"{count} identifiers stand in the {where}; tell counts and row numbers in their place")


def _texts(rendered: Rendered) -> list[str]:
    return [text for role in ROLES for text in getattr(rendered, role)]


def _equal(rendered: Rendered, other: Rendered) -> bool:
    return all(_equal_items(getattr(rendered, role), getattr(other, role)) for role in ROLES)


def _equal_items(item: Any, other: Any) -> bool:
    if len(item) and not isinstance(item[0], str):
        return np.array_equal(np.asarray(item), np.asarray(other), equal_nan=True)
    return list(item) == list(other)


def check_no_prints(bench: SourceBench) -> None:
    """The source prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(bench.build)
