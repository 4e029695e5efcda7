"""The source `meds`: a data set in the Medical Event Data Standard to a store of trajectories, and their texts."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.data.source import Assurance, Source
from jepa_core.data.splits import divide
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Rendered, Trajectories
from jepa_core.errors import DataError, RecipeError
from jepa_core.io.files import digest_pieces
from jepa_meds import render
from jepa_meds.assembly import EpisodeAssembly
from jepa_meds.codes import Codes
from jepa_meds.config import MedsConfig
from jepa_meds.labels import placements
from jepa_meds.layout import shards
from jepa_meds.metadata import read_dataset, read_descriptions, split_of
from jepa_meds.reading import WRITTEN, Shard, refuse_other_types
from jepa_meds.survey import Episodes, Survey

EXTRACTION_VERSION = 2
"""Raised when the same files and options give another store."""

log = logging.getLogger("jepa")


class MedsSource(Source):
    """Records in the Medical Event Data Standard, step by step.

    The shards are read twice, a few whole subjects at a time: once to check them and to find where trajectories begin
    and end, once to write them. Memory holds one batch of rows (or one subject, if that is more) and a few numbers a
    trajectory. A step shows what the data set times within it; whether that was known by then is the ETL's answer.
    """

    def __init__(self, config: MedsConfig) -> None:
        self.config = config
        self._fitted: dict[str, Any] = {}

    def fingerprint(self) -> str:
        """Digest of the files, of the options that change the store, and of the extraction's version."""
        options = self.config.model_dump(mode="json", exclude={"path", "names", "allow_empty", "labels"})
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
        digest.update(f"extraction {EXTRACTION_VERSION}".encode())
        self._refuse_missing()
        labels = {path: name for name, path in self.config.label_inputs()}
        for file in self.config.inputs():
            shown_path = (
                file.path.relative_to(self.config.folder).as_posix() if file.path not in labels else file.path.name
            )
            digest.update(f"{labels.get(file.path, '')} {shown_path} ".encode())
            digest_pieces(file.path, digest)
        return digest.hexdigest()

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write the trajectories to `writer`, and the tables `attrition`, `dataset` and `labels` about them."""
        config, codes = self.config, Codes(self.config)
        self._refuse_missing()
        dataset = read_dataset(config.folder)
        descriptions = read_descriptions(config.folder) | self._fitted.get("descriptions", {})
        parts = [Shard(path) for path in shards(config.folder)]
        _refuse_unknown_columns(config, parts)
        survey = Survey(parts, codes, by_subject=config.trajectory == "subject")
        codes.check_expressions(descriptions)
        episodes = survey.episodes
        if len(episodes) == 0:
            raise DataError(
                f"{config.folder} gives no trajectory: {survey.subjects} subjects and {survey.events} events, and "
                "source.trajectory finds none of any length in them; change it, or source.exclude"
            )
        _tell(dataset, survey, codes, descriptions)
        channels, channel = codes.channels(descriptions)
        _refuse_other_units(config, channels, self._fitted.get("units", {}))
        writer.channels(channels)
        assembly = EpisodeAssembly(config, codes, channel, episodes, self._split(episodes))
        assembly.take_labels({name: Path(given).expanduser() for name, given in config.labels.items()})
        for block in assembly.blocks(parts):
            writer.append(block)
        writer.record("attrition", survey.attrition())
        writer.record("dataset", [dataset])
        writer.record("labels", list(placements(assembly.labels)))

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Texts of the trajectories and their steps.

        Raises RecipeError for any modality but `text`.
        """
        if modality != "text":
            raise RecipeError(
                f"the source meds renders the modality text, not {modality}; choose an encoder that reads texts"
            )
        names = [channel.label if self.config.names == "description" else channel.name for channel in channels]
        return render.render_text(trajectories, channels, names, self.config.step_hours)

    def begins(self, steps: np.ndarray) -> np.ndarray:
        """Hours since the trajectory began."""
        return steps * float(self.config.step_hours)

    def assurances(self, channels: Sequence[Channel]) -> list[Assurance]:
        """The times of codes are the data set's: whether something was known by then is the answer of its ETL."""
        return [
            Assurance("availability", None, "a code is shown at its time; was it known? Its ETL must say"),
            Assurance("intervals", None, "the standard has no intervals; whether a code tells one is its ETL's answer"),
            Assurance(
                "hindsight", None,
                "codes that an ETL times before they were written (diagnoses, say) are shown unless source.exclude "
                f"names them; it has {len(self.config.exclude)} expressions",
            ),
        ]  # fmt: skip

    def rendering_fingerprint(self, modality: str) -> str:
        return f"meds {modality} {render.VERSION} {self.config.names}"

    def fitted(self, store: Store, shared: Sequence[Channel]) -> dict[str, Any]:
        """`descriptions` of the codes, which texts call them by, and the `units` of each code that has one; of those
        that enough subjects share. Others go by the descriptions that come with new data, and by any unit."""
        described = {channel.name: channel.label for channel in shared if channel.label != channel.name}
        return {"descriptions": described, "units": _units(self.config, shared)}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        self._fitted = fitted

    def _split(self, episodes: Episodes) -> np.ndarray:
        split = self.config.split
        if split is not None and split.origin == "file":
            return split_of(episodes.subject, self.config.folder)
        return divide(episodes.subject, np.zeros(len(episodes)), split)

    def _refuse_missing(self) -> None:
        missing = self.config.missing()
        if missing:
            raise DataError(missing[0])


def _units(config: MedsConfig, channels: Sequence[Channel]) -> dict[str, list[str]]:
    """Units by the code without its unit."""
    labels_of: dict[str, list[str]] = {}
    for channel in channels:
        if channel.unit:
            labels_of.setdefault(_without_unit(config, channel.name), []).append(channel.unit)
    return labels_of


def _without_unit(config: MedsConfig, code: str) -> str:
    """A code, its unit taken out of its middle where it holds one."""
    match = next((match for pattern in config.units if (match := re.fullmatch(pattern, code))), None)
    return code if match is None else code[: match.start(1)] + code[match.end(1) :]


def _refuse_other_units(config: MedsConfig, channels: Sequence[Channel], known: dict[str, list[str]]) -> None:
    """Refuse a code in a unit that it never had before. Raises DataError naming the first, and both units."""
    for channel in channels:
        before = known.get(_without_unit(config, channel.name), [channel.unit]) if channel.unit else [channel.unit]
        if channel.unit not in before:
            raise DataError(
                f"{config.folder}: the code {channel.name} is in {channel.unit}, and the data that the encoder was "
                f"fitted on have it in {', '.join(before)}; convert its values, and name its unit so"
            )


def _refuse_unknown_columns(config: MedsConfig, parts: list[Shard]) -> None:
    """Refuse a text column that no shard has, or that makes no words; `text_value` alone is optional in the
    standard."""
    for column in config.text_columns:
        if column != "text_value" and not any(column in part.columns for part in parts):
            raise DataError(f"source.text_columns: no shard of {config.folder} has the column {column}; leave it out")
        for part in parts:
            refuse_other_types(part.path, part.schema, {column: WRITTEN}, "leave it out of source.text_columns")


def _tell(dataset: dict[str, str | int | float], survey: Survey, codes: Codes, descriptions: dict[str, str]) -> None:
    if survey.rounded:
        names = list(codes)
        log.warning(
            "%s values are whole numbers beyond 16,777,216, which single precision rounds; the codes are %s",
            f"{survey.rounded.total():,}", ", ".join(names[code] for code, _ in survey.rounded.most_common(5)),
        )  # fmt: skip
    described = sum(bool(descriptions.get(code)) for code in codes)
    log.info(
        "MEDS data set %s %s by %s %s, MEDS %s: %s subjects, %s events, %s codes, %s of them described",
        *(dataset[field] or "(not named)" for field in dataset),
        *(f"{count:,}" for count in (survey.subjects, survey.events, len(codes), described)),
    )
