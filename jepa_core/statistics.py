"""Statistics that several components share: the bootstrap over subjects, and the effective rank of latents."""

from __future__ import annotations

import numpy as np

WEIGHTS_IN_MEMORY = 4_000_000
"""Bootstrap weights held at once: draws are made in blocks, so that memory does not grow with draws times subjects."""


def bootstrap_subjects(values: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Means over the rows of subjects drawn with replacement (cluster bootstrap; Davison & Hinkley 1997, section 3.8).

    A drawn subject brings all of its rows, so rows of one subject need not be independent. The estimand is the mean
    over rows: a subject with more rows weighs more. Equal subjects, draws and seed draw the same subjects, so that
    differences and ratios of the results of two calls are paired.

    values: (N, K) or (N,), finite. subjects: (N,), any hashable labels. Returns (draws, K) or (draws,) float64.
    Raises ValueError if there is no row, or if the lengths differ.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0 or len(values) != len(subjects):
        raise ValueError(f"{len(values)} rows of values and {len(subjects)} subjects: both must be equal and above 0")
    rows = values.reshape(len(values), -1)
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, owner, rows)
    generator = np.random.default_rng(seed)
    chances = np.full(len(counts), 1 / len(counts))
    means = np.empty((draws, rows.shape[1]))
    block = max(1, WEIGHTS_IN_MEMORY // len(counts))
    for first in range(0, draws, block):
        weights = generator.multinomial(len(counts), chances, size=min(block, draws - first)).astype(np.float64)
        means[first : first + block] = (weights @ sums) / (weights @ counts)[:, None]
    return means.reshape((draws, *values.shape[1:]))


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of the percentile interval along the first axis; NaN where a draw is NaN."""
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
    centred = values - values.mean(axis=0)
    gram = centred.T @ centred if len(values) > values.shape[1] else centred @ centred.T
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram)[::-1], 0, None))
    magnitude = np.sqrt(np.mean(values**2))
    rounding = np.finfo(np.float32).eps * magnitude * (np.sqrt(values.shape[0]) + np.sqrt(values.shape[1]))
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
