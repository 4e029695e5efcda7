"""No number or name that passes validation can overflow what it is given to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from jepa_core.cli.studying import gpus_of
from jepa_core.config import LARGEST_FLOAT, LARGEST_INTEGER, SMALLEST_FLOAT, Config, OptimizerConfig
from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry
from jepa_core.rates import AdamwConfig, MuonConfig
from jepa_core.recipe import InvalidRecipe, load_recipe


class Inner(Config):
    size: int = 1


class Outer(Config):
    count: int = 1
    ratio: float = 0.5
    pairs: dict[str, tuple[float | None, ...]] = {}
    inner: Inner = Inner()


@pytest.mark.parametrize(
    "given",
    [
        {"count": LARGEST_INTEGER + 1},
        {"count": -(2**63)},
        {"ratio": 2 * LARGEST_FLOAT},
        {"ratio": float("nan")},
        {"ratio": float("-inf")},
        {"pairs": {"a": (None, 1e300)}},
        {"inner": {"size": 2**80}},
    ],
    ids=str,
)
def test_a_number_that_is_too_large_is_refused_wherever_it_stands(given: dict) -> None:
    with pytest.raises(ValidationError, match="largest"):
        Outer.model_validate(given)


@pytest.mark.parametrize("ratio", [1e-300, -5e-324])
def test_a_number_that_can_hardly_be_told_from_0_is_refused(ratio: float) -> None:
    with pytest.raises(ValidationError, match="nearer to 0 than 1e-30"):
        Outer(ratio=ratio)
    assert Outer(ratio=0.0).ratio == 0.0


def test_numbers_within_reach_are_taken() -> None:
    pairs = {"a": (None, -LARGEST_FLOAT, SMALLEST_FLOAT)}
    assert Outer(count=LARGEST_INTEGER, pairs=pairs).pairs == pairs


@pytest.mark.parametrize(
    "override",
    [
        "windows.length=9223372036854775808",
        "windows.stride=1000000",
        "curriculum.joint.batch_size=1000000",
        "runtime.threads=100000000",
        "runtime.latent_cache_gib=1e300",
        "source.noise=1e308",
        "name=" + "long" * 75,
        "name=-x",
        "name=[red]",
    ],
)
def test_a_recipe_with_a_value_beyond_all_measure_is_refused(
    override: str, recipe_file: Path, registry: Registry
) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load_recipe(recipe_file, [override], registry)
    assert len(caught.value.to_list()) == 1


@pytest.mark.parametrize("config", [AdamwConfig, MuonConfig])
@pytest.mark.parametrize("betas", [(0.9, 1.0), (-0.1, 0.9)])
def test_a_moment_decays(config: type[OptimizerConfig], betas: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="betas"):
        config(betas=betas)


@pytest.mark.parametrize("given", ["a,b", "0,0", "-1", "0;1"])
def test_gpus_are_named_as_cuda_names_them(given: str) -> None:
    with pytest.raises(RecipeError, match="such as 0,1"):
        gpus_of(given)
    assert gpus_of("0, 1") == ["0", "1"] and gpus_of("") == [] and gpus_of("GPU-12ab-34") == ["GPU-12ab-34"]
