"""From plain values, such as a file's, to a recipe. Components are chosen by name here; the rest is as in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic

from jepa_core.config import Config
from jepa_core.kinds import Kind
from jepa_core.plugin import Component, Registry
from jepa_core.recipe.checks import ROOT, check_curriculum, check_names
from jepa_core.recipe.explain import ConfigT, Section, Texts, Unreadable, has_unreadable, section_config, shown
from jepa_core.recipe.paths import from_their_files
from jepa_core.recipe.problems import InvalidRecipe, KeyPath, Problem
from jepa_core.recipe.schema import Recipe
from jepa_core.recipe.settings import Counted, HeaderConfig, MatchConfig, RuntimeConfig, WindowsConfig
from jepa_core.recipe.uses import IMPLIED, NAMED_LISTS, EncoderUse, Match, PhaseUse, PredictorMatch, PredictorUse, Use

_BESIDE: dict[Kind, tuple[str, ...]] = {
    "encoder": ("match",), "predictor": ("match",), "phase": ("objectives", *IMPLIED)
}  # fmt: skip
"""Keys that the recipe itself reads beside `use` and, in a list, `name`."""
_TOP_KEYS = ("extends", "source", "windows", "encoder", "predictor", "curriculum", "evaluators", "runtime", "trackers")
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Given:
    """Plain values that say a recipe. texts: how its scalars were written. written: where each key stands, by dotted
    key. folders: of the files that scalars stand in."""

    values: Mapping[str, Any]
    texts: Texts = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[KeyPath, Path] = field(default_factory=dict)


def read_plain(given: Given, default_name: str, registry: Registry) -> Recipe:
    """The recipe that plain values say; those that `Recipe.resolved` gives say the same recipe again.

    Raises InvalidRecipe with every problem and its key path; with none where all that is wrong are values that could
    not be read, for those were told already.
    """
    values = {"name": default_name, **given.values}
    reader = _Reader(registry, given.texts, given.folders)
    header = reader.section(ROOT, "the recipe", HeaderConfig, values, _TOP_KEYS)
    windows = reader.settings(values, "windows", WindowsConfig)
    runtime = reader.settings(values, "runtime", RuntimeConfig)
    source, encoder, predictor = (reader.single(values, kind) for kind in ("source", "encoder", "predictor"))
    match, predictor_match = (reader.matched(values.get(kind), kind) for kind in ("encoder", "predictor"))
    phases, evaluators, trackers = (
        reader.listed(values, key, ROOT) for key in ("curriculum", "evaluators", "trackers")
    )
    if values.get("curriculum", []) == []:
        reader.problems += check_curriculum(())
    reader.validate()
    if reader.problems or has_unreadable(values):
        raise InvalidRecipe(list(dict.fromkeys(reader.problems)), f"in the recipe {shown(values['name'])}")
    return Recipe(
        **dict(header.valid()),
        source=source.use(),
        windows=windows.valid(),
        encoder=EncoderUse(**vars(encoder.use()), match=Match(*match.of()) if match else None),
        predictor=PredictorUse(
            **vars(predictor.use()), match=PredictorMatch(*predictor_match.of()) if predictor_match else None
        ),
        curriculum=[part.phase() for part in phases],
        evaluators=[part.use() for part in evaluators],
        runtime=runtime.valid(),
        trackers=[part.use() for part in trackers],
        registry=registry,
        written=given.written,
    )


@dataclass
class _Piece(Generic[ConfigT]):
    """A section, and its config once that was found valid."""

    section: Section[ConfigT]
    config: ConfigT | None = None

    def valid(self) -> ConfigT:
        assert self.config is not None
        return self.config


@dataclass
class _Part(_Piece[Any]):
    """Something that the recipe uses. component: None where none can be had, which is told."""

    name: str = ""
    component: Component | None = None
    objectives: list[_Part] = field(default_factory=list)
    methods: dict[Kind, _Part] = field(default_factory=dict)

    def use(self) -> Use[Any]:
        return Use(self.valid(), self.name, self.component)

    def phase(self) -> PhaseUse:
        objectives, methods = [part.use() for part in self.objectives], self.methods
        return PhaseUse(self.valid(), self.name, self.component, objectives, *(methods[kind].use() for kind in IMPLIED))


@dataclass
class _MatchPiece(_Piece[MatchConfig]):
    """A section `match`, and the encoder or predictor that it names."""

    other: _Part = field(kw_only=True)

    def of(self) -> tuple[Use[Any], Counted]:
        """What is to be matched, and which of its parameters are counted."""
        return self.other.use(), self.valid().parameters


@dataclass
class _Reader:
    """Finds the pieces of a recipe, noting every problem on the way."""

    registry: Registry
    texts: Texts
    folders: Mapping[KeyPath, Path]
    pieces: list[_Piece[Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def section(
        self, path: KeyPath, title: str, model: type[ConfigT], values: Mapping[str, Any], frame: tuple[str, ...] = ()
    ) -> _Piece[ConfigT]:
        """A section, whose values are not looked at yet."""
        piece = _Piece(Section(path, title, model, values, frame, self.texts))
        self.pieces.append(piece)
        return piece

    def settings(self, values: Mapping[str, Any], key: str, model: type[ConfigT]) -> _Piece[ConfigT]:
        """A section of the recipe's own."""
        given = values.get(key, {})
        if not isinstance(given, Mapping | Unreadable):
            message = f"expected a section of keys, found {self._shown(ROOT / key, given)}"
            self.problems.append(Problem(ROOT / key, message, f"keys here: {', '.join(model.model_fields)}"))
        return self.section(ROOT / key, key, model, given if isinstance(given, Mapping) else {})

    def single(self, values: Mapping[str, Any], kind: Kind) -> _Part:
        """The component in a section of its own."""
        if kind in values:
            return self._part(values[kind], kind, ROOT / kind, ("use", *_BESIDE.get(kind, ())))
        hint = f"`{kind}: {{use: ...}}`; there are: {self._names(kind)}"
        return self._none(Problem(ROOT, f"the recipe needs the section '{kind}'", hint))

    def matched(self, part: Any, kind: Kind) -> _MatchPiece | None:
        """What the recipe's encoder or predictor is sized to, if anything."""
        values, path = part.get("match") if isinstance(part, Mapping) else None, ROOT / kind / "match"
        if values is None or isinstance(values, Unreadable):
            return None
        if not isinstance(values, Mapping) or kind not in values:
            hint = f"`match: {{{kind}: {{use: ...}}, parameters: trainable}}`"
            message = f"'match' needs the key '{kind}', the {kind} to be sized to"
            self.problems.append(Problem(path, message, hint))
            return None
        section = Section(path, f"'match' of the {kind}", MatchConfig, values, (kind,), self.texts)
        piece = _MatchPiece(section, other=self._part(values[kind], kind, path / kind, ("use",)))
        self.pieces.append(piece)
        return piece

    def listed(self, values: Mapping[str, Any], key: str, path: KeyPath) -> list[_Part]:
        """The components in a list, under names that differ."""
        items, kind = values.get(key), NAMED_LISTS[key]
        if items is None or isinstance(items, Unreadable):
            return []
        if not isinstance(items, list):
            message = f"expected a list of {kind}s, found {self._shown(path / key, items)}"
            self.problems.append(Problem(path / key, message, f"write `- use: ...` for each {kind}"))
            return []
        parts = [self._item(item, kind, path / key, number) for number, item in enumerate(items)]
        named = [
            (path / key / number / ("name" if "name" in item else "use"), part.name)
            for number, (item, part) in enumerate(zip(items, parts, strict=True))
            if part.name
        ]
        self.problems += check_names(kind, named)
        return parts

    def validate(self) -> None:
        """Look at the values of every section."""
        sections = [piece.section for piece in self.pieces]
        for piece in self.pieces:
            section = replace(piece.section, values=from_their_files(piece.section, self.folders))
            piece.config = section_config(section, sections, self.problems)

    def _item(self, item: Any, kind: Kind, path: KeyPath, number: int) -> _Part:
        """An item of a list. It goes by its `name`, else by what it uses."""
        name, path = name_of(item), path.item(number, name_of(item) or str(number))
        if isinstance(item, Mapping) and not isinstance(item.get("name", ""), str | Unreadable):
            message = f"expected text, found {self._shown(path / 'name', item['name'])}"
            self.problems.append(Problem(path / "name", message))
        part = self._part(item, kind, path, ("use", "name", *_BESIDE.get(kind, ())), name or "")
        part.name = name or ""
        if "objectives" in _BESIDE.get(kind, ()) and isinstance(item, Mapping):
            part.objectives = self.listed(item, "objectives", path)
            part.methods = {kind: self._implied(item.get(kind), kind, path / kind) for kind in IMPLIED}
        return part

    def _implied(self, given: Any, kind: Kind, path: KeyPath) -> _Part:
        """The component in a section that need not say which, nor be there."""
        values = {} if given is None else given
        if isinstance(values, Mapping):
            values = {"use": IMPLIED[kind], **values}
        return self._part(values, kind, path, ("use",))

    def _part(self, values: Any, kind: Kind, path: KeyPath, frame: tuple[str, ...], name: str = "") -> _Part:
        if isinstance(values, Unreadable):
            return self._none()
        if not isinstance(values, Mapping):
            hint = f"write `use: {values}`" if isinstance(values, str) else ""
            message = f"expected the keys of one {kind}, found {self._shown(path, values)}"
            return self._none(Problem(path, message, hint))
        component = self._component(values, kind, path)
        if not isinstance(component, Component):
            return self._none(component)
        title = f"{kind} '{name or component.name}'"
        section = Section(path, title, component.config, values, frame, self.texts)
        part = _Part(section, name=name or component.name, component=component)
        self.pieces.append(part)
        return part

    def _none(self, problem: Problem | None = None) -> _Part:
        """What stands for a part that cannot be had, after noting why."""
        self.problems += [problem] if problem else []
        return _Part(Section(ROOT, "", Config, {}))

    def _component(self, values: Mapping[str, Any], kind: Kind, path: KeyPath) -> Component | Problem | None:
        """What `use` names, if a working plugin brings it; None where it could not be read."""
        used = values.get("use")
        if "use" not in values:
            return Problem(path, f"this {kind} needs the key 'use'", f"there are: {self._names(kind)}")
        if isinstance(used, Unreadable):
            return None
        if not isinstance(used, str):
            plain = self._shown(path / "use", used)
            return Problem(path / "use", f"'use' takes the name of one {kind}, found {plain}")
        component = self.registry.components(kind).get(used)
        if component is None:
            return self._unknown(kind, used, path / "use")
        plugin = self.registry.owner(component)
        if plugin.error:
            message = f"{kind} '{used}' belongs to the plugin {plugin.package}, which cannot be loaded"
            return _broken(path / "use", message, plugin.error)
        return component

    def _unknown(self, kind: Kind, name: str, path: KeyPath) -> Problem:
        message, _, hint = self.registry.unknown(kind, name[:_LONGEST_NAME]).partition("; ")
        errors = [f"{plugin.package}: {plugin.error}" for plugin in self.registry.plugins if plugin.error]
        if errors and not hint.startswith("did you mean"):
            return _broken(path, f"{message}; a plugin that may bring it cannot be loaded", "; ".join(errors))
        return Problem(path, message, hint)

    def _names(self, kind: Kind) -> str:
        return ", ".join(self.registry.components(kind)) or "none"

    def _shown(self, path: KeyPath, value: Any) -> str:
        return shown(value, self.texts.get(path))


def name_of(item: Any) -> str | None:
    """The name that an item of a named list goes by: its `name`, else what it uses."""
    if not isinstance(item, Mapping):
        return None
    return next((item[key] for key in ("name", "use") if isinstance(item.get(key), str)), None)


def _broken(path: KeyPath, message: str, error: str) -> Problem:
    return Problem(path, message, f"{error} (see `jepa plugins`)", broken_plugin=True)
