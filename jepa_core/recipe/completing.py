"""Completes what Python says of a recipe: each component is found by its config's class, named, and checked by itself
and beside the others. A recipe out of a file comes through here too, with its components chosen by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jepa_core.config import Config
from jepa_core.plugin import Kind, Registry
from jepa_core.recipe.checks import ROOT, check_curriculum, check_names, check_parts
from jepa_core.recipe.choosing import choose
from jepa_core.recipe.explain import Section, section_config, shown
from jepa_core.recipe.matching import find_match, find_predictor_match
from jepa_core.recipe.paths import made_whole
from jepa_core.recipe.problems import InvalidRecipe, KeyPath, Problem
from jepa_core.recipe.settings import HeaderConfig, MatchConfig, RuntimeConfig, WindowsConfig
from jepa_core.recipe.uses import EncoderUse, Match, Parts, PhaseUse, PredictorMatch, PredictorUse, UseT, plain


def complete(parts: Parts, registry: Registry) -> tuple[Parts, frozenset[str]]:
    """The parts with what they leave out, and the dotted keys that `match` gave a value.

    Raises InvalidRecipe with every problem. Those between components are looked for once each is valid by itself.
    """
    completer = _Completer(registry)
    whole = completer.parts(parts)
    problems = completer.problems or list(check_parts(whole, registry))
    if not problems:
        sized = _sized(whole)
        if not isinstance(sized, Problem):
            return sized
        problems = [sized]
    raise InvalidRecipe(list(dict.fromkeys(problems)), f"in the recipe {shown(parts.name)}")


def _sized(whole: Parts) -> tuple[Parts, frozenset[str]] | Problem:
    """The parts with encoder and predictor sized to what they are to match, and the dotted keys that were found."""
    encoder = find_match(whole.source, whole.encoder)
    if isinstance(encoder, Problem):
        return encoder
    sized = replace(whole.encoder, config=whole.encoder.config.model_copy(update=encoder))
    predictor = find_predictor_match(sized.config, whole.predictor)
    if isinstance(predictor, Problem):
        return predictor
    keys = {f"encoder.{key}" for key in encoder} | {f"predictor.{key}" for key in predictor}
    config = whole.predictor.config.model_copy(update=predictor)
    return replace(whole, encoder=sized, predictor=replace(whole.predictor, config=config)), frozenset(keys)


@dataclass
class _Completer:
    """Goes through a recipe, noting every problem that something in it has by itself."""

    registry: Registry
    problems: list[Problem] = field(default_factory=list)

    def parts(self, parts: Parts) -> Parts:
        """All of a recipe, with components and names."""
        header = {"name": parts.name, "description": parts.description, "seed": parts.seed}
        self._check_values(Section(ROOT, "the recipe", HeaderConfig, header))
        self._check_settings("windows", parts.windows, WindowsConfig)
        self._check_settings("runtime", parts.runtime, RuntimeConfig)
        self.problems += check_curriculum(parts.curriculum)
        phases = self._listed(parts.curriculum, "phase", ROOT / "curriculum")
        return replace(
            parts,
            source=self._single(parts.source, "source", ROOT / "source"),
            encoder=self._encoder(parts.encoder),
            predictor=self._predictor(parts.predictor),
            curriculum=tuple(self._phase(use, number) for number, use in enumerate(phases)),
            evaluators=self._listed(parts.evaluators, "evaluator", ROOT / "evaluators"),
            trackers=self._listed(parts.trackers, "listener", ROOT / "trackers"),
        )

    def _single(self, use: UseT, kind: Kind, path: KeyPath) -> UseT:
        """A use in a section of its own, which goes by its component's name."""
        whole = self._whole(use, kind, path)
        if whole.chosen is not None and whole.name != whole.chosen.name:
            message = f"the {kind} of a recipe takes no name; it goes by '{whole.chosen.name}'"
            self.problems.append(Problem(path / "name", message))
        return whole

    def _encoder(self, use: EncoderUse) -> EncoderUse:
        whole = self._single(use, "encoder", ROOT / "encoder")
        if whole.match is None:
            return whole
        other = self._matched(whole.match.encoder, "encoder", whole.match.parameters)
        return replace(whole, match=Match(other, whole.match.parameters))

    def _predictor(self, use: PredictorUse) -> PredictorUse:
        whole = self._single(use, "predictor", ROOT / "predictor")
        if whole.match is None:
            return whole
        other = self._matched(whole.match.predictor, "predictor", whole.match.parameters)
        return replace(whole, match=PredictorMatch(other, whole.match.parameters))

    def _matched(self, other: UseT, kind: Kind, counted: str) -> UseT:
        """What one is sized to; its own `match`, if it has one, is looked at nowhere."""
        path = ROOT / kind / "match"
        self._check_values(Section(path, f"'match' of the {kind}", MatchConfig, {"parameters": counted}))
        return self._single(other, kind, path / kind)

    def _listed(self, uses: tuple[UseT, ...], kind: Kind, path: KeyPath) -> tuple[UseT, ...]:
        """The uses in a list, under names that differ."""
        whole = tuple(self._whole(use, kind, path, number) for number, use in enumerate(uses))
        keys = [path / number / ("name" if use.name else "use") for number, use in enumerate(uses)]
        self.problems += check_names(kind, [(key, use.name) for key, use in zip(keys, whole, strict=True) if use.name])
        return whole

    def _phase(self, use: PhaseUse, number: int) -> PhaseUse:
        path = (ROOT / "curriculum").item(number, use.name)
        return replace(
            use,
            objectives=self._listed(use.objectives, "objective", path / "objectives"),
            optimizer=self._single(use.optimizer, "optimizer", path / "optimizer"),
            schedule=self._single(use.schedule, "schedule", path / "schedule"),
        )

    def _whole(self, use: UseT, kind: Kind, path: KeyPath, number: int | None = None) -> UseT:
        """A use with its component and a name, or as it is where it has none, which is noted.

        path: of the use, or of the list that has it as an item of this number.
        """
        chosen = choose(
            use, kind, path if number is None else path.item(number, use.name or str(number)), self.registry
        )
        if isinstance(chosen, Problem):
            self.problems.append(chosen)
            return use
        name = use.name or chosen.name
        at = path if number is None else path.item(number, name)
        known = len(self.problems)
        self._check_config(at, f"{kind} '{name}'", use.config)
        config = made_whole(use.config) if len(self.problems) == known else use.config
        return replace(use, name=name, chosen=chosen, config=config)

    def _check_settings(self, key: str, given: Any, model: type[Config]) -> None:
        """Note what is wrong with a section of the recipe's own."""
        if isinstance(given, model):
            self._check_config(ROOT / key, key, given)
        else:
            message = f"expected {model.__name__}, found {type(given).__name__}"
            self.problems.append(Problem(ROOT / key, message, f"write {model.__name__}(...)"))

    def _check_config(self, path: KeyPath, title: str, config: Config) -> None:
        """Note what a file could not say: the resolved recipe of a run must read back as the same recipe."""
        values = plain(config)
        unsaid = [Problem(at, f"expected a finite number, found {number}") for at, number in _not_finite(path, values)]
        self.problems += unsaid
        if not unsaid:  # the section's own check would tell of the same number again
            self._check_values(Section(path, title, type(config), values))

    def _check_values(self, section: Section[Any]) -> None:
        section_config(section, [section], self.problems)


def _not_finite(path: KeyPath, values: Any) -> Iterator[tuple[KeyPath, float]]:
    """Numbers below a path that no recipe can hold."""
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inner:
        yield from _not_finite(path / key, value)
    if isinstance(values, float) and not math.isfinite(values):
        yield path, values
