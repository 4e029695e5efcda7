"""What must hold across the components of a recipe, whatever it was written in. Each check returns problems by key
path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import cast

from jepa_core.config import EncoderConfig, LearnerShape, ObjectiveConfig
from jepa_core.plugin import Kind, Registry
from jepa_core.recipe.problems import KeyPath, Problem
from jepa_core.recipe.uses import Parts, Use

ROOT = KeyPath()
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def check_parts(parts: Parts, registry: Registry) -> Iterator[Problem]:
    """Every problem that valid components have with one another."""
    yield from check_window(parts)
    yield from check_modality(parts)
    yield from check_needs(parts, registry)
    yield from check_objectives(parts)


def check_window(parts: Parts) -> Iterator[Problem]:
    """Refuse windows that are longer than the predictor can take."""
    longest = parts.predictor.config.longest_window
    lengths = [(ROOT / "windows" / "length", parts.windows.length)]
    for number, phase in enumerate(parts.curriculum):
        path = (ROOT / "curriculum").item(number, phase.name)
        lengths += [(path, stream.length) for stream in phase.config.streams().values() if stream.length]
    for path, steps in lengths:
        if longest is not None and steps > longest:
            message = f"windows of {steps} steps are longer than the predictor '{parts.predictor.name}' can take"
            yield Problem(path, message, f"at most {longest}, or change the predictor")


def check_modality(parts: Parts) -> Iterator[Problem]:
    """Refuse an encoder of a modality that the source does not render."""
    rendered, wanted = parts.source.config.modalities, parts.encoder.config.modality
    if wanted not in rendered:
        source, encoder = parts.source.name, parts.encoder.name
        message = f"the encoder '{encoder}' reads {wanted}, and the source '{source}' does not render it"
        hint = f"{source} renders {' and '.join(rendered)}; choose an encoder of that modality, or another source"
        yield Problem(ROOT / "encoder", message, hint)


def check_needs(parts: Parts, registry: Registry) -> Iterator[Problem]:
    """Refuse a phase that needs of the encoder what it does not offer."""
    for number, phase in enumerate(parts.curriculum):
        for need in sorted(phase.config.needs - parts.encoder.config.offers):
            able = [
                name
                for name, component in registry.components("encoder").items()
                if need in cast(type[EncoderConfig], component.config).offers
            ]
            name = parts.encoder.name
            message = f"phase '{phase.name}' needs an encoder that offers {need}, and '{name}' does not"
            path = (ROOT / "curriculum").item(number, phase.name) / "use"
            yield Problem(path, message, f"encoders that do: {', '.join(able) or 'none is installed'}")


def check_objectives(parts: Parts) -> Iterator[Problem]:
    """Refuse an objective that reads numbers of a source which renders none, and objectives of one name that would
    train one module and are not alike."""
    numbers, source = "channels" in parts.source.config.modalities, parts.source.name
    first: dict[str, Use[ObjectiveConfig]] = {}
    for path, use in parts.objectives():
        if use.config.observes and not numbers:
            message = f"objective '{use.name}' reads the states as numbers, and the source '{source}' renders none"
            yield Problem(path / "use", message, "take a source that renders channels, or leave the objective out")
        if use.config.module_size(LearnerShape(1, 1, 1)) is None:
            continue
        other = first.setdefault(use.name, use)
        if (use.component, _but_weight(use)) != (other.component, _but_weight(other)):
            message = f"two objectives are called '{use.name}' and would train one module, but are not alike"
            yield Problem(path / "use", message, "give them the same keys (only the weight may differ), or other names")


def _but_weight(use: Use[ObjectiveConfig]) -> dict[str, object]:
    return use.config.model_dump(exclude={"weight"})


def check_curriculum(phases: Sequence[object]) -> Iterator[Problem]:
    """Refuse a recipe without a phase."""
    if not phases:
        hint = "a list of phases: `- use: ...` for each"
        yield Problem(ROOT / "curriculum", "the recipe needs a 'curriculum'", hint)


def check_names(kind: Kind, names: Sequence[tuple[KeyPath, str]]) -> Iterator[Problem]:
    """Refuse a name that overrides could not address, and two items of a list under one name: files are called by
    them, and not every disk tells capitals from small letters.

    names: of the items, each with the path of what names it.
    """
    first: dict[str, KeyPath] = {}
    for path, name in names:
        if not _NAME.fullmatch(name):
            yield Problem(path, "a name holds letters, digits, '_' and '-', for overrides address it")
        if name.casefold() in first:
            hint = "the first is in {other}; give one of them a `name` of its own"
            yield Problem(path, f"two {kind}s are called '{name}'", hint, other=first[name.casefold()])
        first.setdefault(name.casefold(), path)
