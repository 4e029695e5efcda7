"""Normal scores: channels on one scale by their ranks."""

from __future__ import annotations

import json

import pytest
import torch
from scipy.stats import norm

from jepa_channels.config import MlpConfig
from jepa_channels.mlp import Mlp
from jepa_core.config import ItemShape
from jepa_core.contracts import Channels
from jepa_core.data.standardisation import KNOTS, SAMPLE, NormalScores
from jepa_core.errors import DataError


def items(values: torch.Tensor, share: float = 0.7) -> Channels:
    """values: (N, C); a share of them observed."""
    observed = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) < share
    return Channels((values * observed)[..., None], observed[..., None])


def skewed(count: int = 4000) -> torch.Tensor:
    """A log-normal channel, one of few whole numbers, one that is constant."""
    draw = torch.Generator().manual_seed(1)
    normal = torch.randn(count, 2, generator=draw)
    return torch.stack([normal[:, 0].exp(), normal[:, 1].round(), torch.full((count,), 7.0)], 1)


def fitted(given: Channels) -> NormalScores:
    scores = NormalScores(given.values.shape[1], 5.0)
    scores.fit([given])
    return scores


def test_a_skewed_channel_becomes_normal_whatever_its_outliers() -> None:
    values = skewed()
    plain = fitted(items(values))(*_pair(items(values)))[:, 0, 0]
    values[values[:, 0].argmax(), 0] = 1e6
    given = items(values)
    made = fitted(given)(*_pair(given))[:, 0, 0]
    seen = given.observed[:, 0, 0]
    assert abs(float(made[seen].mean())) < 0.02 and abs(float(made[seen].std()) - 1) < 0.05
    assert torch.allclose(made, plain, atol=0.02)
    assert float(made.abs().max()) == pytest.approx(norm.ppf(1 - 1 / (2 * KNOTS)), rel=1e-5)


def test_scores_keep_the_order_and_what_was_not_observed_is_zero() -> None:
    given = items(skewed())
    made = fitted(given)(*_pair(given))
    value, score, seen = given.values[:, 1, 0], made[:, 1, 0], given.observed[:, 1, 0]
    order = value[seen].argsort()
    assert (score[seen][order].diff() >= 0).all() and len(score[seen].unique()) > 4
    assert (made[~given.observed] == 0).all()


def test_equal_values_have_their_middle_rank_and_a_constant_channel_is_zero() -> None:
    values = torch.tensor([0.0] * 300 + [1.0] * 700)[:, None]
    made = fitted(items(values, 1.1))(*_pair(items(values, 1.1)))[:, 0, 0]
    assert float(made[0]) == pytest.approx(norm.ppf(0.15), abs=0.03)
    assert float(made[-1]) == pytest.approx(norm.ppf(0.65), abs=0.03)
    given = items(skewed())
    assert (fitted(given)(*_pair(given))[:, 2] == 0).all()


def test_values_beyond_those_of_the_train_split_keep_the_outer_score() -> None:
    scores = fitted(items(skewed(), 1.1))
    far = torch.tensor([[1e9, 0, 0], [-1e9, 0, 0]])[..., None]
    made = scores(far, torch.ones_like(far, dtype=torch.bool))[:, 0, 0]
    assert made.tolist() == pytest.approx([norm.ppf(1 - 1 / (2 * KNOTS)), norm.ppf(1 / (2 * KNOTS))], rel=1e-5)


def test_groups_and_thinning_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    given = items(skewed(20_000))
    whole = fitted(given)(*_pair(given))
    monkeypatch.setattr("jepa_core.data.standardisation.SAMPLE", 2000)
    thin = NormalScores(3, 5.0)
    thin.fit(Channels(given.values[at : at + 777], given.observed[at : at + 777]) for at in range(0, 20_000, 777))
    assert SAMPLE > 20_000 and (thin(*_pair(given)) - whole).abs().mean() < 0.03


def test_an_encoder_that_was_fitted_by_ranks_is_the_same_after_json() -> None:
    given = items(skewed())
    one, other = _encoder(), _encoder()
    one.fit([given])
    other.load_fitted(json.loads(json.dumps(one.fitted())))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(given), other(given))
    with pytest.raises(DataError, match="no knots and scores of 3 channels"):
        other.load_fitted({"mean": [0, 0, 0], "scale": [1, 1, 1]})


def _encoder() -> Mlp:
    return Mlp(MlpConfig(width=8, latent_size=6, scaling="ranks"), ItemShape(3, 1))


def _pair(given: Channels) -> tuple[torch.Tensor, torch.Tensor]:
    return given.values, given.observed
