"""What a recipe is made of: components with their configs, under names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from jepa_core.config import (
    Config,
    EncoderConfig,
    EvaluatorConfig,
    ItemShape,
    ListenerConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PhaseConfig,
    PredictorConfig,
    ScheduleConfig,
    SourceConfig,
)
from jepa_core.errors import RecipeError
from jepa_core.kinds import Kind
from jepa_core.plugin import Component
from jepa_core.rates import AdamwConfig, CosineConfig
from jepa_core.recipe.problems import KeyPath
from jepa_core.recipe.settings import Counted, RuntimeConfig, WindowsConfig

NAMED_LISTS: dict[str, Kind] = {
    "curriculum": "phase",
    "evaluators": "evaluator",
    "objectives": "objective",
    "trackers": "listener",
}
"""Lists of a recipe whose items go by name, with the kind of the items."""

IMPLIED: dict[Kind, str] = {"optimizer": "adamw", "schedule": "cosine"}
"""What sections of a phase are about where they say no `use`, or are not there."""


def keys_beside(kind: Kind) -> dict[str, str]:
    """What a recipe may say of a component beside its own keys, and what that is."""
    name = {"name": "what overrides and results call it; the component's own name if not given"}
    keys = name if kind in NAMED_LISTS.values() else {}
    if kind == "phase":
        said = "a section; {use} if not given, see jepa show {section}/{use}"
        keys |= {section: said.format(section=section, use=use) for section, use in IMPLIED.items()}
        keys["objectives"] = "a list of terms that are added to the loss; none if not given, see jepa ls objectives"
    return keys


NAMES_ALONE = frozenset({"trackers"})
"""Those of them in which a name alone stands for the component with its defaults."""

ConfigT = TypeVar("ConfigT", bound=Config, covariant=True)
UseT = TypeVar("UseT", bound="Use[Any]")
GivenT = TypeVar("GivenT")


@dataclass(frozen=True)
class Use(Generic[ConfigT]):
    """A component that a recipe uses, under a name, with its config.

    name: as overrides address it and findings are called; the component's where it is empty. chosen: the component,
    where the config's class does not tell which one is meant. A recipe fills in what is left out.
    """

    config: ConfigT
    name: str = ""
    chosen: Component | None = None

    @property
    def component(self) -> Component:
        """What is used; there once the use is part of a recipe."""
        assert self.chosen is not None, "a use that is part of no recipe has no component yet"
        return self.chosen

    def build(self, *arguments: Any) -> Any:
        """The component itself, imported now. arguments: what its contract adds to the config.

        Raises PluginError if it cannot be imported.
        """
        return self.component.load()(self.config, *arguments)

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        named = {} if self.name == self.component.name else {"name": self.name}
        return {"use": self.component.name, **named, **plain(self.config)}


@dataclass(frozen=True, init=False)
class PhaseUse(Use[PhaseConfig]):
    """A phase that a recipe uses, the objectives added to its loss, and how its parameters move."""

    objectives: tuple[Use[ObjectiveConfig], ...] = ()
    optimizer: Use[OptimizerConfig] = Use(AdamwConfig())
    schedule: Use[ScheduleConfig] = Use(CosineConfig())

    def __init__(
        self,
        config: PhaseConfig,
        name: str = "",
        chosen: Component | None = None,
        objectives: Sequence[ObjectiveConfig | Use[ObjectiveConfig]] = (),
        optimizer: OptimizerConfig | Use[OptimizerConfig] | None = None,
        schedule: ScheduleConfig | Use[ScheduleConfig] | None = None,
    ) -> None:
        super().__init__(config, name, chosen)
        object.__setattr__(self, "objectives", tuple(as_use(use) for use in component_list("objectives", objectives)))
        object.__setattr__(self, "optimizer", as_use(AdamwConfig() if optimizer is None else optimizer))
        object.__setattr__(self, "schedule", as_use(CosineConfig() if schedule is None else schedule))

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return {
            **super().resolved(),
            "optimizer": self.optimizer.resolved(),
            "schedule": self.schedule.resolved(),
            "objectives": [use.resolved() for use in self.objectives],
        }


@dataclass(frozen=True, init=False)
class Match:
    """The encoder that another one is sized to, and which of its parameters are counted."""

    encoder: Use[EncoderConfig]
    parameters: Counted

    def __init__(self, encoder: EncoderConfig | Use[EncoderConfig], parameters: Counted = "trainable") -> None:
        object.__setattr__(self, "encoder", as_use(encoder))
        object.__setattr__(self, "parameters", parameters)

    def count(self, encoder: EncoderConfig, source: SourceConfig) -> int:
        """Parameters of an encoder, for items of a source. Raises DataError if a file that would tell is not there."""
        size = encoder.size(item_shape(source, encoder))
        return size.trainable if self.parameters == "trainable" else size.parameters

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return {"encoder": self.encoder.resolved(), "parameters": self.parameters}


@dataclass(frozen=True)
class EncoderUse(Use[EncoderConfig]):
    """The encoder that a recipe uses, and what it is sized to, if anything."""

    match: Match | None = None

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return super().resolved() | ({"match": self.match.resolved()} if self.match else {})


@dataclass(frozen=True, init=False)
class PredictorMatch:
    """The predictor that another one is sized to, and which of its parameters are counted."""

    predictor: Use[PredictorConfig]
    parameters: Counted

    def __init__(self, predictor: PredictorConfig | Use[PredictorConfig], parameters: Counted = "trainable") -> None:
        object.__setattr__(self, "predictor", as_use(predictor))
        object.__setattr__(self, "parameters", parameters)

    def count(self, predictor: PredictorConfig, latent_dim: int) -> int:
        """Parameters of a predictor of latents of size D, all its members together."""
        size = predictor.ensemble_size(latent_dim)
        return size.trainable if self.parameters == "trainable" else size.parameters

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return {"predictor": self.predictor.resolved(), "parameters": self.parameters}


@dataclass(frozen=True)
class PredictorUse(Use[PredictorConfig]):
    """The predictor that a recipe uses, and what it is sized to, if anything."""

    match: PredictorMatch | None = None

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return super().resolved() | ({"match": self.match.resolved()} if self.match else {})


@dataclass(frozen=True)
class Parts:
    """All that a recipe says, whether or not it is valid."""

    name: str
    description: str
    seed: int
    source: Use[SourceConfig]
    windows: WindowsConfig
    encoder: EncoderUse
    predictor: PredictorUse
    curriculum: tuple[PhaseUse, ...]
    evaluators: tuple[Use[EvaluatorConfig], ...]
    runtime: RuntimeConfig
    trackers: tuple[Use[ListenerConfig], ...]

    def placed(self) -> Iterator[tuple[KeyPath, Use[Config]]]:
        """Every component that the recipe names, in its order, with where it stands."""
        root = KeyPath()
        yield root / "source", self.source
        yield root / "encoder", self.encoder
        if self.encoder.match is not None:
            yield root / "encoder" / "match" / "encoder", self.encoder.match.encoder
        yield root / "predictor", self.predictor
        if self.predictor.match is not None:
            yield root / "predictor" / "match" / "predictor", self.predictor.match.predictor
        for path, phase in _items(root / "curriculum", self.curriculum):
            yield path, phase
            yield path / "optimizer", phase.optimizer
            yield path / "schedule", phase.schedule
            yield from _items(path / "objectives", phase.objectives)
        yield from _items(root / "evaluators", self.evaluators)
        yield from _items(root / "trackers", self.trackers)

    def objectives(self) -> Iterator[tuple[KeyPath, Use[ObjectiveConfig]]]:
        """The objectives of every phase, with where they stand."""
        for path, phase in _items(KeyPath() / "curriculum", self.curriculum):
            yield from _items(path / "objectives", phase.objectives)

    def uses(self) -> Iterator[Use[Config]]:
        """Every component that the recipe names, in its order."""
        return (use for _, use in self.placed())


def _items(path: KeyPath, uses: Sequence[UseT]) -> Iterator[tuple[KeyPath, UseT]]:
    return ((path.item(number, use.name), use) for number, use in enumerate(uses))


def as_use(given: ConfigT | Use[ConfigT]) -> Use[ConfigT]:
    """What is given, as a use: a config alone goes by the name of its component."""
    return given if isinstance(given, Use) else Use(given)


def component_list(key: str, given: Sequence[GivenT]) -> Sequence[GivenT]:
    """What a list of components holds. Raises RecipeError for anything but a list, which would be taken apart."""
    if not isinstance(given, list | tuple):
        raise RecipeError(f"{key}: expected a list, found {type(given).__name__}; put what it holds in [...]")
    return given


def as_encoder(given: EncoderConfig | Use[EncoderConfig]) -> EncoderUse:
    """What is given, as the use of an encoder."""
    use = as_use(given)
    return use if isinstance(use, EncoderUse) else EncoderUse(use.config, use.name, use.chosen)


def as_predictor(given: PredictorConfig | Use[PredictorConfig]) -> PredictorUse:
    """What is given, as the use of a predictor."""
    use = as_use(given)
    return use if isinstance(use, PredictorUse) else PredictorUse(use.config, use.name, use.chosen)


def as_phase(given: PhaseConfig | Use[PhaseConfig]) -> PhaseUse:
    """What is given, as the use of a phase."""
    use = as_use(given)
    return use if isinstance(use, PhaseUse) else PhaseUse(use.config, use.name, use.chosen)


def item_shape(source: SourceConfig, encoder: EncoderConfig) -> ItemShape | None:
    """Shape of a source's items as an encoder wants them; None for texts.

    Raises DataError if the file that would tell is not there.
    """
    return source.item_shape() if encoder.modality == "channels" else None


def plain(config: Config) -> dict[str, Any]:
    """A config as a recipe writes it, defaults included."""
    # Values of another type than their key's are told by `jepa_core.recipe.completing`, not by a warning here.
    return config.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False)
