"""Sizes an encoder or a predictor to another one: `match: {encoder: {use: ...}, parameters: trainable}`.

A swap of encoders is a fair comparison only if both have as many parameters and latents of one size; one of predictors,
if both have as many parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from jepa_core.config import EncoderConfig, PredictorConfig, SourceConfig
from jepa_core.errors import JepaError
from jepa_core.recipe.problems import KeyPath, Problem
from jepa_core.recipe.uses import EncoderUse, Match, PredictorUse, Use

TOLERANCE = 0.02
"""Share of the wanted parameters by which the size found may differ."""
_LARGEST_VALUE = 1 << 20

SizedT = TypeVar("SizedT", EncoderConfig, PredictorConfig)


def find_match(source: Use[SourceConfig], encoder: EncoderUse) -> dict[str, int] | Problem:
    """Values of the encoder's keys that give it latents and parameters as many as those of the encoder that it is
    sized to; none where it is sized to none. Keys that somebody gave a value are kept."""
    match = encoder.match
    return {} if match is None else _find(source.config, encoder, match)


def _find(source: SourceConfig, encoder: EncoderUse, match: Match) -> dict[str, int] | Problem:
    config, other, path = encoder.config, match.encoder.config, KeyPath() / "encoder"
    given = config.model_fields_set
    keys: dict[str, int] = {}
    try:
        if config.latent_key and config.latent_key not in given:
            keys[config.latent_key] = other.latent_dim
        config = config.model_copy(update=keys)
        if config.latent_dim != other.latent_dim:
            name = match.encoder.name
            message = f"latents of size {config.latent_dim}, and those of '{name}' have {other.latent_dim}"
            hint = "one predictor reads both, so they must be equal"
            return Problem(path / (config.latent_key or "match"), message, hint)
        return keys | match_size(
            config, given, match.count(other, source), lambda candidate: match.count(candidate, source)
        )
    except NoMatch as error:
        return Problem(path / "match", f"'{encoder.name}' cannot be sized: {error}", error.hint)
    except JepaError as error:
        # A resolved recipe holds what was found: it is valid where the files that told are gone.
        if given.issuperset(config.size_keys) and config.size_keys:
            return {}
        return Problem(path / "match", f"the size to match is unknown: {error}")


def find_predictor_match(encoder: EncoderConfig, predictor: PredictorUse) -> dict[str, int] | Problem:
    """Values of the predictor's keys that give it parameters as many as those of the predictor that it is sized to;
    none where it is sized to none. encoder: of the recipe; its latents are what both read."""
    match, config, path = predictor.match, predictor.config, KeyPath() / "predictor" / "match"
    if match is None:
        return {}
    try:
        dim = encoder.latent_dim
        wanted = match.count(match.predictor.config, dim)
        return match_size(config, config.model_fields_set, wanted, lambda candidate: match.count(candidate, dim))
    except NoMatch as error:
        return Problem(path, f"'{predictor.name}' cannot be sized: {error}", error.hint)
    except JepaError as error:
        if config.size_keys and config.model_fields_set.issuperset(config.size_keys):
            return {}
        return Problem(path, f"the size to match is unknown: {error}")


class NoMatch(Exception):
    """No size within the tolerance. hint: what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def match_size(config: SizedT, written: Collection[str], wanted: int, count: Callable[[SizedT], int]) -> dict[str, int]:
    """Values of the config's `size_keys` with which it has `wanted` parameters within 2 %.

    Keys that the recipe writes are kept. The others are searched from the coarsest on; a finer one is touched only if
    the coarser ones alone do not come near enough. count: parameters of a config; it never falls when a key rises.

    Raises NoMatch with the nearest size.
    """

    def size(values: dict[str, Any]) -> int:
        return count(config.model_copy(update=values))

    best: dict[str, int] = {}
    candidates = [best]
    for key in (key for key in config.size_keys if key not in written):
        candidates = [
            {**candidate, key: value} for candidate in candidates for value in _bracket(candidate, key, wanted, size)
        ]
        best = min(candidates, key=lambda candidate: abs(size(candidate) - wanted))
        if _near(size(best), wanted):
            break
    if _near(size(best), wanted):
        return best
    if not config.size_keys:
        raise NoMatch("it has no key that sets its size", "match the other one to it instead")
    values = ", ".join(f"{key}={value}" for key, value in best.items()) or "the keys as they are written"
    raise NoMatch(
        f"the nearest to {wanted:,} parameters is {size(best):,}, with {values}: more than {TOLERANCE:.0%} away",
        f"change another of its keys, or leave {' and '.join(config.size_keys)} to match",
    )


def _near(parameters: int, wanted: int) -> bool:
    return abs(parameters - wanted) <= TOLERANCE * wanted


def _bracket(fixed: dict[str, int], key: str, wanted: int, size: Callable[[dict[str, Any]], int]) -> tuple[int, int]:
    """The largest value of a key with fewer parameters than wanted, and the next one."""
    low, high = 1, 2
    while high < _LARGEST_VALUE and size({**fixed, key: high}) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size({**fixed, key: middle}) < wanted else (low, middle)
    return low, high
