"""What a recipe is: typed, complete, valid, and able to say where each of its values came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import BaseModel

from jepa_core.config import (
    Config,
    EncoderConfig,
    EvaluatorConfig,
    ItemShape,
    LearnerShape,
    ListenerConfig,
    PhaseConfig,
    PredictorConfig,
    SourceConfig,
)
from jepa_core.plugin import Registry, shared_registry
from jepa_core.recipe.completing import complete
from jepa_core.recipe.problems import KeyPath
from jepa_core.recipe.settings import RuntimeConfig, WindowsConfig
from jepa_core.recipe.uses import (
    IMPLIED,
    Parts,
    Use,
    as_encoder,
    as_phase,
    as_predictor,
    as_use,
    component_list,
    item_shape,
    plain,
)

PYTHON = "python"
"""Where a value came from that no file says."""


@dataclass(frozen=True, init=False)
class Recipe(Parts):
    """A valid recipe. Read from a file or made in Python, it is the same thing:

        Recipe(
            source=OscillatorsConfig(trajectories=24),
            encoder=TinyChannelsConfig(width=8),
            predictor=TinyRecurrentConfig(),
            curriculum=[
                PredictorWarmupConfig(steps=100),
                PhaseUse(JointRefinementConfig(steps=400), name="joint", objectives=[SigregConfig(weight=0.1)]),
            ],
            evaluators=[LatentCollapseConfig()],
        )

    Each component is found by its config's class; `Use`, `PhaseUse`, `EncoderUse` and `PredictorUse` add what a file
    says beside a config's own keys: a name, objectives, `match`. `dataclasses.replace` gives a changed recipe, checked
    again.
    """

    registry: Registry = field(repr=False, compare=False)
    written: Mapping[str, str] = field(repr=False, compare=False)
    """Where each key that somebody wrote stands, by dotted key."""

    def __init__(
        self,
        *,
        source: SourceConfig | Use[SourceConfig],
        encoder: EncoderConfig | Use[EncoderConfig],
        predictor: PredictorConfig | Use[PredictorConfig],
        curriculum: Sequence[PhaseConfig | Use[PhaseConfig]],
        evaluators: Sequence[EvaluatorConfig | Use[EvaluatorConfig]] = (),
        name: str = "recipe",
        description: str = "",
        seed: int = 0,
        windows: WindowsConfig | None = None,
        runtime: RuntimeConfig | None = None,
        trackers: Sequence[ListenerConfig | Use[ListenerConfig]] = (),
        registry: Registry | None = None,
        written: Mapping[str, str] | None = None,
    ) -> None:
        """registry: where the components are found; that of the installed plugins, if not given. written: see above;
        every key that Python gave a value, if not given.

        Raises InvalidRecipe with every problem and its key path.
        """
        registry = registry or shared_registry()
        parts = Parts(
            name=name,
            description=description,
            seed=seed,
            source=as_use(source),
            windows=WindowsConfig() if windows is None else windows,
            encoder=as_encoder(encoder),
            predictor=as_predictor(predictor),
            curriculum=tuple(as_phase(phase) for phase in component_list("curriculum", curriculum)),
            evaluators=tuple(as_use(use) for use in component_list("evaluators", evaluators)),
            runtime=RuntimeConfig() if runtime is None else runtime,
            trackers=tuple(as_use(tracker) for tracker in component_list("trackers", trackers)),
        )
        parts, problems = complete(parts, registry)
        for part in fields(parts):
            object.__setattr__(self, part.name, getattr(parts, part.name))
        object.__setattr__(self, "registry", registry)
        stated = dict.fromkeys(_stated(parts), PYTHON) if written is None else written
        object.__setattr__(self, "written", {**stated, **dict.fromkeys(problems, "match")})

    def item_shape(self) -> ItemShape | None:
        """Shape of the items that the encoder will encode; None for texts.

        Raises DataError if the file that would tell is not there.
        """
        return item_shape(self.source.config, self.encoder.config)

    def learner_shape(self) -> LearnerShape:
        """Sizes of what objectives read.

        Raises DataError if the file that would tell is not there.
        """
        latent = self.encoder.config.latent_dim
        channels = len(self.source.config.observed_channels())
        return LearnerShape(latent, self.predictor.config.belief_dim(latent), channels)

    def resolved(self) -> dict[str, Any]:
        """The whole recipe as plain values, every default filled in. In a file, it is a recipe that means the same."""
        return {
            "name": self.name,
            "description": self.description,
            "seed": self.seed,
            "source": self.source.resolved(),
            "windows": plain(self.windows),
            "encoder": self.encoder.resolved(),
            "predictor": self.predictor.resolved(),
            "curriculum": [use.resolved() for use in self.curriculum],
            "evaluators": [use.resolved() for use in self.evaluators],
            "runtime": plain(self.runtime),
            "trackers": [use.resolved() for use in self.trackers],
        }

    def origins(self) -> dict[str, str]:
        """For each dotted key of the resolved recipe: `default`, `file:line`, `command line`, `python` or `match`.
        Phases go by name."""
        return {key: self.written.get(key, "default") for key in _leaves(self.resolved())}


def _stated(parts: Parts) -> Iterator[str]:
    """Dotted keys that Python gave a value."""
    root = KeyPath()
    yield from ("name", "description", "seed")
    sections: list[tuple[KeyPath, Config]] = [(root / "windows", parts.windows), (root / "runtime", parts.runtime)]
    for path, use in parts.placed():
        if use.config.model_fields_set or IMPLIED.get(use.component.kind) != use.component.name:
            yield (path / "use").dotted
        sections.append((path, use.config))
    for path, config in sections:
        yield from _given(path, config)


def _given(path: KeyPath, value: Any) -> Iterator[str]:
    """Dotted keys below a value; of a config, of what it was given."""
    if isinstance(value, BaseModel):
        given = [name for name in type(value).model_fields if name in value.model_fields_set]
        value = {type(value).model_fields[name].alias or name: getattr(value, name) for name in given}
    if not isinstance(value, dict) or not value:
        yield path.dotted
        return
    for key, inner in value.items():
        yield from _given(path / key, inner)


def _leaves(value: Any, dotted: str = "") -> Iterator[str]:
    """Dotted keys of everything that holds no further key. Components in a list go by `name`, or what they use."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "use" in item for item in value):
        value = {item.get("name", item["use"]): item for item in value}
    if not isinstance(value, dict) or not value:
        yield dotted
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{dotted}.{key}" if dotted else str(key))
