"""One pass of a Qwen3 backbone over a pack of texts, through the modules that transformers built.

The modules hold the weights and the adapters; the order of the computation is written here. The backbone's own builds a
mask of S x S values, silently drops the borders between texts when a cache or a mask is given, and computes what nobody
reads. Here
* the last layer asks for the last token of each text alone, because a latent is read there;
* the first layer's queries, keys and values, which depend on nothing but the token, are made once for each distinct
  token of the pack.

Symbols: S tokens of the pack, N texts, W hidden size, A query heads, K heads of keys and values, Z size of a head.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from jepa_text.attention import attend, attend_at_ends
from jepa_text.functions import Turns, rms_norm, rotate
from jepa_text.packing import Pack

Built: TypeAlias = Any
"""A module as transformers built it: what it holds is not declared by `nn.Module`."""


def token_states(backbone: Built, pack: Pack) -> Tensor:
    """Last hidden states of all tokens: (S, W)."""
    hidden, _ = _run(backbone, backbone.layers, pack)
    return _normed(backbone.norm, hidden)


def end_states(backbone: Built, pack: Pack) -> Tensor:
    """Last hidden states of the last tokens of the texts, the same as in `token_states`: (N, W)."""
    *below, last = backbone.layers
    hidden, turns = _run(backbone, below, pack)
    return _normed(backbone.norm, _last_layer(last, hidden, turns, pack))


def _run(backbone: Built, layers: Iterable[Built], pack: Pack) -> tuple[Tensor, Turns]:
    """Hidden states (S, W) of all tokens after these first layers, and what turns queries and keys."""
    of_distinct = backbone.embed_tokens(pack.distinct)
    hidden = of_distinct.index_select(0, pack.places)
    turns = _turns(backbone, hidden, pack)
    for number, layer in enumerate(layers):
        if number == 0:
            queries, keys, values = (part.index_select(0, pack.places) for part in _project(layer, of_distinct))
            heads = queries, keys, values
        else:
            heads = _project(layer, hidden)
        hidden = _layer(layer, hidden, heads, turns, pack)
    return hidden, turns


def _turns(backbone: Built, hidden: Tensor, pack: Pack) -> Turns:
    """What turns the heads of all tokens, made once for each position in the longest row."""
    longest = max(length for _, length in pack.rows.groups)
    cosines, sines = backbone.rotary_emb(hidden, torch.arange(longest, device=hidden.device).unsqueeze(0))
    return Turns.of(cosines[0], sines[0], backbone.config.num_attention_heads).at(pack.positions)


def _project(layer: Built, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (S, A, Z), keys and values (S, K, Z) of tokens (S, W), wherever these stand in their texts."""
    normed = _normed(layer.input_layernorm, hidden)
    return _queries(layer.self_attn, normed), *_keys_values(layer.self_attn, normed)


def _layer(layer: Built, hidden: Tensor, heads: tuple[Tensor, Tensor, Tensor], turns: Turns, pack: Pack) -> Tensor:
    """The layer's output for all tokens: (S, W)."""
    attention, (queries, keys, values) = layer.self_attn, heads
    queries, keys = rotate(queries, turns), rotate(keys, turns)
    gathered = attend(queries, keys, values, pack.rows, attention.scaling, _dropout(attention))
    return _feed_forward(layer, hidden + attention.o_proj(gathered.flatten(1)))


def _last_layer(layer: Built, hidden: Tensor, turns: Turns, pack: Pack) -> Tensor:
    """The layer's output for the last token of each text, whose keys and values all tokens give: (N, W)."""
    attention = layer.self_attn
    normed = _normed(layer.input_layernorm, hidden)
    queries = rotate(_queries(attention, normed.index_select(0, pack.ends)), turns.at(pack.ends))
    keys, values = _keys_values(attention, normed)
    keys = rotate(keys, turns)
    gathered = attend_at_ends(queries, keys, values, pack.rows, attention.scaling, _dropout(attention))
    return _feed_forward(layer, hidden.index_select(0, pack.ends) + attention.o_proj(gathered.flatten(1)))


def _queries(attention: Built, normed: Tensor) -> Tensor:
    return _normed(attention.q_norm, _heads(attention.q_proj(normed), attention))


def _keys_values(attention: Built, normed: Tensor) -> tuple[Tensor, Tensor]:
    keys, values = (_heads(project(normed), attention) for project in (attention.k_proj, attention.v_proj))
    return _normed(attention.k_norm, keys), values


def _heads(projected: Tensor, attention: Built) -> Tensor:
    return projected.unflatten(-1, (-1, attention.head_dim))


def _feed_forward(layer: Built, hidden: Tensor) -> Tensor:
    return hidden + layer.mlp(_normed(layer.post_attention_layernorm, hidden))


def _normed(norm: Built, hidden: Tensor) -> Tensor:
    return rms_norm(hidden, norm.weight, norm.variance_epsilon)


def _dropout(attention: Built) -> float:
    """Of attention weights, while training."""
    return attention.attention_dropout if attention.training else 0.0
