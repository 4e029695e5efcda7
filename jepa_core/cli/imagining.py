"""The command that sets two imagined futures beside one another."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.errors import RecipeError
from jepa_core.runs.process import environment, process_state

if TYPE_CHECKING:
    import xarray

    from jepa_core.model.acts_file import WhatIf
    from jepa_core.model.data import Data
    from jepa_core.model.futures import Futures
    from jepa_core.model.model import Model
    from jepa_core.results.findings import Table

log = logging.getLogger("jepa")


def imagine(arguments: argparse.Namespace) -> None:
    """Imagine two futures of new raw data, and say what differs."""
    with environment():  # before torch is imported
        from jepa_core.model.acts_file import WhatIf, read_what_if
        from jepa_core.model.loading import load
        from jepa_core.recipe.schema import RuntimeConfig

        given = read_what_if(arguments.actions)
        against = WhatIf([], "none", None) if arguments.against is None else read_what_if(arguments.against)
        model = load(arguments.run)
        with process_state(RuntimeConfig(threads=model.record["threads"])):
            data = model.read(*arguments.data)
            _show(model, data, (given, against), arguments)


def _show(model: Model, data: Data, asked: tuple[WhatIf, WhatIf], arguments: argparse.Namespace) -> None:
    from jepa_core.model.futures import futures_of
    from jepa_core.model.imagining import CAUTION

    given, against = (_imagined(model, data, side, arguments) for side in asked)
    futures = futures_of(given, against)
    places = futures.places(arguments.channel)
    log.info("under the acts: %s", given.attrs["actions"])
    log.info("against:        %s", against.attrs["actions"])
    print(_text(futures.table(places, [arguments.horizon])))
    log.warning("%s", CAUTION)
    if arguments.html is not None:
        _write_page(arguments.html, futures, places, _recorded(model, data, arguments))
    if arguments.out is not None:
        _write_rows(arguments.out, futures)


def _imagined(model: Model, data: Data, asked: WhatIf, arguments: argparse.Namespace) -> xarray.Dataset:
    """One of the two futures, of the trajectories that are shown."""
    with named_file(asked.file):
        imagined = model.imagine(data, arguments.at, arguments.horizon, asked.acts, asked.otherwise)
    number: int | None = arguments.trajectory
    if number is None:
        return imagined
    if number not in imagined["trajectory"].values:
        reason = _why_not(data, number, arguments.at)
        raise RecipeError(f"--trajectory {number}: the trajectory at that position {reason}")
    return imagined.sel(trajectory=[number])


def _why_not(data: Data, number: int, at: int) -> str:
    """Why nothing is imagined of the trajectory at a position."""
    if not 0 <= number < len(data):
        return f"is not among the {len(data)}, from 0; --at needs {at}"
    if data.steps[number] < at:
        return f"has {data.steps[number]} steps; --at needs {at}"
    return "lacks what the acts need; choose another"


@contextmanager
def named_file(file: Path | None) -> Iterator[None]:
    """Errors about what a file says tell which file that is."""
    try:
        yield
    except RecipeError as error:
        if file is None or not str(error).startswith(("acts.", "limits.", "cost.")):
            raise
        raise RecipeError(f"{file}: {error}") from error


def _recorded(model: Model, data: Data, arguments: argparse.Namespace) -> xarray.DataArray | None:
    """What the one trajectory that is shown records around the steps imagined, to stand behind them."""
    if arguments.trajectory is None or model.decoder is None:
        return None
    first = max(0, arguments.at - arguments.horizon)
    return model.observed(data, arguments.trajectory).isel(step=slice(first, arguments.at + arguments.horizon))


def _text(table: Table) -> str:
    """A table for a terminal."""
    from jepa_core.results.text import interval, number, with_unit

    rows = [["channel", "step ahead", "under the acts", "against", "difference", "95 % interval"]]
    for name, unit, horizon, given, against, difference, low, high in table.rows:
        values = [with_unit(number(value), str(unit)) for value in (given, against, difference)]  # type: ignore[arg-type]
        rows.append([str(name), str(horizon), *values, interval(low, high)])  # type: ignore[arg-type]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", table.note])


def _write_page(path: Path, futures: Futures, places: list[int], recorded: xarray.DataArray | None) -> None:
    from jepa_core.report.futures_page import FuturesPage

    told = futures.given.attrs
    FuturesPage(
        model=told["model"],
        given=told["actions"],
        against=futures.against.attrs["actions"],
        at=told["at"],
        horizon=len(futures.given["horizon"]),
        trajectories=len(futures.given["trajectory"]),
        caution=told["caution"],
        figures=futures.figures(places, recorded),
        table=futures.table(places),
    ).write(path)
    print(path)


def _write_rows(path: Path, futures: Futures) -> None:
    import pyarrow as pa

    from jepa_core.io.files import disk_errors
    from jepa_core.results.predictions import write_table

    with disk_errors(path.parent):
        write_table(pa.table(futures.rows()), path)
    print(path)
