"""New raw data, read as the data of a run were: its own source, what that fitted, and nothing fitted again."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import ValidationError

from jepa_core.config import SourceConfig, StepLength
from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import build_store, open_dataset
from jepa_core.data.rendering import check_rendered_alike
from jepa_core.data.source import Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Channel, Rendered, Trajectories
from jepa_core.errors import DataError, RecipeError, some_of
from jepa_core.model.view import View

if TYPE_CHECKING:
    from jepa_core.model.model import Model
    from jepa_core.plugin import Registry

log = logging.getLogger("jepa")


class Data:
    """Trajectories of new raw data; see `Model.read`.

    source: that renders them. dataset: what the encoder reads. reader: the model that read them, and the only one that
    they are for. view: what it makes of them. step_length: of a step. They lie in a temporary folder, readable by its
    owner alone, which goes with this object.
    """

    def __init__(self, reader: Model, source: Source, config: SourceConfig, extractor: Source | None = None) -> None:
        """Read everything. extractor: what reads them, where it is not `source` itself. Raises DataError if the data
        break their contract, or hold no trajectory, or if items are rendered otherwise than those it was trained on."""
        check_rendered_alike(source, reader.modality, reader.record.get("rendering"), repr(reader))
        self.reader, self.source, self._modalities = reader, source, config.modalities
        self._folder = tempfile.TemporaryDirectory(prefix="jepa-data-")
        self.step_length: StepLength = config.step_length
        store = build_store(extractor or source, reader.source.name, Path(self._folder.name))
        refuse_empty(store)
        self.dataset = open_dataset(store, source, reader.modality)
        self.view = View(reader.frozen, self.dataset, reader.reach.window, self._opener())

    def __len__(self) -> int:
        return len(self.dataset.steps)

    @property
    def steps(self) -> np.ndarray:
        """(N,) steps of each trajectory."""
        return self.dataset.steps

    @property
    def attrition(self) -> list[dict[str, Any]]:
        """How many trajectories each rule of the source left, where it tells."""
        return self.dataset.store.record("attrition")

    def rendered(self, trajectories: Trajectories) -> Rendered:
        """The items of trajectories that are made of these, as the encoder reads them."""
        return self.source.render(trajectories, self.dataset.store.channels, self.reader.modality)

    @property
    def channels(self) -> Dataset | None:
        """The same trajectories as numbers, whatever the encoder reads; None where the source cannot render them."""
        return None if self.view.channels is None else self.view.channels()

    def _opener(self) -> Callable[[], Dataset] | None:
        if "channels" not in self._modalities:
            return None
        store, source = self.dataset.store, self.source
        return cache(lambda: open_dataset(store, source, "channels"))


def read(reader: Model, source: Source, config: SourceConfig) -> Data:
    """The data that a source reads, for a model whose encoder was fitted on some channels."""
    data = Data(reader, source, config)
    warn_left_out(data.attrition)
    compare_channels(data.dataset.store.channels, reader.channels, reader.record.get("channels_left_out", 0))
    return data


def read_by(reader: Model, name: str, paths: Sequence[Path]) -> Data:
    """The data that another source reads, rendered by the model's own. name: of that source.

    Raises RecipeError if it reads no such paths, or its steps are of another length, DataError if none of its channels
    is one that the encoder was fitted on.
    """
    extractor = source_of(reader.registry, name, paths, reader.source_config.step_length)
    own = reader.source.load()(reader.source_config)
    own.load_fitted(reader.record["source_fitted"])
    data = Data(reader, own, reader.source_config, extractor)
    warn_left_out(data.attrition)
    left_out = reader.record.get("channels_left_out", 0)
    meet_channels(name, data.dataset.store.channels, reader.channels, left_out)
    return data


def source_of(registry: Registry, name: str, paths: Sequence[Path], step_length: StepLength) -> Source:
    """The source called `name`, to read what lies at some paths.

    Raises RecipeError if it reads no such paths, or its steps are not as long as those of the model.
    """
    component = registry.component("source", name)
    try:
        config = cast(SourceConfig, component.config()).at(paths)
    except ValidationError as error:
        raise RecipeError(
            f"the source {name} needs keys that a path does not tell; name its data in a recipe"
        ) from error
    if config.step_length != step_length:
        raise RecipeError(
            f"a step of the source {name} is not as long as one of the model: {_length(config.step_length)}, not "
            f"{_length(step_length)}, so the model cannot read its data"
        )
    source: Source = component.load()(config)
    return source


def _length(step: StepLength) -> str:
    return f"{step.value:g} {step.unit}"


def meet_channels(name: str, found: Sequence[Channel], fitted: Sequence[Channel], left_out: int = 0) -> None:
    """Say how many of the channels that the encoder was fitted on a source has, and which others; name: of it.
    left_out: how many more it was fitted on, which are not named.

    Raises DataError where it has none, or one in another unit.
    """
    names = {channel.name for channel in fitted}
    shared = sum(channel.name in names for channel in found)
    if not shared:
        raise DataError(
            f"the source {name} has no channel that the encoder was fitted on: it has "
            f"{some_of([channel.name for channel in found])}, and the encoder was fitted on {some_of(sorted(names))}"
        )
    compare_channels(found, fitted, left_out)
    log.info("%d of %d channels that the encoder was fitted on are channels of %s", shared, len(names), name)


def compare_channels(found: Sequence[Channel], fitted: Sequence[Channel], left_out: int = 0) -> None:
    """Say which channels the encoder was not fitted on, and which have no unit. left_out: how many more it was fitted
    on, which are not named: too few subjects had them. Raises DataError for one that has another unit now."""
    units = {known.name: known.unit for known in fitted}
    for channel in found:
        if units.get(channel.name, channel.unit) != channel.unit:
            raise DataError(
                f"the channel {channel.name} is in {channel.unit or 'no unit'}, and the data that the encoder was "
                f"fitted on have it in {units[channel.name] or 'no unit'}; convert its values"
            )
    unknown = [channel.name for channel in found if channel.name not in units]
    if unknown:
        others = f", or are of {left_out:,} that few subjects had and it does not name" if left_out else ""
        log.warning(
            "%d of %d channels are not among those that the encoder was fitted on%s: %s",
            len(unknown), len(found), others, some_of(unknown),
        )  # fmt: skip
    without = [channel.name for channel in found if not channel.unit and channel.name in units]
    if without:
        log.info(
            "%d of %d channels have no unit, then as now, so that none is compared: %s",
            len(without), len(found), some_of(without),
        )  # fmt: skip


def warn_left_out(attrition: Sequence[Mapping[str, Any]]) -> None:
    """Say what every rule of a source left out."""
    for before, after in pairwise(attrition):
        fewer = int(before.get("trajectories", 0)) - int(after.get("trajectories", 0))
        if fewer > 0:
            log.warning(
                "the rule '%s' of the source leaves out %d of %d trajectories",
                after["step"], fewer, before["trajectories"],
            )  # fmt: skip


def refuse_empty(store: Store) -> None:
    """Refuse trajectories without any observation: what is made of them would be made up."""
    if len(store) == 0:
        raise DataError("the data hold no trajectory; give data with at least one")
    offsets = store.event_offsets("state")
    observed = offsets[store.first_step + store.steps] - offsets[store.first_step]
    empty = np.flatnonzero(observed == 0).tolist()
    if empty:
        raise DataError(
            f"{len(empty)} of {len(store)} trajectories hold no observation, at the positions (from 0) "
            f"{some_of(empty)}; leave them out"
        )
