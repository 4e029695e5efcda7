"""The tokenizer: a folder's own, or a byte-level one made from the training texts."""

from __future__ import annotations

import hashlib
import heapq
import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from jepa_core.errors import DataError
from jepa_text.folder import TOKENIZER

END_OF_TEXT = "<|endoftext|>"

# More texts change few merges of a small vocabulary, and training time grows with them.
TEXTS_TO_FIT = 20_000

# With the texts beside them, some 50 MB.
TOKENS_KEPT = 4_000_000

SUBJECTS_COUNTED = 2_000
"""Subjects among whom it is counted who shares a token: counting costs as much as encoding their texts."""


def fit_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte-level BPE (Sennrich et al., arXiv 1508.07909) of up to `vocabulary` entries, made from the texts.

    Of more than 20,000 texts it reads the 20,000 with the smallest hashes: a uniform sample that depends neither on
    their order nor on a random state.
    """
    sample = heapq.nsmallest(TEXTS_TO_FIT, texts, key=_hash)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _between_numbers()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample, trainer)
    return tokenizer


def without_rare_tokens(tokenizer: Tokenizer, owned: Iterable[tuple[int, Sequence[str]]], fewest: int) -> Tokenizer:
    """The tokenizer without every token that fewer than `fewest` subjects have in their texts, the tokens that it is
    merged into included: what few subjects say would else stand in the vocabulary, word for word. The bytes, which
    everybody's texts are made of, stay.

    Texts of the first 2,000 subjects are counted, or of fewer where all tokens have enough; a token without enough
    among them is dropped. owned: texts with a number for their subject, those of a subject one after another.
    """
    plain = plain_tokenizer(tokenizer)
    vocabulary, merges = plain["model"]["vocab"], [tuple(merge) for merge in plain["model"]["merges"]]
    parts: dict[str, list[str]] = {}
    for left, right in merges:
        parts.setdefault(left + right, []).extend((left, right))
    words = {number: word for word, number in vocabulary.items()}
    lacking = dict.fromkeys(parts, fewest)
    for _, group in islice(groupby(owned, key=itemgetter(0)), SUBJECTS_COUNTED):
        encoded = (tokenizer.encode_batch_fast(list(texts), add_special_tokens=False) for _, texts in group)
        numbers = {number for batch in encoded for text in batch for number in text.ids}
        for word in _with_parts((words[number] for number in numbers), parts):
            if lacking.get(word, 0) > 0:
                lacking[word] -= 1
        if not any(lacking.values()):
            break
    kept = [word for word in vocabulary if not lacking.get(word)]
    kept.sort(key=vocabulary.__getitem__)
    plain["model"]["vocab"] = {word: number for number, word in enumerate(kept)}
    known = set(kept)
    plain["model"]["merges"] = [merge for merge in merges if {*merge, "".join(merge)} <= known]
    for special in plain["added_tokens"]:
        special["id"] = plain["model"]["vocab"][special["content"]]
    return parse_tokenizer(plain)


def _with_parts(words: Iterable[str], parts: Mapping[str, Sequence[str]]) -> set[str]:
    """Tokens, and all that they are merged of."""
    known: set[str] = set()
    waiting = list(words)
    while waiting:
        word = waiting.pop()
        if word not in known:
            known.add(word)
            waiting += parts.get(word, ())
    return known


def _between_numbers() -> pre_tokenizers.PreTokenizer:
    """Merges may cross words but never the border of a number, nor three of its digits: no token is an identifier or a
    time of day. Single digits, as Qwen has them, would make charted texts longer by a third, and what a token of three
    could tell of few subjects is dropped (`without_rare_tokens`).

    Charted texts repeat a few hundred phrases around numbers; a phrase such as ` bpm. Systolic BP: ` becomes one token,
    which makes such texts about three times shorter than with merges that stop at words.
    """
    numbers = pre_tokenizers.Split(Regex(r"\d{1,3}"), "isolated")
    return pre_tokenizers.Sequence([numbers, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder of weights.

    Raises DataError if tokenizer.json is missing or is not a tokenizer.
    """
    path = folder / TOKENIZER
    try:
        return parse_tokenizer(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, DataError):
        raise DataError(f"{path} is missing or is not a tokenizer; copy it from the model's repository again") from None


def parse_tokenizer(plain: Any) -> Tokenizer:
    """A tokenizer from its plain JSON value.

    Raises DataError if it is not a tokenizer.
    """
    try:
        return Tokenizer.from_str(json.dumps(plain))
    except Exception:  # the parser raises bare Exception; its message may quote the vocabulary, so it is not passed on
        raise DataError("the tokenizer is damaged, or was written by another version; make or copy it again") from None


def plain_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """A tokenizer as plain values that JSON holds."""
    return json.loads(tokenizer.to_str())


class TokenIds:
    """Token ids of texts. A text that is too long loses its end; an empty one is the end-of-text token alone.

    The ids of the texts seen first are kept, up to a number of tokens that a small data set stays below: training asks
    for the same texts in every epoch, and for a target's besides.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, vocabulary: int) -> None:
        end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        if end_of_text is None:
            raise DataError(f"the tokenizer lacks the token {END_OF_TEXT}; it is not one of Qwen3")
        if max(tokenizer.get_vocab().values()) >= vocabulary:
            raise DataError(f"the tokenizer has ids beyond the {vocabulary} rows of the model's token table")
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        self.tokenizer = tokenizer
        self._empty = [end_of_text]
        self._kept: dict[str, array[int]] = {}
        self._room = TOKENS_KEPT

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        encodings = self.tokenizer.encode_batch_fast(new, add_special_tokens=False)
        ids = {text: encoding.ids or self._empty for text, encoding in zip(new, encodings, strict=True)}
        ids_of = [ids[text] if text in ids else self._kept[text].tolist() for text in texts]
        self._keep(ids)
        return ids_of

    def _keep(self, ids: dict[str, list[int]]) -> None:
        for text, tokens in ids.items():
            if self._room < len(tokens):
                return
            self._kept[text] = array("i", tokens)
            self._room -= len(tokens)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
