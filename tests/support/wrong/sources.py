from __future__ import annotations

import logging
from dataclasses import replace
from typing import ClassVar

import numpy as np

from jepa_core.config import ItemShape
from jepa_core.data.trajectories import Rendered
from jepa_core.testing.oscillator_parts import FIRST_IDENTIFIER, Oscillators
from jepa_core.testing.oscillators import OscillatorsConfig
from wrong import fails


class WrongShapeConfig(OscillatorsConfig):
    """Says that items have 9 channels."""

    def item_shape(self):
        return ItemShape(channels=9)


class WrongPlacesConfig(OscillatorsConfig):
    """Says that the static fact is what states show."""

    def observations(self):
        return {"stiffness": 0}


class TextConfig(OscillatorsConfig):
    """Renders texts alone."""

    modalities: ClassVar = ("text",)


class Changing(Oscillators):
    """Writes every block as `changed` makes it."""

    def build(self, writer, scratch):
        append = writer.append
        writer.append = lambda block: append(self.changed(block))
        super().build(writer, scratch)

    def changed(self, block):
        return block


@fails("check_splits_by_subject", "source", OscillatorsConfig)
class SplitsByTrajectory(Changing):
    def changed(self, block):
        return replace(block, split=np.arange(len(block.steps)) % 3)


@fails("check_two_builds_equal", "source", OscillatorsConfig)
class DrawsFromNumpy(Changing):
    def changed(self, block):
        return replace(block, outcomes={"luck": np.random.rand(len(block.steps))})


@fails("check_fingerprint_stable", "source", OscillatorsConfig)
class FingerprintAtRandom(Oscillators):
    def fingerprint(self):
        return np.random.default_rng().bytes(8).hex()


@fails("check_fingerprint_sensitive_to_options", "source", OscillatorsConfig)
class FingerprintWithoutNoise(Oscillators):
    def fingerprint(self):
        return type(self)(self.config.model_copy(update={"noise": 0.0})).digest()

    def digest(self):
        return super().fingerprint()


@fails("check_items_as_declared", "source", WrongShapeConfig)
class FourChannels(Oscillators):
    pass


@fails("check_undeclared_modality_refused", "source", TextConfig)
class RendersAnything(Oscillators):
    pass


@fails("check_no_future_in_items", "source", OscillatorsConfig)
class ShowsTheLength(Oscillators):
    def render(self, trajectories, channels, modality):
        rendered = super().render(trajectories, channels, modality)
        if modality == "text":
            lengths = np.repeat(trajectories.steps, trajectories.steps)
            return replace(
                rendered, state=[f"{text} of {count}" for text, count in zip(rendered.state, lengths, strict=True)]
            )
        return rendered


@fails("check_items_independent_of_block", "source", OscillatorsConfig)
class CentresTheBlock(Oscillators):
    def render(self, trajectories, channels, modality):
        rendered = super().render(trajectories, channels, modality)
        if modality == "channels":
            return Rendered(rendered.static, rendered.state - np.nanmean(rendered.state, 0), rendered.action)
        return rendered


@fails("check_targets_never_rendered", "source", OscillatorsConfig)
class ShowsTheOutcome(Oscillators):
    def render(self, trajectories, channels, modality):
        rendered = super().render(trajectories, channels, modality)
        if modality == "text":
            return replace(rendered, static=[f"pushed {trajectory}" for trajectory in trajectories.outcomes["pushed"]])
        return rendered


@fails("check_identifiers_kept_private", "source", OscillatorsConfig)
class LogsTheSubject(Oscillators):
    def build(self, writer, scratch):
        logging.getLogger("jepa").info("first subject %d", FIRST_IDENTIFIER)
        super().build(writer, scratch)


@fails("check_no_prints", "source", OscillatorsConfig)
class Prints(Oscillators):
    def build(self, writer, scratch):
        print("building")
        super().build(writer, scratch)


@fails("check_observations_as_declared", "source", WrongPlacesConfig)
class NamesTheStaticFact(Oscillators):
    pass
