"""An encoder sized to another one, and what the plan says about both."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from ruamel.yaml import YAML

from jepa_core.cli.pages import plan_text
from jepa_core.config import EncoderConfig, ItemShape, ModelSize, PhaseConfig, PredictorConfig, SourceConfig
from jepa_core.errors import DataError
from jepa_core.plugin import Component, Plugin, Registry
from jepa_core.recipe import InvalidRecipe, Recipe, load_recipe
from jepa_core.recipe.matching import NoMatch, match_size
from jepa_core.runs.plan import make_plan


class GaugesConfig(SourceConfig):
    channels: int = 6
    file: Path | None = None

    def item_shape(self) -> ItemShape:
        if self.file and not self.file.exists():
            raise DataError("the file is not there")
        return ItemShape(self.channels, 3)


class BlocksConfig(EncoderConfig):
    """Sized by coarse blocks and, between them, by fine ones."""

    modality: ClassVar = "channels"
    size_keys: ClassVar = ("blocks", "fine")
    latent_key: ClassVar = "latent"
    latent: int = 8
    blocks: int = Field(4, gt=0)
    fine: int | None = None

    @property
    def latent_dim(self) -> int:
        return self.latent

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        assert shape is not None
        total = shape.channels * shape.samples + 1000 * self.blocks**2 + 10 * (self.fine or self.blocks)
        return ModelSize(total, total)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        return items

    def flops(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        assert shape is not None
        return items * self.size(shape).parameters


class PhrasesConfig(EncoderConfig):
    """An encoder of another modality that cannot be sized."""

    modality: ClassVar = "text"
    parameters: int = 200_000
    trainable: int = 50_000

    @property
    def latent_dim(self) -> int:
        return 16

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        return ModelSize(self.parameters, self.trainable)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        return items


class NextConfig(PredictorConfig):
    def size(self, latent_dim: int) -> ModelSize:
        return ModelSize(latent_dim, latent_dim)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        return 0

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        return windows * steps * latent_dim * (3 if training else 1)


class TogetherConfig(PhaseConfig):
    trains: ClassVar = frozenset({"encoder", "predictor"})


COMPONENTS = (
    Component("source", "gauges", GaugesConfig, "nowhere:Gauges"),
    Component("encoder", "blocks", BlocksConfig, "nowhere:Blocks"),
    Component("encoder", "phrases", PhrasesConfig, "nowhere:Phrases"),
    Component("predictor", "next", NextConfig, "nowhere:Next"),
    Component("phase", "alone", PhaseConfig, "nowhere:Alone"),
    Component("phase", "together", TogetherConfig, "nowhere:Together"),
)
REGISTRY = Registry([Plugin("plain", "jepa-plain", "1", components=COMPONENTS)])
RECIPE = """\
source: {use: gauges}
windows: {length: 10}
encoder:
  use: blocks
  match:
    encoder: {use: phrases}
    parameters: trainable
predictor: {use: next}
curriculum:
  - {use: alone, steps: 5, batch_size: 32}
  - {use: together, steps: 5, batch_size: 4}
"""


def read(tmp_path: Path, *overrides: str, text: str = RECIPE) -> Recipe:
    path = tmp_path / "matched.yaml"
    path.write_text(text)
    return load_recipe(path, overrides, REGISTRY)


def problem(tmp_path: Path, *overrides: str, text: str = RECIPE) -> str:
    with pytest.raises(InvalidRecipe) as refused:
        read(tmp_path, *overrides, text=text)
    assert len(refused.value.problems) == 1
    return str(refused.value)


def parameters(recipe: Recipe) -> int:
    config = recipe.encoder.config
    assert isinstance(config, BlocksConfig)
    return config.size(recipe.item_shape()).parameters


@pytest.mark.parametrize("channels", [1, 6, 300])
@pytest.mark.parametrize(("counted", "wanted"), [("trainable", 50_000), ("total", 200_000)])
def test_an_encoder_gets_the_parameters_and_the_latents_of_another(
    tmp_path: Path, channels: int, counted: str, wanted: int
) -> None:
    recipe = read(tmp_path, f"source.channels={channels}", f"encoder.match.parameters={counted}")
    assert abs(parameters(recipe) - wanted) <= 0.02 * wanted
    assert recipe.encoder.config.latent_dim == 16


def test_the_finer_key_is_touched_only_where_the_coarse_one_is_too_coarse(tmp_path: Path) -> None:
    near = read(tmp_path, "encoder.match.encoder.trainable=49200")
    between = read(tmp_path, "encoder.match.encoder.trainable=43000")
    assert (near.encoder.config.blocks, near.encoder.config.fine) == (7, None)
    assert between.encoder.config.fine is not None
    assert abs(parameters(between) - 43_000) <= 10


@settings(deadline=None, max_examples=60)
@given(wanted=st.integers(2_000, 10_000_000), channels=st.integers(1, 20))
def test_every_size_that_can_be_met_is_met(wanted: int, channels: int) -> None:
    shape = ItemShape(channels)
    found = match_size(BlocksConfig(), (), wanted, lambda config: config.size(shape).parameters)
    size = BlocksConfig(**found).size(shape).parameters
    assert abs(size - wanted) <= 0.02 * wanted


def test_a_size_that_cannot_be_met_is_refused_with_the_nearest() -> None:
    with pytest.raises(NoMatch, match=r"nearest to 500 parameters is 1,011, with blocks=1, fine=1"):
        match_size(BlocksConfig(), (), 500, lambda config: config.size(ItemShape(1)).parameters)


def test_a_size_that_cannot_be_met_is_one_located_problem(tmp_path: Path) -> None:
    told = problem(tmp_path, "encoder.fine=1", "encoder.match.encoder.trainable=13000")
    assert "matched.yaml:5:" in told and "'blocks' cannot be sized" in told
    assert "nearest to 13,000 parameters is 16,028, with blocks=4" in told


def test_a_key_that_is_written_is_kept(tmp_path: Path) -> None:
    recipe = read(tmp_path, "encoder.blocks=3")
    assert recipe.encoder.config.blocks == 3
    assert abs(parameters(recipe) - 50_000) <= 1_000
    assert "nearest" in problem(tmp_path, "encoder.blocks=3", "encoder.fine=2")


def test_latents_of_another_size_are_refused_where_they_are_written(tmp_path: Path) -> None:
    told = problem(tmp_path, text=RECIPE.replace("use: blocks", "use: blocks\n  latent: 12"))
    assert "matched.yaml:5" in told and "latents of size 12, and those of 'phrases' have 16" in told


def test_an_encoder_without_size_keys_cannot_be_matched(tmp_path: Path) -> None:
    text = RECIPE.replace("use: blocks", "use: phrases").replace("{use: phrases}", "{use: phrases, trainable: 7}")
    assert "no key that sets its size" in problem(tmp_path, text=text)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("match: 3", "needs the key 'encoder'"),
        ("match: {parameters: total}", "needs the key 'encoder'"),
        ("match: {encoder: {use: phrases}, parameters: all}", "'trainable' or 'total'"),
        ("match: {encoder: {use: phrase}}", "did you mean 'phrases'"),
        ("match: {encoder: {use: phrases, trainable: x}}", "a whole number"),
        ("match: {encoder: {use: phrases}, tolerance: 1}", "unknown key 'tolerance'"),
    ],
)
def test_a_match_that_is_written_wrong_is_a_located_problem(tmp_path: Path, written: str, told: str) -> None:
    before, _, after = RECIPE.partition("  match:\n")
    text = f"{before}  {written}\n{after[after.index('predictor') :]}"
    found = problem(tmp_path, text=text)
    assert told in found and "matched.yaml:5:" in found


def test_nothing_in_the_place_of_a_match_is_no_match(tmp_path: Path) -> None:
    recipe = read(tmp_path, "encoder.match=null")
    assert recipe.encoder.match is None and recipe.encoder.config == BlocksConfig()


def test_the_resolved_recipe_holds_what_was_found_and_means_the_same(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    again = tmp_path / "again.yaml"
    with again.open("w") as file:
        YAML().dump(recipe.resolved(), file)
    resolved = load_recipe(again, [], REGISTRY)
    assert recipe.resolved()["encoder"]["blocks"] == recipe.encoder.config.blocks
    assert resolved.resolved() == recipe.resolved() and resolved.encoder == recipe.encoder
    origins = recipe.origins()
    assert (origins["encoder.blocks"], origins["encoder.latent"]) == ("match", "match")
    assert origins["encoder.match.encoder.use"] == f"{tmp_path / 'matched.yaml'}:6"


def test_files_that_are_missing_matter_only_until_the_size_is_found(tmp_path: Path) -> None:
    file = tmp_path / "gauges.csv"
    assert "the size to match is unknown: the file is not there" in problem(tmp_path, f"source.file={file}")
    file.touch()
    again = tmp_path / "again.yaml"
    with again.open("w") as resolved:
        YAML().dump(read(tmp_path, f"source.file={file}").resolved(), resolved)
    file.unlink()
    assert load_recipe(again, [], REGISTRY).encoder.match is not None


def test_the_plan_shows_both_encoders_and_the_operations_of_each_phase(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    plan = make_plan(recipe)
    assert plan.matched is not None
    assert (plan.encoder.parameters, plan.matched.trainable) == (parameters(recipe), 50_000)
    items, encoder, predictor = 4 * 21, parameters(recipe), 10 * 16 * 3
    assert plan.step_windows == 4 and plan.encoder.flops == items * encoder and plan.matched.flops == 6 * 84 * 200_000
    assert [phase.flops for phase in plan.phases] == [32 * predictor, items * encoder + 4 * predictor]
    text = plan_text(plan)
    (line,) = [line for line in text.splitlines() if "sized to" in line]
    assert line.split() == ["sized", "to", "phrases", "200,000", "50,000", "101", "MFLOP"]
    assert "training on 4 windows" in text


class RowsConfig(PredictorConfig):
    """A predictor of so many rows."""

    size_keys: ClassVar = ("rows",)
    rows: int = Field(2, gt=0)

    def size(self, latent_dim: int) -> ModelSize:
        return ModelSize(self.rows * latent_dim, self.rows * latent_dim)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        return 0


WITH_ROWS = Registry(
    [
        Plugin(
            "plain", "jepa-plain", "1", components=(*COMPONENTS, Component("predictor", "rows", RowsConfig, "no:Rows"))
        )
    ]
)


def read_sized(tmp_path: Path, predictor: str = "rows", match: str = "predictor: {use: rows, rows: 700}") -> Recipe:
    path = tmp_path / "matched.yaml"
    path.write_text(RECIPE.replace("{use: next}", f"{{use: {predictor}, match: {{{match}}}}}"))
    return load_recipe(path, (), WITH_ROWS)


def test_a_predictor_gets_the_parameters_of_another_for_the_latents_that_both_read(tmp_path: Path) -> None:
    recipe = read_sized(tmp_path)
    assert recipe.encoder.config.latent_dim == 16, "the encoder is sized first"
    assert recipe.predictor.config.size(16).parameters == pytest.approx(700 * 16, rel=0.02)
    assert recipe.origins()["predictor.rows"] == "match"
    plan = make_plan(recipe)
    assert plan.matched_predictor is not None and plan.matched_predictor.parameters == 700 * 16
    assert plan_text(plan).count("sized to") == 2


def test_a_sized_predictor_is_a_recipe_that_reads_back_as_the_same(tmp_path: Path) -> None:
    recipe, path = read_sized(tmp_path), tmp_path / "again.yaml"
    with path.open("w") as file:
        YAML().dump(recipe.resolved(), file)
    assert load_recipe(path, [], WITH_ROWS) == recipe


def test_a_predictor_without_size_keys_cannot_be_matched(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match="'next' cannot be sized.*has no key that sets its size"):
        read_sized(tmp_path, predictor="next")


def test_what_a_predictor_is_sized_to_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match="'match' needs the key 'predictor'"):
        read_sized(tmp_path, match="parameters: total")
