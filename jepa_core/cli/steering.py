"""The command that looks for actions under which what is imagined costs least."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.cli.imagining import named_file
from jepa_core.runs.process import environment, process_state

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("jepa")


def steer(arguments: argparse.Namespace) -> None:
    """Choose actions for trajectories of new raw data, and say what the model expects of them."""
    with environment():  # before torch is imported
        from jepa_core.model.goals import read_goal
        from jepa_core.model.loading import load
        from jepa_core.model.searching import Search
        from jepa_core.model.steering import refuse_unasked
        from jepa_core.recipe.schema import RuntimeConfig

        goal = read_goal(arguments.goal)
        how = Search(arguments.method, arguments.plans, arguments.rounds, seed=arguments.seed)
        model = load(arguments.run)
        refuse_unasked(model.source_config, arguments.retrospective)  # before anything is read
        with process_state(RuntimeConfig(threads=model.record["threads"])):
            data = model.read(*arguments.data)
            with named_file(arguments.goal):
                steered = model.steer(
                    data,
                    arguments.at,
                    arguments.horizon,
                    goal,
                    arguments.risk,
                    how,
                    arguments.retrospective,
                    arguments.trajectory,
                )
            log.info("goal: %s", steered.attrs["goal"])
            print(_text(steered))
            log.warning("%s", steered.attrs["caution"])
            if arguments.out is not None:
                _write_rows(arguments.out, steered)


def _text(steered: xarray.Dataset) -> str:
    """By position in the data: no identifier is printed."""
    import numpy as np

    from jepa_core.results.text import number

    actions = [str(name) for name in steered["action"].values]
    rows = [["trajectory", "cost", "doing nothing", *(f"{name}, step by step" for name in actions)]]
    columns = (steered["trajectory"], steered["cost"], steered["cost_of_nothing"], steered["chosen"])
    for position, cost, nothing, chosen in zip(*(column.values for column in columns), strict=True):
        plans = [" ".join(f"{value:.3g}" for value in row) for row in np.asarray(chosen).T]
        rows.append([str(position), number(float(cost)), number(float(nothing)), *plans])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    members = steered.attrs["members"]
    told = f"costs as {members} member{'s' if members > 1 else ''} expect them; {steered.attrs['caution']}"
    return "\n".join([*lines, "", told])


def _write_rows(path: Path, steered: xarray.Dataset) -> None:
    """Every trajectory, step and action, with what is to be done."""
    import numpy as np
    import pyarrow as pa

    from jepa_core.io.files import disk_errors
    from jepa_core.results.predictions import write_table

    chosen = steered["chosen"].values
    trajectory, step, action = (places.ravel() for places in np.indices(chosen.shape))
    table = pa.table({
        "subject_id": steered["subject"].values[trajectory],
        "trajectory": steered["trajectory"].values[trajectory],
        "step": steered["step"].values[step],
        "action": pa.array(steered["action"].values.astype(str)[action].tolist(), pa.string()),
        "unit": pa.array(steered["unit"].values.astype(str)[action].tolist(), pa.string()),
        "value": chosen.ravel(),
        "cost": steered["cost"].values[trajectory],
        "cost_of_nothing": steered["cost_of_nothing"].values[trajectory],
    })  # fmt: skip
    with disk_errors(path.parent):
        write_table(table.replace_schema_metadata({"caution": steered.attrs["caution"]}), path)
    print(path)
