"""From a merged tree to a Recipe, noting every problem on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from jepa_core.config import (
    Config,
    EncoderConfig,
    LearnerShape,
    ObjectiveConfig,
    PhaseConfig,
    PredictorConfig,
    SourceConfig,
)
from jepa_core.errors import JepaError
from jepa_core.plugin import Component, Kind, Registry
from jepa_core.recipe.explain import Section, shown, validate
from jepa_core.recipe.layers import NAMED_LISTS, name_of
from jepa_core.recipe.matching import NoMatch, match_size
from jepa_core.recipe.problems import Place, Problems
from jepa_core.recipe.schema import (
    EncoderUse,
    HeaderConfig,
    Match,
    MatchConfig,
    PhaseUse,
    Recipe,
    RuntimeConfig,
    Use,
    WindowsConfig,
)
from jepa_core.recipe.yaml_tree import Entry, ListNode, Node, ScalarNode, SectionNode, UnusableNode

_SINGLE: tuple[Kind, ...] = ("source", "encoder", "predictor")
_FRAMES: dict[Kind, tuple[str, ...]] = {
    "source": ("use",),
    "encoder": ("use", "match"),
    "predictor": ("use",),
    "phase": ("use", "name", "objectives"),
    "evaluator": ("use", "name"),
    "objective": ("use", "name"),
}
_TOP_KEYS = ("extends", "source", "windows", "encoder", "predictor", "curriculum", "evaluators", "runtime")
_LONGEST_NAME = 80


def build_recipe(tree: SectionNode, default_name: str, registry: Registry, problems: Problems) -> Recipe | None:
    """The recipe that a tree describes; None after noting what is wrong with it."""
    tree = _without_nulls(tree)
    finder = _Finder(registry, problems)
    singles = {kind: finder.single(tree, kind) for kind in _SINGLE}
    phases = finder.listed(tree, "curriculum", "")
    evaluators = finder.listed(tree, "evaluators", "")
    match = finder.matched(tree)
    finder.require_curriculum(tree)
    header = Section("", "the recipe", HeaderConfig, _named(tree, default_name), _TOP_KEYS)
    windows = finder.plain_section(tree, "windows", WindowsConfig)
    runtime = finder.plain_section(tree, "runtime", RuntimeConfig)
    parts = [part for part in [*singles.values(), *phases, *evaluators] if part]
    parts += [objective for phase in phases for objective in phase.objectives]
    parts += [match.encoder] if match else []
    sections = [header, windows, runtime, *(part.section for part in parts if part.section)]
    header_config = cast(HeaderConfig, validate(header, sections, problems))
    windows_config = cast(WindowsConfig, validate(windows, sections, problems))
    runtime_config = cast(RuntimeConfig, validate(runtime, sections, problems))
    for part in parts:
        part.config = validate(part.section, sections, problems) if part.section else None
    if match:
        match.config = validate(match.section, sections, problems)
    if problems.found:
        return None
    source, encoder, predictor = (cast(_Part, singles[kind]) for kind in _SINGLE)
    _check_window(tree, windows_config, predictor, problems)
    _check_modality(tree, source, encoder, problems)
    _check_needs(phases, encoder, registry, problems)
    _check_objectives(phases, source, problems)
    found = {} if problems.found or not match else _find_match(source, encoder, match, problems)
    if problems.found:
        return None
    encoder.config = cast(Config, encoder.config).model_copy(update=found)
    return Recipe(
        **dict(header_config),
        source=source.use(),
        windows=windows_config,
        encoder=encoder.encoder_use(match),
        predictor=predictor.use(),
        curriculum=tuple(part.phase_use() for part in phases),
        evaluators=tuple(part.use() for part in evaluators),
        runtime=runtime_config,
        written=dict(_written(tree, "")) | {f"encoder.{key}": "match" for key in found},
    )


def _check_window(tree: SectionNode, windows: WindowsConfig, predictor: _Part, problems: Problems) -> None:
    """Refuse windows that are longer than the predictor can take."""
    longest = cast(PredictorConfig, predictor.config).longest_window
    if longest is not None and windows.length > longest:
        section = tree.get("windows")
        node = section.get("length") if isinstance(section, SectionNode) else None
        message = f"windows of {windows.length} steps are longer than the predictor '{predictor.name}' can take"
        problems.add(node.place if node else tree.place, message, f"at most {longest}, or change the predictor")


def _check_modality(tree: SectionNode, source: _Part, encoder: _Part, problems: Problems) -> None:
    """Refuse an encoder of a modality that the source does not render."""
    rendered = cast(SourceConfig, source.config).modalities
    wanted = cast(EncoderConfig, encoder.config).modality
    if wanted not in rendered:
        node = tree.get("encoder")
        message = f"the encoder '{encoder.name}' reads {wanted}, and the source '{source.name}' does not render it"
        hint = f"{source.name} renders {' and '.join(rendered)}; choose an encoder of that modality, or another source"
        problems.add(node.place if node else tree.place, message, hint)


def _check_needs(phases: list[_Part], encoder: _Part, registry: Registry, problems: Problems) -> None:
    """Refuse a phase that needs of the encoder what it does not offer."""
    encoders = registry.components("encoder")
    for phase in phases:
        for need in sorted(cast(PhaseConfig, phase.config).needs - cast(EncoderConfig, encoder.config).offers):
            able = [name for name, one in encoders.items() if need in cast(type[EncoderConfig], one.config).offers]
            message = f"phase '{phase.name}' needs an encoder that offers {need}, and '{encoder.name}' does not"
            place = cast(Section, phase.section).node.entries["use"].node.place
            problems.add(place, message, f"encoders that do: {', '.join(able) or 'none is installed'}")


def _check_objectives(phases: list[_Part], source: _Part, problems: Problems) -> None:
    """Refuse an objective that reads numbers of a source which renders none, and objectives of one name that would
    train one module and are not alike."""
    numbers = "channels" in cast(SourceConfig, source.config).modalities
    first: dict[str, _Part] = {}
    for part in (objective for phase in phases for objective in phase.objectives):
        config, place = cast(ObjectiveConfig, part.config), _name_place(cast(Section, part.section).node)
        if config.observes and not numbers:
            message = (
                f"objective '{part.name}' reads the states as numbers, and the source '{source.name}' renders none"
            )
            problems.add(place, message, "take a source that renders channels, or leave the objective out")
        if config.module_size(LearnerShape(1, 1, 1)) is None:
            continue
        other = first.setdefault(part.name, part)
        if (other.component, _but_weight(other)) != (part.component, _but_weight(part)):
            message = f"two objectives are called '{part.name}' and would train one module, but are not alike"
            problems.add(place, message, "give them the same keys (only the weight may differ), or other names")


def _but_weight(objective: _Part) -> dict[str, object]:
    return cast(Config, objective.config).model_dump(exclude={"weight"})


def _find_match(source: _Part, encoder: _Part, match: _MatchPart, problems: Problems) -> dict[str, int]:
    """Values of the encoder's keys that give it latents and parameters as many as another's."""
    config, other = cast(EncoderConfig, encoder.config), cast(EncoderConfig, match.encoder.config)
    node, data, counted = cast(Section, encoder.section).node, cast(SourceConfig, source.config), match.match().config
    written = set(node.entries)
    found: dict[str, int] = {}
    try:
        if config.latent_key and config.latent_key not in written:
            found[config.latent_key] = other.latent_dim
        config = config.model_copy(update=found)
        if config.latent_dim != other.latent_dim:
            message = (
                f"latents of size {config.latent_dim}, and those of '{match.encoder.name}' have {other.latent_dim}"
            )
            place = node.entries[config.latent_key].node.place if config.latent_key else match.section.node.place
            problems.add(place, message, "one predictor reads both, so they must be equal")
            return {}
        wanted = counted.count(other, data)
        return found | match_size(config, written, wanted, lambda one: counted.count(one, data))
    except NoMatch as error:
        problems.add(match.section.node.place, f"'{encoder.name}' cannot be sized: {error}", error.hint)
    except JepaError as error:
        # A resolved recipe holds what was found: it is valid where the files that told are gone.
        if not written.issuperset(config.size_keys) or not config.size_keys:
            problems.add(match.section.node.place, f"the size to match is unknown: {error}")
    return {}


@dataclass
class _Part:
    """Something that the recipe uses. Without a component and a section where those were refused already."""

    name: str
    component: Component | None = None
    section: Section | None = None
    config: Config | None = None
    objectives: list[_Part] = field(default_factory=list)

    def use(self) -> Use:
        return Use(cast(Component, self.component), cast(Config, self.config), self.name)

    def encoder_use(self, match: _MatchPart | None) -> EncoderUse:
        use = self.use()
        return EncoderUse(use.component, use.config, use.name, match.match() if match else None)

    def phase_use(self) -> PhaseUse:
        objectives = tuple(part.use() for part in self.objectives)
        return PhaseUse(cast(Component, self.component), cast(Config, self.config), self.name, objectives)


@dataclass
class _MatchPart:
    """The section `match` of the encoder, and the encoder that it names."""

    section: Section
    encoder: _Part
    config: Config | None = None

    def match(self) -> Match:
        return Match(self.encoder.use(), cast(MatchConfig, self.config))


@dataclass
class _Finder:
    registry: Registry
    problems: Problems

    def single(self, tree: SectionNode, kind: Kind) -> _Part | None:
        """The component in a section of its own."""
        node = tree.get(kind)
        if node is None:
            names = ", ".join(self.registry.components(kind))
            hint = f"`{kind}: {{use: ...}}`; there are: {names or 'none'}"
            self.problems.add(tree.place, f"the recipe needs the section '{kind}'", hint)
            return None
        return self._part(node, kind, kind, _FRAMES[kind])

    def matched(self, tree: SectionNode) -> _MatchPart | None:
        """What the recipe's encoder is sized to, if anything."""
        encoder = tree.get("encoder")
        node = encoder.get("match") if isinstance(encoder, SectionNode) else None
        if node is None or isinstance(node, UnusableNode) or (isinstance(node, ScalarNode) and node.value is None):
            return None
        hint = "`match: {encoder: {use: ...}, parameters: trainable}`"
        if not isinstance(node, SectionNode) or "encoder" not in node.entries:
            self.problems.add(node.place, "'match' needs the key 'encoder', the encoder to be sized to", hint)
            return None
        section = Section("encoder.match", "'match' of the encoder", MatchConfig, node, ("encoder",))
        other = self._part(node.entries["encoder"].node, "encoder", "encoder.match.encoder", ("use",))
        return _MatchPart(section, other) if other else None

    def listed(self, section: SectionNode, key: str, owner: str) -> list[_Part]:
        """The components in a list, under names that differ."""
        kind = cast(Kind, NAMED_LISTS[key])
        node = section.get(key)
        if node is None or isinstance(node, UnusableNode) or (isinstance(node, ScalarNode) and node.value is None):
            return []
        if not isinstance(node, ListNode):
            message = f"expected a list of {kind}s, found {shown(node)}"
            self.problems.add(node.place, message, f"write `- use: ...` for each {kind}")
            return []
        dotted = f"{owner}.{key}" if owner else key
        parts = [part for item in node.items if (part := self._listed_part(item, kind, dotted))]
        self._refuse_equal_names(node, kind)
        return parts

    def plain_section(self, tree: SectionNode, key: str, model: type[Config]) -> Section:
        """A section that belongs to the recipe itself."""
        node = tree.get(key)
        if isinstance(node, SectionNode):
            return Section(key, key, model, node)
        if node is not None and not isinstance(node, UnusableNode):
            keys = ", ".join(model.model_fields)
            self.problems.add(node.place, f"expected a section of keys, found {shown(node)}", f"keys here: {keys}")
        return Section(key, key, model, SectionNode({}, tree.place))

    def require_curriculum(self, tree: SectionNode) -> None:
        """Note a curriculum that is not there or has no phase."""
        node = tree.get("curriculum")
        if node is None or (isinstance(node, ListNode) and not node.items):
            place = node.place if node else tree.place
            self.problems.add(place, "the recipe needs a 'curriculum'", "a list of phases: `- use: ...` for each")

    def _listed_part(self, item: Node, kind: Kind, dotted: str) -> _Part | None:
        name = name_of(item) or ""
        if isinstance(item, SectionNode) and "name" in item.entries:
            self._check_name(item.entries["name"].node)
        part = self._part(item, kind, f"{dotted}.{name}", _FRAMES[kind])
        if part is None:
            return None
        part.name = name or part.name
        if kind == "phase":
            part.objectives = self.listed(cast(SectionNode, item), "objectives", f"{dotted}.{name}")
        return part

    def _part(self, node: Node, kind: Kind, dotted: str, frame: tuple[str, ...]) -> _Part | None:
        if isinstance(node, UnusableNode):
            return None
        if not isinstance(node, SectionNode):
            hint = f"write `use: {node.text}`" if isinstance(node, ScalarNode) and isinstance(node.value, str) else ""
            self.problems.add(node.place, f"expected the keys of one {kind}, found {shown(node)}", hint)
            return None
        component = self._component(node, kind)
        if component is None:
            return _Part("")
        name = name_of(node) if "name" in frame else component.name
        section = Section(dotted, f"{kind} '{name}'", component.config, node, frame)
        return _Part(component.name, component, section)

    def _component(self, node: SectionNode, kind: Kind) -> Component | None:
        """What `use` names, if a working plugin brings it."""
        used = node.get("use")
        if used is None:
            names = ", ".join(self.registry.components(kind)) or "none"
            self.problems.add(node.place, f"this {kind} needs the key 'use'", f"there are: {names}")
            return None
        if not isinstance(used, ScalarNode) or not isinstance(used.value, str):
            if not isinstance(used, UnusableNode):
                self.problems.add(used.place, f"'use' takes the name of one {kind}, found {shown(used)}")
            return None
        component = self.registry.components(kind).get(used.value)
        if component is None:
            self._unknown_component(kind, used.value, used.place)
            return None
        plugin = self.registry.owner(component)
        if plugin.error:
            message = f"{kind} '{used.value}' belongs to the plugin {plugin.package}, which cannot be loaded"
            self._broken(message, used.place, plugin.error)
            return None
        return component

    def _unknown_component(self, kind: Kind, name: str, place: Place) -> None:
        message, _, hint = self.registry.unknown(kind, name[:_LONGEST_NAME]).partition("; ")
        errors = [f"{plugin.package}: {plugin.error}" for plugin in self.registry.plugins if plugin.error]
        if errors and not hint.startswith("did you mean"):
            self._broken(f"{message}; a plugin that may bring it cannot be loaded", place, "; ".join(errors))
        else:
            self.problems.add(place, message, hint)

    def _broken(self, message: str, place: Place, error: str) -> None:
        self.problems.add(place, message, f"{error} (see `jepa plugins`)", broken_plugin=True)

    def _check_name(self, node: Node) -> None:
        if isinstance(node, UnusableNode):
            return
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            self.problems.add(node.place, f"expected text, found {shown(node)}")
        elif not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", node.value):
            self.problems.add(node.place, "a name holds letters, digits, '_' and '-', for overrides address it")

    def _refuse_equal_names(self, node: ListNode, kind: Kind) -> None:
        seen: dict[str, Place] = {}
        for item in node.items:
            name = name_of(item)
            if name is None:
                continue
            place = _name_place(cast(SectionNode, item))
            if name in seen:
                where = f"the first is in {seen[name].origin}; give one of them a `name` of its own"
                self.problems.add(place, f"two {kind}s are called '{name}'", where)
            seen.setdefault(name, place)


def _name_place(item: SectionNode) -> Place:
    return item.entries["name" if "name" in item.entries else "use"].node.place


def _without_nulls(tree: SectionNode) -> SectionNode:
    """Nothing after a key at the top means the same as no key."""
    kept = {
        key: entry
        for key, entry in tree.entries.items()
        if not (isinstance(entry.node, ScalarNode) and entry.node.value is None)
    }
    return SectionNode(kept, tree.place)


def _named(tree: SectionNode, default_name: str) -> SectionNode:
    default = Entry(tree.place, ScalarNode(default_name, default_name, tree.place))
    return SectionNode({"name": default, **tree.entries}, tree.place)


def _written(node: Node, dotted: str) -> Iterable[tuple[str, str]]:
    """Where each key below a node stands, by dotted key; items of named lists go by name."""
    if isinstance(node, ListNode) and dotted.rpartition(".")[2] in NAMED_LISTS:
        for item in node.items:
            yield from _written(item, f"{dotted}.{name_of(item)}")
    elif isinstance(node, SectionNode):
        for key, entry in node.entries.items():
            inner = f"{dotted}.{key}" if dotted else key
            yield inner, entry.key.origin
            yield from _written(entry.node, inner)
