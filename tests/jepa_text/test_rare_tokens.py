"""The tokenizer that a run makes of its texts holds nothing that few subjects say."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from jepa_text.config import Qwen3Config, RandomQwen3Config
from jepa_text.encoder import Qwen3Encoder
from jepa_text.tokenizer import fit_tokenizer, plain_tokenizer, without_rare_tokens

FEWEST = 5
PHRASE = "platypus keeper from Ulm"


def records(sharing: int) -> list[tuple[int, list[str]]]:
    """Texts of 40 subjects; the phrase stands in each text of the first few."""
    usual = ["Heart rate: 88 bpm. Rhythm: sinus.", "Heart rate: 91 bpm. Rhythm: paced.", "No observations recorded."]
    return [
        (subject, [f"t={hour}h | {text}" + (f" Said: {PHRASE}." if subject < sharing else "")
                   for hour, text in enumerate(usual * 3)])
        for subject in range(40)
    ]  # fmt: skip


def vocabulary(sharing: int) -> list[str]:
    owned = records(sharing)
    fitted = fit_tokenizer((text for _, texts in owned for text in texts), 2_000)
    return list(without_rare_tokens(fitted, owned, FEWEST).get_vocab())


@pytest.mark.parametrize(("sharing", "known"), [(FEWEST - 1, False), (FEWEST, True)])
def test_a_phrase_is_part_of_a_token_only_where_enough_subjects_say_it(sharing: int, known: bool) -> None:
    tokens = vocabulary(sharing)

    assert any("platypus" in token for token in tokens) == known
    assert any("rate:" in token for token in tokens), "what everybody says stays"


def test_no_token_holds_more_than_three_digits_or_a_number_and_a_word() -> None:
    owned = [(subject, ["Weight: 7391 kg at 120/80"] * 3) for subject in range(20)]
    tokens = without_rare_tokens(fit_tokenizer(owned[0][1], 2_000), owned, FEWEST).get_vocab()

    numbered = [token for token in tokens if any(sign.isdigit() for sign in token)]
    assert all(token.isdigit() and len(token) <= 3 for token in numbered) and "739" in numbered
    assert any("Weight" in token for token in tokens)


def test_texts_are_told_as_they_are_without_the_tokens_that_were_dropped() -> None:
    owned = records(FEWEST - 1)
    fitted = fit_tokenizer((text for _, texts in owned for text in texts), 2_000)
    kept = without_rare_tokens(fitted, owned, FEWEST)
    text = owned[0][1][0]

    assert PHRASE in text and kept.decode(kept.encode(text).ids) == text
    assert sorted(kept.get_vocab().values()) == list(range(kept.get_vocab_size()))
    assert len(kept.encode(text).ids) > len(fitted.encode(text).ids)


def test_subjects_are_counted_once_however_many_records_they_have() -> None:
    often = [(0, [f"Said: {PHRASE}."])] * 50 + [(subject, ["Rhythm: sinus."]) for subject in range(1, 20)]
    fitted = fit_tokenizer((text for _, texts in often for text in texts), 2_000)

    assert not any("platypus" in token for token in without_rare_tokens(fitted, often, FEWEST).get_vocab())


def test_what_an_encoder_fitted_says_how_many_subjects_share_it() -> None:
    sizes = RandomQwen3Config(hidden_size=32, layers=1, intermediate_size=48, vocabulary=400, least_subjects=7)
    encoder, again = (Qwen3Encoder(Qwen3Config(random=sizes)) for _ in range(2))
    owned = records(6)

    def texts() -> Iterator[list[str]]:
        yield from (own for _, own in owned)

    encoder.fit(texts())
    encoder.forget_rare(iter(owned))
    fitted = json.loads(json.dumps(encoder.fitted()))
    again.load_fitted(fitted)

    assert fitted["least_subjects"] == 7 and "platypus" not in json.dumps(fitted)
    assert again.fitted() == fitted == {"tokenizer": plain_tokenizer(encoder.tokens.tokenizer), "least_subjects": 7}
