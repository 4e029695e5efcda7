"""What the checks share: a component with a small config, tiny data to test it on, and ways to look at what it does."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import random
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from jepa_core.config import Config, ItemShape
from jepa_core.contracts import Batch, Channels, Encoder, Latents, Predictor
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.data.preparation import open_store
from jepa_core.data.rendering import ChannelRendering
from jepa_core.plugin import Component
from jepa_core.testing.oscillator_parts import Oscillators, TinyChannels, TinyRecurrent, TinyText
from jepa_core.testing.oscillators import OscillatorsConfig, TinyChannelsConfig, TinyRecurrentConfig, TinyTextConfig
from jepa_core.testing.suite import NotApplicable
from jepa_core.training.learner import Learner

WINDOW = 12
"""Steps of a window. The oscillators have 3 to 29 steps, so some windows are whole and some are padded."""
LATENT = 8
"""Size of a latent of the tiny encoders."""


def require(condition: object, message: str) -> None:
    """Raise AssertionError with what to do. A function, because `python -O` drops assert statements."""
    if not condition:
        raise AssertionError(message)


class Bench:
    """A component that is checked, with the keys of its example."""

    def __init__(self, component: Component, keys: Mapping[str, Any]) -> None:
        self.component = component
        self.keys = dict(keys)

    @cached_property
    def config(self) -> Config:
        """The config of the example.

        Raises NotApplicable if the component cannot be built here, and AssertionError if the example is wrong.
        """
        required = [name for name, field in self.component.config.model_fields.items() if field.is_required()]
        absent = [name for name in required if name not in self.keys]
        if absent:
            raise NotApplicable(f"its keys {', '.join(absent)} have no default, and Component(example=...) gives none")
        config = self.validated(self.keys)
        missing = config.missing()
        if missing:
            raise NotApplicable(f"it cannot run here: {missing[0]}")
        return config

    def validated(self, keys: Mapping[str, Any]) -> Any:
        """A config with these keys."""
        try:
            return self.component.config.model_validate(dict(keys))
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, detail['loc'])) or 'keys'}: {detail['msg']}" for detail in error.errors()
            )
            raise AssertionError(f"the example is no valid config ({reasons}); set Component(example=...)") from None

    def make(self, *arguments: Any, seed: int = 0) -> Any:
        """The component, its weights drawn from the seed."""
        torch.manual_seed(seed)
        return self.component.load()(self.config, *arguments)


# --- tiny data and models ---------------------------------------------------------------------------------------------


@cache
def scratch() -> Path:
    """A folder of this process."""
    folder = Path(tempfile.mkdtemp(prefix="jepa-checks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def oscillators(modality: str = "channels", **keys: Any) -> Dataset:
    """Oscillators made with these keys, rendered for a modality."""
    source = Oscillators(OscillatorsConfig(**keys))
    with quietly():
        return Dataset.open(open_store(source, "oscillators", scratch()), source, modality)


def tiny_encoder(dataset: Dataset) -> Encoder:
    """A tiny encoder of the dataset's items, fitted on them."""
    items = dataset.items(torch.arange(1))
    if isinstance(items, Channels):
        encoder: Encoder = TinyChannels(TinyChannelsConfig(width=LATENT), ItemShape(*items.values.shape[1:]))
    else:
        encoder = TinyText(TinyTextConfig(width=LATENT), None)
    encoder.fit(dataset.training_items())
    return encoder


def tiny_predictor() -> Predictor:
    """A tiny predictor."""
    return TinyRecurrent(TinyRecurrentConfig(), LATENT)


def tiny_learner(dataset: Dataset, seed: int = 0, autocast: bool = False, encoder: Encoder | None = None) -> Learner:
    """A learner of tiny parts on the CPU, its weights drawn from the seed; `encoder` takes the tiny encoder's place."""
    torch.manual_seed(seed)
    encoder = encoder or tiny_encoder(dataset)
    numbers = isinstance(dataset.rendering, ChannelRendering)
    observer = Observer(lambda: dataset, OscillatorsConfig().observations()) if numbers else None
    folder, device = scratch() / "latents", torch.device("cpu")
    return Learner(encoder, tiny_predictor(), dataset, device, folder, autocast=autocast, observer=observer)


def random_latents(seed: int = 0, windows: int = 3, steps: int = 7) -> Latents:
    """Latents drawn at random: the first window whole, each further one a step shorter, one step at the least."""
    generator = torch.Generator().manual_seed(seed)
    static, states, actions = (
        torch.randn(shape, generator=generator)
        for shape in ((windows, LATENT), (windows, steps, LATENT), (windows, steps, LATENT))
    )
    lengths = torch.arange(steps, steps - windows, -1).clamp(min=1)
    return Latents(static, states, actions, torch.arange(steps) < lengths[:, None])


def other_padding(batch: Batch) -> Batch:
    """The batch with other items and steps where its mask is false."""
    generator = torch.Generator().manual_seed(1)

    def changed(places: Tensor) -> Tensor:
        drawn = torch.randint(len(batch.items), places.shape, generator=generator)
        return torch.where(batch.mask, places, drawn)

    steps = torch.where(batch.mask, batch.steps, batch.steps.flatten().roll(1).view(batch.steps.shape).flip(0, 1))
    return replace(batch, states=changed(batch.states), actions=changed(batch.actions), steps=steps)


def other_latents_in_padding(latents: Latents) -> Latents:
    """The latents with others where their mask is false."""
    other, mask = random_latents(99, *latents.mask.shape), latents.mask[..., None]
    return replace(
        latents,
        states=torch.where(mask, latents.states, other.states),
        actions=torch.where(mask, latents.actions, other.actions),
    )


# --- looking ----------------------------------------------------------------------------------------------------------


def differing(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same to the bit, or are in only one of the two."""
    return [
        name for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or not torch.equal(before[name], after[name])
    ]  # fmt: skip


def snapshot(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def close(one: Tensor, other: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors agree to rounding, relative to their size."""
    scale = float(torch.maximum(one.abs().max(), other.abs().max())) if one.numel() else 0.0
    return torch.allclose(one, other, rtol=0, atol=tolerance * max(scale, 1e-6), equal_nan=True)


class _Quiet:
    """How many want no log now: the first switches it off, and the last puts it back as it was, whatever the threads
    and the order in which they end."""

    lock = threading.Lock()
    count = 0
    before = logging.NOTSET


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No log: what a component logs is for runs."""
    with _Quiet.lock:
        if not _Quiet.count:
            _Quiet.before = logging.root.manager.disable
            logging.disable(logging.CRITICAL)
        _Quiet.count += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.count -= 1
            if not _Quiet.count:
                logging.disable(_Quiet.before)


def printed(action: Callable[[], object]) -> str:
    """What an action printed; logs and warnings have ways of their own, and are not counted."""
    text = io.StringIO()
    with warnings.catch_warnings(), quietly(), contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        warnings.simplefilter("ignore")
        action()
    return text.getvalue()


def require_silent(action: Callable[[], object]) -> None:
    """Run an action, and require that it prints nothing."""
    text = printed(action)
    require(not text, f"it printed {text[:80]!r}; use logging.getLogger('jepa') or return what is worth telling")


def require_no_global_draws(action: Callable[[], object]) -> None:
    """Run an action, and require that it neither draws from nor seeds the global states of python and numpy, nor seeds
    torch's."""
    before = random.getstate(), _numpy_state(), torch.initial_seed()
    action()
    after = random.getstate(), _numpy_state(), torch.initial_seed()
    touched = [name for name, old, new in zip(("python", "numpy", "torch"), before, after, strict=True) if old != new]
    require(
        not touched,
        f"it used or seeded the global random state of {' and '.join(touched)}, which nothing seeds for it; draw from "
        "the generator it is given, or from numpy.random.default_rng(seed)",
    )


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return (name, np.asarray(keys).tobytes(), *rest)


def scramble_global_states(seed: int) -> None:
    """Put the global states of python and numpy elsewhere, so that what depends on them changes."""
    random.seed(seed)
    np.random.seed(seed)


def require_terms(terms: object) -> None:
    """Require terms of a loss: a dictionary of named scalars, all finite."""
    require(isinstance(terms, dict) and bool(terms), "it must return its terms by name, such as {'prediction': loss}")
    for name, value in cast(dict[str, Any], terms).items():
        require(isinstance(name, str) and name, f"a term is called {name!r}; name it by a word, metrics go by it")
        require(isinstance(value, Tensor) and value.shape == (), f"the term '{name}' is no scalar tensor; reduce it")
        require(
            torch.isfinite(value.detach()),
            f"the term '{name}' is {float(value.detach())}; divide by max(count, 1), and keep logarithms and square "
            "roots away from 0",
        )
