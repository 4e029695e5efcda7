"""Every column of a MIMIC-IV store, recomputed from its raw rows in plain Python, and how far the two agree.

    python benchmarks/definitions.py STORE [--tables FOLDER] [--stays N] [--json]

STORE is a store that `jepa prepare` made with steps of an hour. The rows are those of the tables that it was built
from, as the store has them written down (synthetic tables are made again), or of --tables. They are read with the csv
module, and the definitions are written anew in benchmarks/published, which shares no SQL and no list with the plugin.
For each column: n cells (a stay and an hour in which either side has something), how many are equal, in how many the
number of values differs, the worst difference. Channels that the data name (drugs, procedures) stand in one row a
group. Exit code 1 if a cell differs, or a column is not recomputed. No identifier is printed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from published.columns import Columns
from published.reading import Frame, read_stays
from published.stay import Entry

from jepa_core.data.store import Store
from jepa_core.data.trajectories import Trajectories
from jepa_mimic_iv.synthetic import write_tables

Cells = dict[tuple[int, int], list[Entry]]
NAMED_BY_DATA = ("inputevents", "prescriptions", "emar", "procedureevents")
TOLERANCE = 2e-4
"""Of the larger value, or absolute: a store holds single precision."""


def main() -> int:
    options = parse_options()
    store = Store(options.store)
    recipe = store.attributes["options"]
    if recipe["step_hours"] != 1:
        sys.exit("this check needs a store with steps of an hour")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.tables or tables_of(store, recipe, Path(scratch))
        kept = store.identifier[: options.stays].tolist()
        frame = read_stays(folder, set(kept), recipe)
    ours, theirs = shown(store, set(kept)), recomputed(frame, recipe["saturation_fallback"])
    agreements = [
        agreement(name, ours.get(name, {}), theirs.get(name, {})) for name in sorted(ours.keys() | theirs.keys())
    ]
    grouped = by_group([row for row in agreements if row["n"]])
    print(json.dumps(grouped) if options.json else table(grouped))
    return 0 if all(row["n"] == row["equal"] for row in grouped) else 1


def tables_of(store: Store, recipe: dict[str, Any], scratch: Path) -> Path:
    """The folder of the tables that a store was built from."""
    if recipe["tables"] == "synthetic":
        write_tables(scratch, recipe["synthetic"]["stays"], recipe["synthetic"]["seed"])
        return scratch
    return Path(recipe["tables"]).expanduser()


def recomputed(frame: Frame, by_saturation: bool) -> dict[str, Cells]:
    """Cells of every column: channels by name, labels and outcomes with `label_` and `outcome_` before it."""
    cells_of: dict[str, Cells] = defaultdict(dict)
    for identifier, stay in frame.stays.items():
        columns = Columns(stay, frame.ends[identifier], by_saturation)
        for name, cell in columns.cells.items():
            cells_of[name] |= {(identifier, hour): entries for hour, entries in cell.items()}
        for name, told in columns.labels().items():
            cells_of[f"label_{name}"] |= {(identifier, hour): [entry(value)] for hour, value in enumerate(told)}
        for name, value in columns.outcomes().items():
            cells_of[f"outcome_{name}"][identifier, 0] = [entry(value)]
        for name, fact in columns.static().items():
            cells_of[name][identifier, 0] = [fact]
    return cells_of


def entry(value: float | None) -> Entry:
    return (math.nan if value is None else value, "")


def shown(store: Store, kept: set[int]) -> dict[str, Cells]:
    """The same as the store has it."""
    cells: dict[str, Cells] = defaultdict(dict)
    names = [channel.name for channel in store.channels]
    for block in store.blocks():
        owner, step = np.repeat(block.identifier, block.steps).tolist(), block.step_numbers().tolist()
        for name, values in block.labels.items():
            places = zip(owner, step, values.tolist(), strict=True)
            cells[f"label_{name}"] |= {(stay, hour): [(value, "")] for stay, hour, value in places if stay in kept}
        stays = block.identifier.tolist()
        for name, values in block.outcomes.items():
            told = zip(stays, values.tolist(), strict=True)
            cells[f"outcome_{name}"] |= {(stay, 0): [(value, "")] for stay, value in told if stay in kept}
        for role in ("static", "state", "action"):
            places = [(stay, 0) for stay in stays] if role == "static" else list(zip(owner, step, strict=True))
            add_events(cells, names, block, role, places, kept)
    return cells


def add_events(
    cells: dict[str, Cells],
    names: list[str],
    block: Trajectories,
    role: str,
    places: list[tuple[int, int]],
    kept: set[int],
) -> None:
    events = block.events(role)
    at = np.repeat(np.arange(len(places)), np.diff(events.offsets)).tolist()
    for moment, channel, value, text in zip(
        at, events.channel.tolist(), events.value.tolist(), events.text.tolist(), strict=True
    ):
        if places[moment][0] in kept:
            said = (value, str(block.texts[text]) if text >= 0 else "")
            cells[names[channel]].setdefault(places[moment], []).append(said)


def agreement(name: str, ours: Cells, theirs: Cells) -> dict[str, Any]:
    """n cells, how many are equal, and the worst difference among those with as many values on both sides."""
    keys = ours.keys() | theirs.keys()
    equal, worst, missing = 0, 0.0, 0
    for key in keys:
        mine, other = (sorted(cells.get(key, []), key=in_order) for cells in (ours, theirs))
        differences = [difference(a, b) for a, b in zip(mine, other, strict=False)]
        missing += len(mine) != len(other)
        worst = max([worst, *differences])
        equal += len(mine) == len(other) and max(differences, default=0) == 0
    return {"column": name, "n": len(keys), "equal": equal, "other_count": missing, "worst": worst}


def in_order(said: Entry) -> tuple[str, bool, float]:
    return said[1], math.isnan(said[0]), 0.0 if math.isnan(said[0]) else said[0]


def difference(one: Entry, other: Entry) -> float:
    if one[1] != other[1] or math.isnan(one[0]) != math.isnan(other[0]):
        return math.inf
    if math.isnan(one[0]):
        return 0.0
    apart = abs(one[0] - other[0])
    return 0.0 if apart <= TOLERANCE * max(1.0, abs(one[0])) else apart


def by_group(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for all channels of a group that the data name."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        group = row["column"].split("/")[0]
        groups[group if group in NAMED_BY_DATA else row["column"]].append(row)
    return [
        {
            "column": f"{name} ({len(rows)} channels)" if name in NAMED_BY_DATA else name,
            "worst": max(r["worst"] for r in rows),
        }
        | {key: sum(row[key] for row in rows) for key in ("n", "equal", "other_count")}
        for name, rows in groups.items()
    ]


def table(found: list[dict[str, Any]]) -> str:
    lines = [f"{'column':<66}{'n':>8}{'equal':>8}{'other count':>13}{'worst':>10}"]
    lines += [
        f"{row['column']:<66}{row['n']:>8}{row['equal']:>8}{row['other_count']:>13}{row['worst']:>10.4g}"
        for row in found
    ]
    wrong = [row for row in found if row["n"] != row["equal"]]
    cells = sum(row["n"] for row in found)
    return "\n".join([*lines, f"{len(found)} columns, {cells} cells; {len(wrong)} columns differ"])


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, help="the store of a prepared recipe of mimic_iv")
    parser.add_argument("--tables", type=Path, help="folder that holds hosp/ and icu/, if it has moved")
    parser.add_argument("--stays", type=int, help="check only so many stays")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
