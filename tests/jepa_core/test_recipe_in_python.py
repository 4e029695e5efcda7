"""Recipes made in Python: the same thing as their YAML twins, with the same checks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from commands import environment
from jepa_core.config import (
    EncoderConfig,
    EvaluatorConfig,
    ItemShape,
    LearnerShape,
    ModelSize,
    ObjectiveConfig,
    PhaseConfig,
    PredictorConfig,
    SourceConfig,
)
from jepa_core.errors import DataError, RecipeError
from jepa_core.plugin import Component, Plugin, Registry
from jepa_core.rates import AdamwConfig
from jepa_core.recipe import (
    EncoderUse,
    Given,
    InvalidRecipe,
    Match,
    PhaseUse,
    Recipe,
    RuntimeConfig,
    Use,
    WindowsConfig,
    load_recipe,
    read_plain,
)
from jepa_core.runs.run import dump_yaml


class TextsConfig(SourceConfig):
    modalities: ClassVar = ("text",)
    path: Path | None = None


class GaugesConfig(SourceConfig):
    channels: int = 6
    missing_file: bool = False

    def item_shape(self) -> ItemShape:
        if self.missing_file:
            raise DataError("the file is not there")
        return ItemShape(self.channels)


class WordsConfig(EncoderConfig):
    modality: ClassVar = "text"
    offers: ClassVar = frozenset({"next_token_loss"})
    pooling: Literal["last", "mean"] = "last"
    trainable: int = 50_000
    latent_dim: ClassVar = 16

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        return ModelSize(2 * self.trainable, self.trainable)


class NumbersConfig(EncoderConfig):
    modality: ClassVar = "channels"
    size_keys: ClassVar = ("width",)
    latent_key: ClassVar = "latent"
    width: int = Field(4, gt=0)
    latent: int = Field(8, gt=0)

    @property
    def latent_dim(self) -> int:
        return self.latent

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        assert shape is not None
        return ModelSize(10 * shape.channels * self.width, 10 * shape.channels * self.width)


class ForwardConfig(PredictorConfig):
    longest_window: ClassVar = 100


class AlignConfig(PhaseConfig):
    decay: float = Field(0.9, ge=0, le=1)


class ReadingConfig(PhaseConfig):
    needs: ClassVar = frozenset({"next_token_loss"})


class SpreadConfig(ObjectiveConfig):
    margins: tuple[float, ...] = (1.0,)


class DecodeConfig(ObjectiveConfig):
    observes: ClassVar = True
    width: int = 4

    def module_size(self, shape: LearnerShape) -> ModelSize:
        return ModelSize(self.width, self.width)


class DriftConfig(EvaluatorConfig):
    scale: float = 1.0
    columns: dict[str, float] = {}


class TwiceConfig(EvaluatorConfig):
    pass


COMPONENTS = (
    Component("source", "texts", TextsConfig, "nowhere:Texts"),
    Component("source", "gauges", GaugesConfig, "nowhere:Gauges"),
    Component("encoder", "words", WordsConfig, "nowhere:Words"),
    Component("encoder", "numbers", NumbersConfig, "nowhere:Numbers"),
    Component("predictor", "forward", ForwardConfig, "nowhere:Forward"),
    Component("phase", "align", AlignConfig, "nowhere:Align"),
    Component("phase", "reading", ReadingConfig, "nowhere:Reading"),
    Component("objective", "spread", SpreadConfig, "nowhere:Spread"),
    Component("objective", "decode", DecodeConfig, "nowhere:Decode"),
    Component("evaluator", "drift", DriftConfig, "nowhere:Drift"),
    Component("evaluator", "once", TwiceConfig, "nowhere:Once"),
    Component("evaluator", "again", TwiceConfig, "nowhere:Again"),
)
REGISTRY = Registry([Plugin("plain", "jepa-plain", "1", components=COMPONENTS)])

TWIN = """\
name: mine
description: both forms
seed: 3
source: {use: gauges, channels: 5}
windows: {length: 24, min_length: 4}
encoder: {use: numbers, match: {encoder: {use: words, trainable: 6000}}}
predictor: {use: forward}
curriculum:
  - {use: align, steps: 10, optimizer: {encoder_lr: 1e-3}}
  - use: align
    name: late
    decay: 0.5
    objectives: [{use: spread, margins: [1, 2]}, {use: spread, name: other, weight: 0.5}]
evaluators:
  - {use: drift, columns: {hr: 2}}
  - {use: drift, name: train_drift, split: train}
runtime: {threads: 2}
"""


def twin(**changes: Any) -> Recipe:
    """The recipe that `TWIN` says, in Python."""
    parts: dict[str, Any] = {
        "name": "mine",
        "description": "both forms",
        "seed": 3,
        "source": GaugesConfig(channels=5),
        "windows": WindowsConfig(length=24, min_length=4),
        "encoder": EncoderUse(NumbersConfig(), match=Match(WordsConfig(trainable=6000))),
        "predictor": ForwardConfig(),
        "curriculum": [
            PhaseUse(AlignConfig(steps=10), optimizer=AdamwConfig(encoder_lr=1e-3)),
            PhaseUse(
                AlignConfig(decay=0.5),
                name="late",
                objectives=[SpreadConfig(margins=(1, 2)), Use(SpreadConfig(weight=0.5), name="other")],
            ),
        ],
        "evaluators": [DriftConfig(columns={"hr": 2}), Use(DriftConfig(split="train"), name="train_drift")],
        "runtime": RuntimeConfig(threads=2),
        "registry": REGISTRY,
    }
    return Recipe(**parts | changes)


def from_file(folder: Path, text: str = TWIN) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(text)
    return load_recipe(path, [], REGISTRY, {})


def told(**changes: Any) -> list[tuple[str, str, str]]:
    """Key path, message and hint of every problem of the changed twin."""
    with pytest.raises(InvalidRecipe) as caught:
        twin(**changes)
    found = [(one["key"], one["message"], one["hint"]) for one in caught.value.to_list()]
    assert all(key in str(caught.value) and message in str(caught.value) for key, message, _ in found)
    return found


# --- the same thing ---------------------------------------------------------------------------------------------------


def test_a_recipe_in_python_is_the_one_in_the_file_to_the_byte(tmp_path: Path) -> None:
    assert twin() == from_file(tmp_path)
    assert dump_yaml(twin().resolved()) == dump_yaml(from_file(tmp_path).resolved())


def test_an_encoder_in_python_is_sized_to_another_as_in_a_file(tmp_path: Path) -> None:
    config = twin().encoder.config
    assert (config.width, config.latent) == (120, 16) == (from_file(tmp_path).encoder.config.width, 16)
    kept = twin(encoder=EncoderUse(NumbersConfig(width=121), match=Match(WordsConfig(trainable=6000))))
    assert kept.encoder.config.width == 121  # a key that was given a value is kept
    total = twin(encoder=EncoderUse(NumbersConfig(), match=Match(WordsConfig(trainable=6000), "total")))
    assert total.encoder.config.width == 240 and total.resolved()["encoder"]["match"]["parameters"] == "total"


def test_the_resolved_recipe_reads_back_as_the_same_from_a_file_and_from_json(tmp_path: Path) -> None:
    assert from_file(tmp_path, dump_yaml(twin().resolved()).decode()) == twin()
    values = json.loads(json.dumps(twin().resolved()))
    assert read_plain(Given(values), "unnamed", REGISTRY) == twin()


def test_parts_of_a_recipe_go_into_another(tmp_path: Path) -> None:
    recipe = from_file(tmp_path)
    first = replace(recipe, curriculum=recipe.curriculum[:1], seed=4)
    assert (first.seed, [use.name for use in first.curriculum]) == (4, ["align"])
    assert twin(curriculum=[*recipe.curriculum, ReadingConfig()], **text_parts()).curriculum[2].name == "reading"


def text_parts() -> dict[str, Any]:
    return {"source": TextsConfig(), "encoder": WordsConfig()}


def test_what_python_gave_a_value_is_told_from_defaults() -> None:
    origins = twin().origins()
    for key in ("seed", "source.channels", "windows.length", "curriculum.late.decay", "evaluators.drift.columns.hr",
                "curriculum.align.optimizer.encoder_lr", "curriculum.late.objectives.other.use"):  # fmt: skip
        assert origins[key] == "python", key
    assert origins["encoder.width"] == "match"
    assert origins["curriculum.align.decay"] == origins["windows.stride"] == "default"


def test_defaults_are_those_of_a_file() -> None:
    recipe = Recipe(**text_parts(), predictor=ForwardConfig(), curriculum=[AlignConfig()], registry=REGISTRY)
    assert (recipe.name, recipe.seed, recipe.evaluators) == ("recipe", 0, ())
    assert recipe.windows == WindowsConfig() and recipe.runtime == RuntimeConfig()


# --- checks across components, in both forms --------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """One mistake in both forms. text: what is changed in the file, pair by pair. line: where it is told there."""

    changes: dict[str, Any]
    text: tuple[str, ...]
    line: int
    key: str
    message: str
    hint: str


SIZED = "{use: numbers, match: {encoder: {use: words, trainable: 6000}}}"
OBJECTIVES = "[{use: spread, margins: [1, 2]}, {use: spread, name: other, weight: 0.5}]"
ACROSS = {
    "window": Mistake(
        {"windows": WindowsConfig(length=200, min_length=4)}, ("length: 24", "length: 200"), 5, "windows.length",
        "windows of 200 steps are longer than the predictor 'forward' can take", "at most 100, or change the predictor",
    ),
    "modality": Mistake(
        {"source": TextsConfig()}, ("gauges, channels: 5", "texts"), 6, "encoder",
        "the encoder 'numbers' reads channels, and the source 'texts' does not render it",
        "texts renders text; choose an encoder of that modality, or another source",
    ),
    "needs": Mistake(
        {"curriculum": [AlignConfig(), Use(ReadingConfig(), name="late")]},
        ("use: align\n    name: late\n    decay: 0.5", "use: reading\n    name: late"), 10, "curriculum.late.use",
        "phase 'late' needs an encoder that offers next_token_loss, and 'numbers' does not", "encoders that do: words",
    ),
    "numbers": Mistake(
        {"source": TextsConfig(), "encoder": WordsConfig(),
         "curriculum": [PhaseUse(AlignConfig(), name="late", objectives=[DecodeConfig()])]},
        ("gauges, channels: 5", "texts", SIZED, "{use: words}", OBJECTIVES, "[{use: decode}]"), 13,
        "curriculum.late.objectives.decode.use",
        "objective 'decode' reads the states as numbers, and the source 'texts' renders none",
        "take a source that renders channels, or leave the objective out",
    ),
    "one module": Mistake(
        {"curriculum": [PhaseUse(AlignConfig(), objectives=[DecodeConfig(weight=0.5)]),
                        PhaseUse(AlignConfig(), name="late", objectives=[DecodeConfig(width=5)])]},
        ("steps: 10,", "steps: 10, objectives: [{use: decode}],", OBJECTIVES, "[{use: decode, width: 5}]"), 13,
        "curriculum.late.objectives.decode.use",
        "two objectives are called 'decode' and would train one module, but are not alike",
        "give them the same keys (only the weight may differ), or other names",
    ),
    "latents": Mistake(
        {"encoder": EncoderUse(NumbersConfig(latent=9), match=Match(WordsConfig()))}, (SIZED, SIZED.replace("numbers",
        "numbers, latent: 9")), 6, "encoder.latent", "latents of size 9, and those of 'words' have 16",
        "one predictor reads both, so they must be equal",
    ),
    "no match": Mistake(
        {"encoder": EncoderUse(NumbersConfig(width=3), match=Match(WordsConfig(trainable=6000)))}, (SIZED,
        SIZED.replace("numbers", "numbers, width: 3")), 6, "encoder.match", "'numbers' cannot be sized: the nearest to "
        "6,000 parameters is 150, with the keys as they are written: more than 2% away",
        "change another of its keys, or leave width to match",
    ),
    "no file": Mistake(
        {"source": GaugesConfig(missing_file=True)}, ("channels: 5", "missing_file: true"), 6, "encoder.match",
        "the size to match is unknown: the file is not there", "",
    ),
    "no phase": Mistake(
        {"curriculum": []}, (TWIN[TWIN.index("curriculum") : TWIN.index("evaluators")], "curriculum: []\n"), 8,
        "curriculum", "the recipe needs a 'curriculum'", "a list of phases: `- use: ...` for each",
    ),
    "name": Mistake(
        {"evaluators": [Use(DriftConfig(), name="a.b")]}, ("name: train_drift", "name: a.b"), 16, "evaluators.0.name",
        "a name holds letters, digits, '_' and '-', for overrides address it", "",
    ),
    "recipe's name": Mistake(
        {"name": "../x"}, ("name: mine", "name: ../x"), 1, "name",
        "a name must not begin with '.' or '-' nor hold '/', '\\', ':' or brackets", "",
    ),
    "seed": Mistake(
        {"seed": -1}, ("seed: 3", "seed: -1"), 3, "seed", "expected a whole number from 0 to 4294967295, found -1", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", ACROSS.values(), ids=ACROSS)
def test_a_mistake_is_told_in_the_same_words_with_its_key_path_and_at_its_place(
    mistake: Mistake, tmp_path: Path
) -> None:
    assert told(**mistake.changes) == [(mistake.key, mistake.message, mistake.hint)]
    text = TWIN
    for old, new in zip(mistake.text[::2], mistake.text[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(InvalidRecipe) as caught:
        from_file(tmp_path, text)
    (found,) = caught.value.to_list()
    assert (found["line"], found["message"], found["hint"]) == (mistake.line, mistake.message, mistake.hint)


def test_two_items_of_one_name_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    message = "two phases are called 'align'"
    hint = "the first is in curriculum.0.use; give one of them a `name` of its own"
    assert told(curriculum=[AlignConfig(), AlignConfig()]) == [("curriculum.1.use", message, hint)]
    spreads = [SpreadConfig(), Use(SpreadConfig(), name="spread")]
    ((key, *_),) = told(curriculum=[PhaseUse(AlignConfig(), name="late", objectives=spreads)])
    assert key == "curriculum.late.objectives.1.name"


@pytest.mark.parametrize("key", ["curriculum", "evaluators"])
def test_one_component_in_the_place_of_a_list_is_refused(key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key}: expected a list, found AlignConfig; put what it holds in"):
        twin(**{key: AlignConfig()})


def test_every_mistake_is_told_at_once() -> None:
    found = told(seed=-1, source=AlignConfig(), predictor=None, evaluators=[NumbersConfig()], curriculum=[])
    assert [key for key, *_ in found] == ["seed", "curriculum", "source", "predictor", "evaluators.0"]
    with pytest.raises(RecipeError, match="2 problems in the recipe 'mine'") as caught:
        twin(seed=-1, windows=72)
    assert caught.value.exit_code == 2


# --- components by their configs --------------------------------------------------------------------------------------


class UnknownConfig(PhaseConfig):
    pass


@pytest.mark.parametrize(
    ("changes", "key", "message", "hint"),
    [
        (
            {"source": NumbersConfig()}, "source",
            "expected the config of a source, found NumbersConfig, of an encoder",
            "there are: GaugesConfig, TextsConfig",
        ),
        (
            {"predictor": ForwardConfig}, "predictor",
            "expected the config of a predictor, found the class ForwardConfig", "write ForwardConfig(...)",
        ),
        ({"predictor": "forward"}, "predictor", "expected the config of a predictor, found 'forward'",
         "there are: ForwardConfig"),
        ({"windows": 72}, "windows", "expected WindowsConfig, found int", "write WindowsConfig(...)"),
        (
            {"curriculum": [UnknownConfig()]}, "curriculum.0",
            "no installed plugin declares a phase with the config UnknownConfig",
            "there are: AlignConfig, ReadingConfig",
        ),
        (
            {"evaluators": [TwiceConfig()]}, "evaluators.0",
            "TwiceConfig is the config of more than one evaluator: 'again' (jepa-plain) and 'once' (jepa-plain)",
            "say which: Use(TwiceConfig(...), chosen=registry.component('evaluator', 'again'))",
        ),
        (
            {"evaluators": [Use(DriftConfig(), chosen=COMPONENTS[-1])]}, "evaluators.0",
            "DriftConfig is not the config of the evaluator 'again'",
            "leave `chosen` out, or choose an evaluator from the registry",
        ),
        (
            {"predictor": Use(ForwardConfig(), name="mine")}, "predictor.name",
            "the predictor of a recipe takes no name; it goes by 'forward'", "",
        ),
        (
            {"encoder": EncoderUse(NumbersConfig(), match=Match(WordsConfig(), "all"))}, "encoder.match.parameters",
            "expected 'trainable' or 'total', found 'all'", "",
        ),
        (
            {"encoder": EncoderUse(NumbersConfig(), match=Match(DriftConfig()))}, "encoder.match.encoder",
            "expected the config of an encoder, found DriftConfig, of an evaluator",
            "there are: NumbersConfig, WordsConfig",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_what_can(changes: dict[str, Any], key: str, message: str, hint: str) -> None:
    assert told(**changes) == [(key, message, hint)]


def test_a_config_of_two_components_is_used_once_one_is_chosen() -> None:
    recipe = twin(evaluators=[Use(TwiceConfig(), chosen=component) for component in COMPONENTS[-2:]])
    assert [use.resolved()["use"] for use in recipe.evaluators] == ["once", "again"]


@pytest.mark.parametrize(
    ("config", "key", "message"),
    [
        (DriftConfig().model_copy(update={"scale": float("inf")}), "scale", "expected a finite number, found inf"),
        (DriftConfig().model_copy(update={"columns": {"hr": float("nan")}}), "columns.hr",
         "expected a finite number, found nan"),
        (DriftConfig().model_copy(update={"scale": "big"}), "scale", "expected a number, found 'big'"),
        (DriftConfig().model_copy(update={"split": "tain"}), "split",
         "expected 'train', 'tuning' or 'held_out', found 'tain'"),
    ],
)  # fmt: skip
def test_what_no_file_could_say_is_refused_before_a_run_writes_it(config: DriftConfig, key: str, message: str) -> None:
    ((found, said, _),) = told(evaluators=[config])
    assert (found, said) == (f"evaluators.drift.{key}", message)


def test_the_plugins_that_are_installed_are_used_where_no_registry_is_given(toy_package: Path) -> None:
    script = (
        "import toy; from jepa_core.recipe import Recipe;"
        "Recipe(source=toy.ToySourceConfig(), encoder=toy.ToyEncoderConfig(), predictor=toy.ToyPredictorConfig(),"
        " curriculum=[toy.ToyFitConfig()])"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(toy_package), capture_output=True, text=True)
    assert "3 problems in the recipe 'recipe'" in done.stderr  # the toy plugin declares the configs of another one
    assert "OscillatorsConfig is the config of more than one source: 'oscillators' (jepa-core) and 'toy'" in done.stderr


def test_a_recipe_in_python_reads_no_yaml_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from jepa_core.recipe import Recipe; from jepa_core.testing.oscillators import *;"
        "from jepa_clin.config import PredictorWarmupConfig as Phase;"
        "Recipe(source=OscillatorsConfig(), encoder=TinyChannelsConfig(), predictor=TinyRecurrentConfig(),"
        " windows=None, curriculum=[Phase()]);"
        "print(sorted({'torch', 'numpy', 'ruamel', 'ruamel.yaml', 'xarray', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
