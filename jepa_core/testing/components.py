"""Checks of every component, whatever its kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from inspect import cleandoc
from typing import get_args

from jepa_core.config import Config
from jepa_core.testing.bench import Bench, require

HEAVY = ("torch", "transformers", "duckdb", "zarr", "xarray", "pandas", "sklearn", "matplotlib")
"""Packages that take long to import."""


def check_keys_documented(bench: Bench) -> None:
    """The config has a docstring and every key a description (a key that is a config of its own, a docstring): `jepa
    show` has nothing else to tell."""
    require(
        _documented(bench.component.config),
        f"give {bench.component.config.__name__} a docstring; its first line is what `jepa ls` says of it",
    )
    bare = list(_undocumented(bench.component.config, ""))
    require(not bare, f'give the keys {", ".join(bare)} a description, as in Field(1, description="...")')


def check_declared_without_heavy_imports(bench: Bench) -> None:
    """The module of the config imports nothing heavy, so that `jepa ls`, `validate` and `plan` answer at once."""
    module = bench.component.config.__module__
    loaded = _loaded_by(module)
    require(not loaded, f"importing {module} imports {', '.join(loaded)}; move what needs that into the implementation")


def check_example_is_valid(bench: Bench) -> None:
    """The defaults, with the keys of `Component(example=...)`, are a valid config: it is what the checks build."""
    assert bench.config


def check_implementation_is_there(bench: Bench) -> None:
    """The implementation can be imported, and follows the contract of its kind."""
    from jepa_core import contracts

    contract = getattr(contracts, bench.component.kind.capitalize())
    implementation = bench.component.load()
    require(
        isinstance(implementation, type) and issubclass(implementation, contract),
        f"{bench.component.implementation} must be a class that derives from jepa_core.contracts.{contract.__name__}",
    )
    open_ends = sorted(getattr(implementation, "__abstractmethods__", ()))
    require(not open_ends, f"{implementation.__name__} lacks {', '.join(open_ends)}; define them")


def _documented(config: type[Config]) -> bool:
    own = cleandoc(config.__doc__ or "")
    return bool(own) and all(own != cleandoc(base.__doc__ or "") for base in config.__mro__[1:])


def _undocumented(config: type[Config], prefix: str) -> Iterator[str]:
    for name, field in config.model_fields.items():
        inner = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        configs = [part for part in inner if issubclass(part, Config)]
        if not field.description and not any(part.__doc__ for part in configs):
            yield prefix + name
        for nested in configs:
            yield from _undocumented(nested, f"{prefix}{name}.")


@cache
def _loaded_by(module: str) -> list[str]:
    script = f"import sys, {module}; print(*[one for one in {HEAVY!r} if one in sys.modules])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    require(done.returncode == 0, f"{module} cannot be imported by itself: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.split()
