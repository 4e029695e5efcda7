from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator
from ruamel.yaml import YAML

from jepa_core.config import (
    Config,
    EncoderConfig,
    EvaluatorConfig,
    LearnerShape,
    ModelSize,
    ObjectiveConfig,
    PhaseConfig,
    PredictorConfig,
    SourceConfig,
)
from jepa_core.errors import Preempted, RecipeError
from jepa_core.plugin import Component, Plugin, Registry
from jepa_core.recipe import InvalidRecipe, Recipe, find_recipe, load_recipe, locate, shipped_recipes


class TableConfig(SourceConfig):
    path: Path | None = None
    header: bool = True
    label: str = ""
    scale: float = Field(1.0, gt=0)
    columns: dict[str, float] = {}


class LoraConfig(Config):
    rank: int = Field(16, ge=1, le=256)
    targets: tuple[str, ...] = ("q", "v")


class WordsConfig(EncoderConfig):
    offers: ClassVar = frozenset({"next_token_loss"})

    modality: ClassVar = "text"
    weights: Path | None = None
    lora: LoraConfig | None = None
    pooling: Literal["last", "mean"] = "last"


class NumbersConfig(EncoderConfig):
    modality: ClassVar = "channels"
    width: int = Field(gt=0, description="size of a latent")


class ForwardConfig(PredictorConfig):
    layers: int = Field(2, ge=1)

    @property
    def longest_window(self) -> int:
        return 1000


class AlignConfig(PhaseConfig):
    ema_decay: float = Field(0.996, ge=0, le=1)


class ReadingConfig(PhaseConfig):
    needs: ClassVar = frozenset({"next_token_loss"})


class SpreadConfig(ObjectiveConfig):
    pass


class HeadsConfig(ObjectiveConfig):
    observes: ClassVar = True
    heads: int = 1

    def module_size(self, shape: LearnerShape) -> ModelSize:
        return ModelSize(self.heads, self.heads)


class DriftConfig(EvaluatorConfig):
    horizons: list[int] = [1, 2]

    @model_validator(mode="after")
    def _ascending(self) -> DriftConfig:
        if sorted(self.horizons) != self.horizons:
            raise ValueError("horizons must ascend")
        return self


class FaultyConfig(EvaluatorConfig):
    @model_validator(mode="before")
    @classmethod
    def _fails(cls, values: object) -> object:
        raise TypeError("unhashable")


COMPONENTS = (
    Component("source", "table", TableConfig, "nowhere:Table"),
    Component("encoder", "words", WordsConfig, "nowhere:Words"),
    Component("encoder", "numbers", NumbersConfig, "nowhere:Numbers"),
    Component("predictor", "forward", ForwardConfig, "nowhere:Forward"),
    Component("phase", "warmup", PhaseConfig, "nowhere:WarmUp"),
    Component("phase", "ema_alignment", AlignConfig, "nowhere:Align"),
    Component("phase", "reading", ReadingConfig, "nowhere:Reading"),
    Component("objective", "spread", SpreadConfig, "nowhere:Spread"),
    Component("objective", "heads", HeadsConfig, "nowhere:Heads"),
    Component("evaluator", "drift", DriftConfig, "nowhere:Drift"),
    Component("evaluator", "faulty", FaultyConfig, "nowhere:Faulty"),
)
REGISTRY = Registry([Plugin("plain", "jepa-plain", "1", components=COMPONENTS)])
BROKEN = Plugin("gone", "jepa-gone", "1", error="ImportError: no module named 'gone'")

BASE = """\
seed: 3
source: {use: table}
encoder:
  use: words
  lora: {rank: 4}
predictor: {use: forward}
curriculum:
  - use: warmup
    steps: 10
  - use: ema_alignment
    steps: 20
    objectives:
      - {use: spread, weight: 0.5}
evaluators:
  - use: drift
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, *overrides: str, environment: Mapping[str, str] | None = None, file: str = "mine.yaml") -> Recipe:
    Path(file).write_text(text, encoding="utf-8")
    return load_recipe(file, overrides, REGISTRY, environment or {})


def problems(text: str, *overrides: str, environment: Mapping[str, str] | None = None) -> list[dict]:
    with pytest.raises(InvalidRecipe) as caught:
        load(text, *overrides, environment=environment)
    assert caught.value.exit_code == 2
    return caught.value.to_list()


def messages(text: str, *overrides: str, environment: Mapping[str, str] | None = None) -> list[str]:
    return [
        f"{p['line']}:{p['column']} {p['message']} | {p['hint']}"
        for p in problems(text, *overrides, environment=environment)
    ]


def with_source(keys: str) -> str:
    return BASE.replace("source: {use: table}", f"source:\n  use: table\n{keys}")


def test_a_recipe_becomes_typed_configs_in_order() -> None:
    recipe = load(BASE)
    assert (recipe.name, recipe.description, recipe.seed) == ("mine", "", 3)
    assert isinstance(recipe.encoder.config, WordsConfig) and recipe.encoder.config.lora.rank == 4
    assert [phase.name for phase in recipe.curriculum] == ["warmup", "ema_alignment"]
    assert [phase.config.steps for phase in recipe.curriculum] == [10, 20]
    assert recipe.curriculum[1].objectives[0].config.weight == 0.5
    assert recipe.curriculum[1].component.implementation == "nowhere:Align"
    assert recipe.windows.length == 72 and recipe.runtime.threads == "auto"
    assert recipe.evaluators[0].config.split == "held_out"


def test_the_resolved_recipe_is_plain_data_and_reads_back_as_the_same_recipe() -> None:
    recipe = load(BASE.replace("use: warmup", "use: warmup\n    name: first"), "encoder.weights=/some/where")
    resolved = json.loads(json.dumps(recipe.resolved()))
    assert resolved["curriculum"][1]["ema_decay"] == 0.996
    assert resolved["curriculum"][0]["optimizer"]["betas"] == [0.9, 0.999]
    text = StringIO()
    YAML(typ="safe").dump(resolved, text)
    assert load(text.getvalue(), file="again.yaml") == recipe
    assert load(text.getvalue(), file="again.yaml").resolved() == recipe.resolved()


def test_origins_tell_defaults_files_and_the_command_line_apart() -> None:
    Path("base.yaml").write_text(BASE)
    recipe = load("extends: base.yaml\ncurriculum:\n  warmup: {steps: 7}\n", "encoder.lora.rank=8")
    origins = recipe.origins()
    assert origins["curriculum.warmup.steps"] == "mine.yaml:3"
    assert origins["curriculum.ema_alignment.steps"] == "base.yaml:11"
    assert origins["curriculum.ema_alignment.objectives.spread.weight"] == "base.yaml:13"
    assert origins["encoder.lora.rank"] == "command line"
    assert origins["encoder.lora.targets"] == "default"
    assert origins["runtime.device"] == "default" and origins["name"] == "default"
    assert origins["evaluators.drift.use"] == "base.yaml:15"


def test_sections_left_empty_take_their_defaults() -> None:
    recipe = load(BASE + "windows:\nruntime:\nname:\n")
    assert recipe.windows.stride == 12 and recipe.runtime.checkpoint_every == 200 and recipe.name == "mine"
    assert recipe.origins()["name"] == "default"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("012", 12),
        ("+3", 3),
        ("0o17", 15),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("0b1", "0b1"),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("~", None),
        ("null", None),
        ("", None),
        ("[1, a]", [1, "a"]),
        ("٣", "٣"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    class AnyConfig(SourceConfig):
        value: object = "unset"

    registry = Registry([Plugin("p", "p", "1", components=(*COMPONENTS, Component("source", "any", AnyConfig, "n:A")))])
    Path("mine.yaml").write_text(BASE.replace("{use: table}", f"\n  use: any\n  value: {written}"), encoding="utf-8")
    found = load_recipe("mine.yaml", (), registry, {}).source.config.value
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 1\nseed: 2\n", "2:1 the key 'seed' is given twice | first given on line 1"),
        ("seed: &a 1\n", "1:7 the anchor '&a' | recipes use no anchors; write the value out"),
        ("seed: *a\n", "1:7 the alias '*a' | recipes use no aliases; write the value out"),
        (
            "name: !!python/object:os.system x\n",
            "1:7 a tag (!) | recipes hold plain values; put text that begins with ! in quotes",
        ),
        ("source:\n\tuse: table\n", "2:1 a tab | indent with spaces"),
        ("<<<<<<< HEAD\nseed: 1\n", "1:1 a merge-conflict marker | finish the merge"),
        ("seed: 1\n---\nseed: 2\n", "2:1 a second document (---) | a recipe is one document"),
        ("%YAML 1.1\n---\nseed: 1\n", "1:1 a YAML directive (%) | recipes are plain YAML 1.2; remove the line"),
        ("- seed\n", "1:1 a recipe is a section of keys, such as `seed: 0` | "),
        ("", "1:1 the recipe is empty | "),
        ("# nothing\n", "1:1 the recipe is empty | "),
        ("name: 'open\n", "1:7 a quote that is not closed | "),
        ("name: a: b\n", "1:8 a ':' that does not fit | check the indentation; put text with ': ' in quotes"),
        ("name: [1, 2\n", "1:7 a ',' or ']' is missing | "),
        ("name: @x\n", "1:7 text cannot begin with this character | put it in quotes"),
        ("seed: .nan\n", "1:7 expected a finite number, found .nan | "),
        ("seed: 1e999\n", "1:7 the number 1e999 is too large | "),
        ('name: "\\ud800"\n', "1:7 text that is not valid Unicode | "),
        ("name: a\x07b\n", "1:8 a character that YAML does not allow (U+0007) | "),
        ("? [a]\n: 1\n", "1:3 a key must be a plain word | "),
        (
            "name: ${NOPE}\n",
            "1:7 the environment variable NOPE is not set | set it, or give a default: ${NOPE:-default}",
        ),
        (
            "name: ${NO PE}\n",
            "1:7 a reference to the environment that is not complete | "
            "write ${NAME} or ${NAME:-default}; $${ for a plain ${",
        ),
    ],
)
def test_yaml_traps_are_refused_in_plain_words(text: str, expected: str) -> None:
    assert expected in messages(text)


@pytest.mark.parametrize("reader", ["ruamel.yaml.YAML.parse", "pydantic.BaseModel.model_validate_json"])
def test_a_stop_while_a_recipe_is_read_is_no_fault_of_the_recipe(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> Iterator[object]:
        raise Preempted("interrupted")

    monkeypatch.setattr(reader, stopped)
    with pytest.raises(Preempted):
        load(f"# read by {reader} for the first time\n{BASE}")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert "1:7 a number of 5000 characters | " in messages(f"seed: {'9' * 5000}\n")


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    Path("dos.yaml").write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load_recipe("dos.yaml", (), REGISTRY, {}).resolved() == {**load(BASE).resolved(), "name": "dos"}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)),
        "[" * 100_000,
        "a: " + "{a: " * 10_000,
        "- " * 100_000,
        "".join(f"{' ' * i}a:\n" for i in range(200)),
    ],
    ids=["aliases", "brackets", "braces", "dashes", "steps"],
)
def test_texts_made_to_explode_are_refused(text: str) -> None:
    assert problems(text)


def test_more_values_than_any_recipe_needs_are_refused() -> None:
    assert messages("name: [" + "1," * 6_000 + "]") == ["1:10004 more than 5000 values in one recipe | "]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: " + b"x" * 1024 * 1024, "mine.yaml is larger than 1 MiB; a recipe is a short text"),
        (b"seed: 1\nname: \xff\n", "mine.yaml:2 is not UTF-8 text; save the file as UTF-8"),
    ],
)
def test_files_that_are_no_short_text_are_refused(content: bytes, message: str) -> None:
    Path("mine.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe("mine.yaml", (), REGISTRY, {})
    assert str(caught.value) == message


FRAGMENTS = st.sampled_from(
    [
        "source",
        "encoder",
        "curriculum",
        "use",
        "name",
        "extends",
        "words",
        "warmup",
        "objectives",
        ": ",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
    ]
    + [
        "[",
        "]",
        ",",
        "'",
        '"',
        "&a",
        "*a",
        "!x",
        "|\n",
        ">",
        "?",
        "#",
        "%",
        "\t",
        "${A}",
        "${A:-1}",
        "---",
        "1e-4",
        "no",
        "\\",
        "<<",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(FRAGMENTS, max_size=25).map("".join)), st.booleans())
@example('a: "\\U99999999"', False)
@example("curriculum: {a: {b: 1}}", True)
def test_any_text_is_a_recipe_or_an_invalid_one(
    tmp_path_factory: pytest.TempPathFactory, text: str, after: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes((BASE + text if after else text).encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_recipe(path, (), REGISTRY, {"A": text}), Recipe)
    except InvalidRecipe as error:
        assert error.exit_code == 2 and str(error) and json.dumps(error.to_list())
    except RecipeError as error:
        assert "UTF-8" in str(error)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=40), st.lists(st.one_of(FRAGMENTS, st.just("."), st.just("=")), max_size=9).map("".join)
        )
    )
)
@example(["curriculum.warmup.objectives.x=1", "curriculum=1"])
@example(["windows.length.x=[", "=", "a..b=1", "name=\ud800"])
def test_any_override_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, overrides: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz_overrides.yaml"
    path.write_text(BASE)
    try:
        assert isinstance(load_recipe(path, overrides, REGISTRY, {}), Recipe)
    except InvalidRecipe as error:
        assert str(error).encode("utf-8") and json.dumps(error.to_list())


FOUR_MISTAKES = """\
# jepa run mine.yaml
source: {use: table, header: no}
encoder: {use: wrods}
predictor: {use: forward}
curriculum:
  - use: ema_alignment
    ema_decya: 0.99
    steps: fast
"""

FOUR_PROBLEMS = """\
4 problems in mine.yaml
  mine.yaml:2:30  expected true or false, found 'no'
     1 | # jepa run mine.yaml
     2 | source: {use: table, header: no}
                                      ^^ write false
  mine.yaml:3:16  unknown encoder 'wrods'
     2 | source: {use: table, header: no}
     3 | encoder: {use: wrods}
                        ^^^^^ did you mean 'words'?
  mine.yaml:7:5  unknown key 'ema_decya' in phase 'ema_alignment'
     6 |   - use: ema_alignment
     7 |     ema_decya: 0.99
             ^^^^^^^^^ did you mean 'ema_decay'? (a number from 0 to 1; default 0.996)
  mine.yaml:8:12  expected a whole number from 0 to 1000000000, found 'fast'
     7 |     ema_decya: 0.99
     8 |     steps: fast
                    ^^^^"""


def test_four_mistakes_are_shown_at_once_with_line_caret_and_suggestion() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load(FOUR_MISTAKES)
    assert str(caught.value) == FOUR_PROBLEMS
    assert caught.value.exit_code == 2
    assert caught.value.to_list()[2] == {
        "file": "mine.yaml",
        "line": 7,
        "column": 5,
        "width": 9,
        "message": "unknown key 'ema_decya' in phase 'ema_alignment'",
        "hint": "did you mean 'ema_decay'? (a number from 0 to 1; default 0.996)",
        "source_lines": ["  - use: ema_alignment", "    ema_decya: 0.99"],
    }


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("  header: off", "4:11 expected true or false, found 'off' | write false"),
        ("  scale: fast", "4:10 expected a number above 0, found 'fast' | "),
        ("  scale: '2'", "4:10 expected a number above 0, found '2' | write 2 without quotes"),
        ("  scale: 1_000", "4:10 expected a number above 0, found '1_000' | write 1000"),
        ("  scale: 0", "4:10 expected a number above 0, found 0 | "),
        ("  scale: true", "4:10 expected a number above 0, found true | "),
        ("  scale:", "4:3 expected a number above 0, found nothing | "),
        ("  scale: [1]", "4:10 expected a number above 0, found a list | "),
        ("  label: 012", '4:10 expected text, found 012 | put it in quotes: "012"'),
        ("  columns: {a: x}", "4:16 expected a number, found 'x' | "),
        ("  lable: x", "4:3 unknown key 'lable' in source 'table' | did you mean 'label'? (text; default '')"),
        ("  stride: 2", "4:3 unknown key 'stride' in source 'table' | it belongs under windows"),
        ("  seed: 2", "4:3 unknown key 'seed' in source 'table' | it belongs at the top of the recipe"),
        (
            "  encoder_lr: 2",
            "4:3 unknown key 'encoder_lr' in source 'table' | it belongs under "
            "curriculum.warmup.optimizer or curriculum.ema_alignment.optimizer",
        ),
        ("  qqq: 2", "4:3 unknown key 'qqq' in source 'table' | keys here: use, path, header, label, scale, columns"),
    ],
)
def test_wrong_values_and_keys_say_what_belongs_there(keys: str, expected: str) -> None:
    assert messages(with_source(keys)) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rank: 4", "rank: 0", "5:16 expected a whole number from 1 to 256, found 0 | "),
        ("rank: 4", "rank: 4.0", "5:16 expected a whole number from 1 to 256, found 4.0 | write 4"),
        (
            "rank: 4",
            "ranc: 4",
            "5:10 unknown key 'ranc' in 'lora' of encoder 'words' | "
            "did you mean 'rank'? (a whole number from 1 to 256; default 16)",
        ),
        ("rank: 4", "targets: [q, 1]", '5:23 expected text, found 1 | put it in quotes: "1"'),
        (
            "use: words",
            "use: words\n  pooling: lats",
            "5:12 expected 'last' or 'mean', found 'lats' | did you mean 'last'?",
        ),
        (
            "use: words\n  lora: {rank: 4}",
            "use: numbers",
            "3:1 encoder 'numbers' needs the key 'width' | width: a whole number above 0 (size of a latent)",
        ),
        (
            "encoder:\n  use: words\n  lora: {rank: 4}",
            "encoder: words",
            "3:10 expected the keys of one encoder, found 'words' | write `use: words`",
        ),
        ("  use: words\n", "", "3:1 this encoder needs the key 'use' | there are: numbers, words"),
        ("use: words", "use: 3", "4:8 'use' takes the name of one encoder, found 3 | "),
        (
            "predictor: {use: forward}\n",
            "",
            "1:1 the recipe needs the section 'predictor' | `predictor: {use: ...}`; there are: forward",
        ),
        ("use: forward", "use: os.system", "6:18 unknown predictor 'os.system' | there are: forward"),
        (
            "  - use: warmup",
            "  - use: ema_alignment",
            "10:10 two phases are called 'ema_alignment' | "
            "the first is in mine.yaml:8; give one of them a `name` of its own",
        ),
        (
            "  - use: warmup\n",
            "  - use: warmup\n    name: a.b\n",
            "9:11 a name holds letters, digits, '_' and '-', for overrides address it | ",
        ),
        (
            "use: spread",
            "use: spread, wieght: 1, name: s",
            "13:23 unknown key 'wieght' in objective 's' | "
            "did you mean 'weight'? (a number of at least 0; default 1.0)",
        ),
        (
            "steps: 10",
            "encoder_lr: 1e-3",
            "9:5 unknown key 'encoder_lr' in phase 'warmup' | it belongs under curriculum.warmup.optimizer",
        ),
        ("  - use: drift", "  - use: drift\n    horizons: [2, 1]", "15:5 horizons must ascend | "),
        ("  - use: drift", "  - drift", "15:5 expected the keys of one evaluator, found 'drift' | write `use: drift`"),
        (
            "  - use: drift",
            "  a: {use: drift}",
            "14:1 'evaluators' is given by name here, but there is no list that it "
            "changes | write a list: `- use: ...` for each evaluator",
        ),
        ("seed: 3", "seed: -1", "1:7 expected a whole number from 0 to 4294967295, found -1 | "),
        ("seed: 3", "name: ../x", "1:7 a name must not begin with '.' or '-' nor hold '/', '\\', ':' or brackets | "),
        ("seed: 3", "curiculum: []", "1:1 unknown key 'curiculum' in the recipe | did you mean 'curriculum'?"),
        (
            "seed: 3",
            "ema_decay: 0.9",
            "1:1 unknown key 'ema_decay' in the recipe | it belongs under curriculum.ema_alignment",
        ),
        ("seed: 3", "windows: {length: 8, min_length: 9}", "1:34 min_length (9) must not be more than length (8) | "),
        ("seed: 3", "windows: {length: 4}", "1:10 min_length (6) must not be more than length (4) | "),
        ("seed: 3", "windows: {min_length: 1}", "1:23 expected a whole number of at least 2, found 1 | "),
        (
            "seed: 3",
            "windows: 72",
            "1:10 expected a section of keys, found 72 | keys here: length, stride, min_length, share",
        ),
        ("seed: 3", "runtime: {threads: 0}", "1:20 expected 'auto' or a whole number from 1 to 1024, found 0 | "),
        ("seed: 3", "runtime: {device: gpu}", "1:19 expected 'auto', 'cpu' or 'cuda', found 'gpu' | "),
    ],
)
def test_each_mistake_has_one_message_at_its_place(old: str, new: str, expected: str) -> None:
    assert old in BASE
    assert messages(BASE.replace(old, new, 1)) == [expected]


def test_a_value_that_cannot_be_read_is_one_problem_and_its_key_is_still_checked() -> None:
    assert messages(BASE.replace("rank: 4", 'rank: "${NOPE}"')) == [
        "5:16 the environment variable NOPE is not set | set it, or give a default: ${NOPE:-default}"
    ]
    assert [problem["message"] for problem in problems(BASE.replace("rank: 4", "ranc: *a"))] == [
        "unknown key 'ranc' in 'lora' of encoder 'words'",
        "the alias '*a'",
    ]


@pytest.mark.parametrize("curriculum", ["curriculum: []\n", "curriculum:\n", ""])
def test_a_recipe_needs_a_phase(curriculum: str) -> None:
    text = "source: {use: table}\nencoder: {use: words}\npredictor: {use: forward}\n" + curriculum
    assert [problem["message"] for problem in problems(text)] == ["the recipe needs a 'curriculum'"]


def test_carets_stand_under_the_mistake_after_wide_characters_and_on_long_lines() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load(BASE.replace("{use: table}", "{use: table, label: 心電図, header: no}"))
    line, carets = str(caught.value).splitlines()[3:5]
    assert carets.index("^") == line.index("no}") + 3
    with pytest.raises(InvalidRecipe) as caught:
        load(BASE.replace("{use: table}", f"{{use: table, label: {'x' * 300}, header: no}}"))
    line, carets = str(caught.value).splitlines()[3:5]
    assert carets.index("^") == line.index("no}") and len(line) < 130


def test_hundreds_of_problems_are_counted_and_the_first_fifty_shown() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load(BASE + "".join(f"zz{i}: 1\n" for i in range(60)))
    lines = str(caught.value).splitlines()
    assert lines[0] == "60 problems in mine.yaml" and lines[-1] == "  ... and 10 more"
    assert len(caught.value.to_list()) == 60


def test_error_text_moves_no_cursor() -> None:
    (problem,) = problems(with_source('  "\\e[2J": 1'))
    assert "\x1b" not in problem["message"]


def exit_code(text: str, plugins: Sequence[Plugin]) -> tuple[int, str]:
    Path("mine.yaml").write_text(text)
    with pytest.raises(InvalidRecipe) as caught:
        load_recipe("mine.yaml", (), Registry(list(plugins)), {})
    return caught.value.exit_code, str(caught.value)


def test_a_broken_plugin_as_the_only_cause_is_a_plugin_error() -> None:
    code, text = exit_code(BASE.replace("use: words", "use: gone"), [*REGISTRY.plugins, BROKEN])
    assert code == 4 and "jepa-gone: ImportError: no module named 'gone' (see `jepa plugins`)" in text


def test_a_broken_plugin_beside_another_mistake_is_a_recipe_error() -> None:
    code, _ = exit_code(BASE.replace("use: words", "use: gone") + "sed: 1\n", [*REGISTRY.plugins, BROKEN])
    assert code == 2


def test_a_misspelt_component_is_not_blamed_on_a_broken_plugin() -> None:
    code, text = exit_code(BASE.replace("use: words", "use: wrods"), [*REGISTRY.plugins, BROKEN])
    assert code == 2 and "did you mean 'words'?" in text


def test_a_component_of_a_plugin_marked_broken_is_that_plugins_error() -> None:
    plugin = Plugin("plain", "jepa-plain", "1", error="ValueError: bad hook", components=COMPONENTS)
    code, text = exit_code(BASE, [plugin])
    assert code == 4 and "ValueError: bad hook" in text


def test_a_config_class_that_fails_is_the_plugins_fault() -> None:
    code, text = exit_code(BASE.replace("use: drift", "use: faulty"), REGISTRY.plugins)
    assert code == 4 and "the config class of evaluator 'faulty' failed: TypeError: unhashable" in text


@pytest.mark.parametrize(
    ("written", "environment", "label"),
    [
        ("${A}", {"A": "here"}, "here"),
        ("${A:-there}", {}, "there"),
        ("${A:-there}", {"A": ""}, "there"),
        ("'x ${A} y ${B:-z}'", {"A": "1"}, "x 1 y z"),
        ("a$${A}", {"A": "1"}, "a${A}"),
        ("v${A}", {"A": "1"}, "v1"),
        ('"1${A:-2}"', {}, "12"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("|\n    ${A}", {"A": "1"}, "${A}\n"),
    ],
)
def test_the_environment_fills_strings(written: str, environment: dict[str, str], label: str) -> None:
    assert load(with_source(f"  label: {written}"), environment=environment).source.config.label == label


def test_a_scalar_that_is_one_reference_becomes_what_its_text_means() -> None:
    recipe = load(BASE.replace("seed: 3", "seed: ${SEED:-7}"), environment={})
    assert recipe.seed == 7
    assert load(BASE.replace("seed: 3", "seed: ${SEED:-7}"), environment={"SEED": "8"}).seed == 8
    assert load(with_source("  path: ${DATA:-}")).source.config.path is None
    assert load(BASE.replace("rank: 4", 'rank: "${RANK:-5}"')).encoder.config.lora.rank == 5


def child(text: str, *overrides: str) -> Recipe:
    Path("base.yaml").write_text(BASE)
    return load("extends: base.yaml\n" + text, *overrides)


def child_problems(text: str) -> list[str]:
    Path("base.yaml").write_text(BASE)
    return messages("extends: base.yaml\n" + text)


def test_a_child_changes_what_it_names_and_keeps_the_rest() -> None:
    recipe = child("encoder: {pooling: mean}\nseed: 9\n")
    assert (recipe.seed, recipe.name) == (9, "mine")
    assert recipe.encoder.config == WordsConfig(pooling="mean", lora=LoraConfig(rank=4))


def test_another_component_drops_the_keys_of_the_parents() -> None:
    assert child("encoder: {use: numbers, width: 3}\n").encoder.config == NumbersConfig(width=3)
    assert child("encoder: {use: words}\n").encoder.config.lora == LoraConfig(rank=4)


def test_a_variable_that_is_not_set_matters_only_if_its_value_is_used() -> None:
    text = BASE.replace("seed: 3", "seed: ${NOPE}")
    assert load(text, "seed=5").seed == 5
    assert [problem["message"] for problem in problems(text)] == ["the environment variable NOPE is not set"]
    assert problems("extends: ${NOPE}\n")[0]["line"] == 1
    assert child_problems("curriculum:\n  warmup: ${NOPE}\n")[0].startswith("3:11 the environment variable NOPE")


def test_a_list_replaces_the_parents_curriculum() -> None:
    assert [phase.name for phase in child("curriculum: [{use: warmup, name: only}]\n").curriculum] == ["only"]


def test_a_section_changes_phases_by_name_and_null_removes_them() -> None:
    changes = "{warmup: null, ema_alignment: {objectives: {spread: {weight: 2}}}}"
    recipe = child(f"curriculum: {changes}\nevaluators: {{drift: null}}\n")
    assert [(phase.name, phase.config.steps) for phase in recipe.curriculum] == [("ema_alignment", 20)]
    assert recipe.curriculum[0].objectives[0].config.weight == 2
    assert recipe.evaluators == ()


def test_a_section_of_a_new_name_adds_an_evaluator_behind_those_of_the_parent() -> None:
    recipe = child("evaluators: {again: {use: drift, horizons: [2]}, drift: {horizons: [1, 4]}}\n")
    assert [(one.name, one.config.horizons) for one in recipe.evaluators] == [("drift", [1, 4]), ("again", [2])]


def test_a_phase_that_uses_another_component_keeps_its_name_and_place() -> None:
    recipe = child("curriculum:\n  warmup: {use: ema_alignment, ema_decay: 0.5}\n")
    assert [(phase.name, phase.component.name) for phase in recipe.curriculum] == [
        ("warmup", "ema_alignment"),
        ("ema_alignment", "ema_alignment"),
    ]
    assert recipe.curriculum[0].config.steps == 0


def test_a_name_that_the_parent_does_not_have_is_unknown() -> None:
    assert child_problems("curriculum: {warm_up: {steps: 1}}\n") == [
        "2:14 unknown phase 'warm_up' | did you mean 'warmup'?"
    ]
    (problem,) = child_problems("curriculum: {quite_new: {steps: 1}}\n")
    assert problem.endswith("; a new one is added with `quite_new: {use: ...}`")


def test_problems_of_a_parent_point_into_the_parent() -> None:
    Path("base.yaml").write_text(BASE.replace("rank: 4", "rank: 0"))
    found = problems("extends: base.yaml\nsed: 1\n")
    assert [(problem["file"], problem["line"]) for problem in found] == [("mine.yaml", 2), ("base.yaml", 5)]


def test_a_circle_of_recipes_is_refused() -> None:
    Path("other.yaml").write_text("extends: mine.yaml\n")
    (problem,) = problems("extends: other.yaml\n")
    assert problem["file"] == "other.yaml"
    assert problem["message"] == "files extend one another in a circle: mine.yaml -> other.yaml -> mine.yaml"


def test_a_parent_is_found_beside_the_child_in_another_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "base.yaml").write_text(BASE)
    assert load("extends: base.yaml\n", file="sub/mine.yaml").origins()["seed"] == "sub/base.yaml:1"


def test_a_missing_parent_is_reported_where_it_is_named() -> None:
    Path("base.yaml").write_text(BASE)
    assert messages("extends: bsae.yaml\n") == ["1:10 there is no file 'bsae.yaml' | did you mean 'base.yaml'?"]


def test_overrides_address_keys_and_phases_by_name() -> None:
    recipe = load(
        BASE,
        "seed=1",
        "curriculum.ema_alignment.steps=200",
        "curriculum.ema_alignment.optimizer.betas=[0.8, 0.9]",
        "curriculum.warmup=null",
        "encoder.lora.rank=8",
        "source.label=a: b # c",
        "evaluators.drift.horizons=[1, 4]",
        "source.columns.hr=1e-1",
    )
    assert recipe.seed == 1 and recipe.encoder.config.lora.rank == 8
    assert [(phase.name, phase.config.steps) for phase in recipe.curriculum] == [("ema_alignment", 200)]
    assert recipe.curriculum[0].optimizer.config.betas == (0.8, 0.9)
    assert recipe.source.config.label == "a: b # c" and recipe.source.config.columns == {"hr": 0.1}
    assert recipe.evaluators[0].config.horizons == [1, 4]


@pytest.mark.parametrize(
    "overrides", [("encoder.use=numbers", "encoder.width=5"), ("encoder.width=5", "encoder.use=numbers")]
)
def test_overrides_of_one_component_hold_in_any_order(overrides: tuple[str, str]) -> None:
    assert load(BASE, *overrides).encoder.config == NumbersConfig(width=5)


def test_the_later_of_two_overrides_of_one_key_holds() -> None:
    assert load(BASE, "seed=1", "seed=2").seed == 2


def test_mistakes_on_the_command_line_are_shown_under_the_override() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load(BASE, "curriculum.ema_alignmnt.steps=200", "sed=1", "seed=[1", "seed", "extends=x", "windows.length=x")
    assert (
        str(caught.value)
        == """\
6 problems on the command line
  command line: curriculum.ema_alignmnt.steps=200  unknown phase 'ema_alignmnt'
                           ^^^^^^^^^^^^ did you mean 'ema_alignment'?
  command line: sed=1  unknown key 'sed' in the recipe
                ^^^ did you mean 'seed'? (a whole number from 0 to 4294967295; default 0)
  command line: seed=[1  a ',' or ']' is missing
                     ^
  command line: seed  expected key=value
                ^^^^ such as seed=1 or curriculum.NAME.steps=100
  command line: extends=x  'extends' can only stand in a file
                ^^^^^^^
  command line: windows.length=x  expected a whole number from 2 to 100000, found 'x'
                               ^"""
    )


@pytest.fixture
def shipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    recipes = folder / "installed"
    recipes.mkdir()
    (recipes / "plain.yaml").write_text(BASE)
    (recipes / "large.yaml").write_text("extends: plain\n")
    (recipes / "notes.txt").write_text("")
    monkeypatch.setattr(locate, "shipped_folder", lambda: recipes)
    return recipes


def test_shipped_recipes_are_found_by_name(shipped: Path) -> None:
    assert shipped_recipes() == [shipped / "large.yaml", shipped / "plain.yaml"]
    assert find_recipe("plain") == shipped / "plain.yaml"
    assert load_recipe("large", ["seed=4"], REGISTRY, {}).seed == 4


def test_a_recipe_may_extend_the_shipped_one_of_its_own_name(shipped: Path) -> None:
    assert load("extends: plain\nseed: 5\n", file="plain.yaml").seed == 5


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("plian", "unknown recipe 'plian'; did you mean 'plain'?"),
        ("qqq", "unknown recipe 'qqq'; there are: large, plain"),
        ("installed/plian.yaml", "there is no file 'installed/plian.yaml'; did you mean 'plain.yaml'?"),
        ("installed", "'installed' is a folder, not a recipe"),
        ("x" * 5000, "this is not the path of a recipe"),
    ],
)
def test_an_unknown_recipe_is_one_clear_error(shipped: Path, reference: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe(reference)
    assert str(caught.value) == message


def test_reading_a_recipe_imports_nothing_heavy() -> None:
    code = (
        "import sys, jepa_core.recipe; print(sorted({'torch', 'numpy', 'xarray', 'transformers'} & set(sys.modules)))"
    )
    root = Path(locate.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_an_encoder_of_a_modality_that_the_source_does_not_render_is_refused_where_it_stands(monkeypatch) -> None:
    text = BASE.replace("  use: words\n  lora: {rank: 4}", "  use: numbers\n  width: 3")
    assert load(text).encoder.config.modality == "channels"
    monkeypatch.setattr(TableConfig, "modalities", ("text",))
    (found,) = problems(text)
    assert (found["line"], "'numbers' reads channels" in found["message"]) == (3, True)
    assert "renders text" in found["hint"]


def test_windows_longer_than_the_predictor_can_take_are_refused_where_they_are_set() -> None:
    (message,) = messages(BASE + "windows: {length: 2000}\n")
    assert message.startswith(
        "16:19 windows of 2000 steps are longer than the predictor 'forward' can take | at most 1000"
    )


def test_a_phase_that_needs_more_than_the_encoder_offers_is_refused_where_it_stands() -> None:
    text = BASE.replace("  - use: ema_alignment\n", "  - use: reading\n    name: before\n  - use: ema_alignment\n")
    assert [phase.name for phase in load(text).curriculum] == ["warmup", "before", "ema_alignment"]
    (message,) = messages(text.replace("  use: words\n  lora: {rank: 4}", "  use: numbers\n  width: 3"))
    assert message == (
        "10:10 phase 'before' needs an encoder that offers next_token_loss, and 'numbers' does not | "
        "encoders that do: words"
    )


def test_an_objective_that_reads_numbers_is_refused_where_the_source_renders_none(monkeypatch) -> None:
    text = BASE.replace("{use: spread, weight: 0.5}", "{use: heads}")
    assert load(text).curriculum[1].objectives[0].component.name == "heads"
    monkeypatch.setattr(TableConfig, "modalities", ("text",))
    (message,) = messages(text)
    assert message == (
        "13:15 objective 'heads' reads the states as numbers, and the source 'table' renders none | "
        "take a source that renders channels, or leave the objective out"
    )


def test_objectives_of_one_name_train_one_module_and_must_be_alike_but_for_the_weight() -> None:
    text = BASE.replace("    steps: 10\n", "    steps: 10\n    objectives: [{use: heads, weight: 3}]\n")
    alike = text.replace("{use: spread, weight: 0.5}", "{use: heads, weight: 0.5}")
    assert [phase.objectives[0].config.weight for phase in load(alike).curriculum] == [3, 0.5]
    assert load(alike.replace("weight: 0.5", "heads: 2, name: others")).curriculum[1].objectives[0].name == "others"
    (message,) = messages(alike.replace("weight: 0.5", "heads: 2"))
    assert message == (
        "14:15 two objectives are called 'heads' and would train one module, but are not alike | "
        "give them the same keys (only the weight may differ), or other names"
    )
