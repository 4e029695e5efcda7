"""A dask.distributed cluster that others have started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jepa_core.errors import RunError
from jepa_core.libraries import library

if TYPE_CHECKING:
    from distributed import Client

ANSWER = "10s"
"""How long a scheduler may take to answer."""


@contextmanager
def client_of(address: str) -> Iterator[Client]:
    """The scheduler at `address`, such as tcp://host:8786, while the block runs.

    Raises PluginError if the extra is not installed, RunError if no scheduler answers.
    """
    with library("distributed"):
        from distributed import Client
    try:
        client = Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(f"no dask scheduler answers at {address}; start one, or correct the address") from error
    with client:
        yield client
