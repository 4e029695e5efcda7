"""Statistics that several components share: the bootstrap over subjects, and the effective rank of latents."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

WEIGHTS_IN_MEMORY = 4_000_000
"""Bootstrap weights held at once: draws are made in blocks, so that memory does not grow with draws times subjects."""
MOMENTS_IN_MEMORY = 32_000_000
"""Numbers of second moments held at once, of subjects and of draws."""


def bootstrap_subjects(values: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Means over the rows of subjects drawn with replacement (cluster bootstrap; Davison & Hinkley 1997, section 3.8).

    A drawn subject brings all of its rows, so rows of one subject need not be independent. The estimand is the mean
    over rows: a subject with more rows weighs more. Equal subjects, draws and seed draw the same subjects, so that
    differences and ratios of the results of two calls are paired.

    values: (N, K) or (N,), finite. subjects: (N,), any hashable labels. Returns (draws, K) or (draws,) float64, NaN of
    one subject: drawn again and again it says nothing of others. Raises ValueError if there is no row, or if the
    lengths differ.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0 or len(values) != len(subjects):
        raise ValueError(f"{len(values)} rows of values and {len(subjects)} subjects: both must be equal and above 0")
    rows = values.reshape(len(values), -1)
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return np.full((draws, *values.shape[1:]), np.nan)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, owner, rows)
    block = max(1, WEIGHTS_IN_MEMORY // len(counts))
    blocks = redrawn_weights(len(counts), draws, seed, block)
    means = np.concatenate([(weights @ sums) / (weights @ counts)[:, None] for weights in blocks])
    return means.reshape((draws, *values.shape[1:]))


def redrawn_weights(count: int, draws: int, seed: int, block: int) -> Iterator[np.ndarray]:
    """How often each subject is drawn, in blocks of up to `block` draws: (block, count) float64. The draws are the same
    whatever the size of a block."""
    if draws * count <= WEIGHTS_IN_MEMORY:
        drawn = _small_weights(count, draws, seed)
        yield from (drawn[first : first + block].astype(np.float64) for first in range(0, draws, block))
        return
    generator = np.random.default_rng(seed)
    chances = np.full(count, 1 / count)
    for first in range(0, draws, block):
        yield generator.multinomial(count, chances, size=min(block, draws - first)).astype(np.float64)


@lru_cache(maxsize=8)
def _small_weights(count: int, draws: int, seed: int) -> np.ndarray:
    """All weights at once, kept because drawing them costs more than using them, and most metrics ask for the same."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return drawn.astype(np.min_scalar_type(int(drawn.max())))


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of the percentile interval along the first axis; NaN where a draw is NaN, and of no
    draws."""
    if len(draws) == 0:
        return np.full(draws.shape[1:], np.nan), np.full(draws.shape[1:], np.nan)
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def spectrum(values: np.ndarray) -> np.ndarray:
    """Singular values of centred latents, descending: (min(N, D),) float64.

    Centred, because an offset common to all latents tells none of them apart. What float32 rounding alone would leave
    of a constant latent is set to 0: independent errors of size e have no singular value above e (sqrt(N) + sqrt(D)).

    values: (N, D), finite. Raises ValueError if there is no latent.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"latents must be (N, D) with N and D above 0, not {values.shape}")
    magnitude = float(np.sqrt(np.mean(values**2)))  # first, so that no more than two copies are held at once
    centred = values - values.mean(axis=0)
    gram = centred.T @ centred if len(values) > values.shape[1] else centred @ centred.T
    del centred
    return _singular(gram, magnitude, *values.shape)


def _singular(gram: np.ndarray, magnitude: float, rows: int, columns: int) -> np.ndarray:
    """Singular values of (N, D) latents from their Gram matrices (..., K, K), descending. magnitude: root mean square
    of a coordinate."""
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram)[..., ::-1], 0, None))
    rounding = np.finfo(np.float32).eps * magnitude * (np.sqrt(rows) + np.sqrt(columns))
    return np.where(singular > rounding, singular, 0.0)


def effective_rank(values: np.ndarray) -> float:
    """Exponential of the entropy of the normalised singular values: from 0 (constant latents) to min(N - 1, D).

    RankMe (Garrido et al., arXiv 2210.02885) after Roy & Vetterli (2007), but of centred latents (see `spectrum`).

    values: (N, D), finite. Raises ValueError if there is no latent.
    """
    return spectrum_rank(spectrum(values))


def spectrum_rank(singular: np.ndarray) -> float:
    """Effective rank of given singular values; 0 if all of them are 0."""
    total = singular.sum()
    if total == 0:
        return 0.0
    shares = singular[singular > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def redrawn_ranks(values: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Effective rank of the latents of redrawn subjects: (draws,). The subjects are those of `bootstrap_subjects`.

    Memory is bounded; time is that of `draws` eigenvalue problems of size D, or of the number of latents if that is
    less. values: (N, D), finite. subjects: (N,).
    """
    values = np.asarray(values, dtype=np.float64)
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    dimensions, magnitude = values.shape[1], float(np.sqrt(np.mean(values**2)))
    centred = values - values.mean(axis=0)
    together = draws * dimensions**2 <= MOMENTS_IN_MEMORY
    ranks: list[float] = []
    for weights in redrawn_weights(len(counts), draws, seed, max(1, WEIGHTS_IN_MEMORY // len(counts))):
        grams = (
            _added_grams(centred, owner, weights) if together else (_gram(centred, weight[owner]) for weight in weights)
        )
        for gram, count in zip(grams, weights @ counts, strict=True):
            ranks.append(spectrum_rank(_singular(gram, magnitude, int(count), dimensions)))
    return np.array(ranks)


def _added_grams(latents: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> Iterator[np.ndarray]:
    """Second moments about the mean (D, D) of each draw of subjects, added up from those of the subjects, so that a
    draw's latents are never laid side by side. latents: (N, D). owner: (N,). weights: (draws, S)."""
    order, dimensions = np.argsort(owner, kind="stable"), latents.shape[1]
    counts = np.bincount(owner)
    by_subject = np.split(latents[order], np.cumsum(counts)[:-1])
    block = max(1, MOMENTS_IN_MEMORY // dimensions**2)
    moments = np.zeros((len(weights), dimensions**2))
    for first in range(0, len(by_subject), block):
        part = np.stack([(vectors.T @ vectors).ravel() for vectors in by_subject[first : first + block]])
        moments += weights[:, first : first + block] @ part
    totals = weights @ np.stack([vectors.sum(axis=0) for vectors in by_subject])
    for moment, total, count in zip(moments, totals, weights @ counts, strict=True):
        yield moment.reshape(dimensions, dimensions) - np.outer(total, total) / count


def _gram(latents: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Second moments about the mean (D, D) of latents (N, D) that are drawn so many times (N,); of fewer latents than
    dimensions, their inner products, which have the same eigenvalues above 0."""
    drawn = np.flatnonzero(times)
    times = times[drawn, None]
    sample = latents[drawn]
    sample -= (times * sample).sum(axis=0) / times.sum()
    sample *= np.sqrt(times)
    return sample.T @ sample if len(sample) > sample.shape[1] else sample @ sample.T
