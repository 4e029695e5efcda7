"""The small tables that the statements read: items, words and codes, out of the Python that declares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jepa_core.io.workspace import Workspace
from jepa_mimic_iv import concepts, derived
from jepa_mimic_iv.comorbidity import prefix_rows
from jepa_mimic_iv.concepts import Variable
from jepa_mimic_iv.derived import VARIABLES

_MACROS = """
CREATE MACRO hours(later, sooner) AS (epoch(later) - epoch(sooner)) / 3600;
CREATE MACRO as_charted(number) AS round(number, 6);
CREATE MACRO step_of(hour, step_hours) AS floor(as_charted(hour / step_hours))::BIGINT;
CREATE MACRO steps_until(hour, step_hours) AS ceil(as_charted(hour / step_hours))::BIGINT;
CREATE MACRO dead_within(days, death, intime, died, dischtime) AS (
    CASE WHEN death IS NOT NULL THEN (epoch(death) - epoch(intime) <= days * 86400)::INTEGER
        WHEN died = 0 AND dischtime IS NOT NULL THEN 0 END)::FLOAT;
CREATE MACRO tidy(words) AS nullif(trim(regexp_replace(words, '\\s+', ' ', 'g')), '');
"""


def make_definitions(work: Workspace, first: int, given: tuple[str, ...]) -> None:
    """Make the macros and the small tables. first: number of the first variable's channel. given: events of the
    administration record that count."""
    work.execute(_MACROS)
    number = {variable.channel: first + index for index, variable in enumerate(VARIABLES)}
    work.give("measure", _measures(concepts.CHARTED, number))
    work.give("lab_measure", _measures(_plain_labs(), number))
    work.give("gas_measure", _measures(_arterial(), number))
    work.give("percentage", _percentages(number))
    work.give("white_cell", {"item": list(concepts.WHITE_CELLS)})
    work.give(
        "variable",
        {
            "name": list(number),
            "channel": list(number.values()),
            "is_action": [variable.role == "action" for variable in VARIABLES],
            "lasts": [variable.lasts for variable in VARIABLES],
        },
    )
    _give_derivations(work)
    work.give("given_text", {"text": list(given)})
    coma = [concepts.GCS_MOTOR, concepts.GCS_VERBAL, concepts.GCS_EYES]
    dialysis = {*derived.DIALYSIS_ACTIVE_ITEMS, *derived.DIALYSIS_ITEMS, *derived.PERITONEAL_ITEMS}
    _give_charted_items(work, sorted({*_items(concepts.CHARTED), *coma, *dialysis}))
    percentages = [item for items in concepts.PERCENTAGES.values() for item in items]
    labs = {*_items(concepts.LABS + concepts.BLOOD_GAS + concepts.BLOOD_DIFFERENTIAL), *percentages}
    work.give("lab_item", {"item": sorted({*labs, *concepts.WHITE_CELLS, concepts.SPECIMEN_TYPE})})


def _give_charted_items(work: Workspace, items: list[int]) -> None:
    """The items that are read of chartevents, and from how many hours before admission on."""
    lasts = {item.id: variable.lasts for variable in concepts.CHARTED for item in variable.items}
    columns: dict[str, list[Any]] = {
        "item": items,
        "repeats_lab": [item in concepts.LAB_COPIES for item in items],
        "look_back": [max(concepts.LOOK_BACK, lasts.get(item, 0.0)) for item in items],
    }
    work.give("charted_item", columns)


def _give_derivations(work: Workspace) -> None:
    """Tables that the files of the derived scores and episodes name."""
    drips = {"vasoactive": derived.VASOACTIVE_ITEMS, "blocker": derived.BLOCKER_ITEMS}
    work.give_rows(
        "drip_item",
        ("item", "drug", "kind"),
        [(item, drug, kind) for kind, items in drips.items() for item, drug in items.items()],
    )
    work.give("line_item", {"item": list(derived.LINES)})
    kinds = derived.DIALYSIS_PROCEDURES
    work.give("dialysis_procedure", {"item": list(kinds), "kind": list(kinds.values())})
    work.give("dialysis_item", _dialysis_items())
    work.give_rows("respiratory_word", ("item", "word", "status", "rank", "ventilated"), _respiratory_words())
    work.give("local_route", {"route": list(derived.NOT_SYSTEMIC_ROUTES)})
    work.give_rows("comorbidity", ("disease", "weight", "version", "prefix"), prefix_rows())


def _dialysis_items() -> dict[str, list[Any]]:
    items = sorted({*derived.DIALYSIS_ACTIVE_ITEMS, *derived.DIALYSIS_ITEMS, *derived.PERITONEAL_ITEMS})
    kind = {**dict.fromkeys(derived.PERITONEAL_ITEMS, "Peritoneal"), derived.HAEMODIALYSIS_OUTPUT: "IHD"}
    return {
        "item": items,
        "active": [item in derived.DIALYSIS_ACTIVE_ITEMS for item in items],
        "kind": [kind.get(item) for item in items],
    }


def _respiratory_words() -> list[tuple[int, str, str, int, bool | None]]:
    """Item, word, status, its rank, and whether the word says that a ventilator breathes through a tube; a tube by
    itself leaves that open."""
    device, mode, hamilton = derived.DEVICE, derived.MODE, derived.HAMILTON_MODE
    told: tuple[tuple[str, dict[int, Sequence[str]]], ...] = (
        ("Tracheostomy", {device: derived.TRACHEOSTOMY_DEVICES}),
        (
            "InvasiveVent",
            {
                device: (derived.ENDOTRACHEAL_TUBE,),
                mode: derived.INVASIVE_MODES,
                hamilton: derived.HAMILTON_INVASIVE_MODES,
            },
        ),
        ("NonInvasiveVent", {device: derived.MASK_DEVICES, hamilton: derived.HAMILTON_MASK_MODES}),
        ("HFNC", {device: ("High flow nasal cannula",)}),
        ("SupplementalOxygen", {device: derived.OXYGEN_DEVICES}),
        ("None", {device: ("None",)}),
    )
    tubes = (derived.TRACHEOSTOMY_TUBE, derived.ENDOTRACHEAL_TUBE)
    return [
        (item, word, status, rank, None if word in tubes else status == "InvasiveVent")
        for rank, (status, items) in enumerate(told)
        for item, words in items.items()
        for word in words
    ]


def _plain_labs() -> tuple[Variable, ...]:
    lactate = tuple(variable for variable in concepts.BLOOD_GAS if variable.name == "lactate")
    reported = tuple(variable for variable in concepts.BLOOD_DIFFERENTIAL if variable.items)
    return concepts.LABS + reported + lactate


def _arterial() -> tuple[Variable, ...]:
    return tuple(variable for variable in concepts.BLOOD_GAS if variable.name != "lactate")


def _items(variables: tuple[Variable, ...]) -> set[int]:
    return {item.id for variable in variables for item in variable.items}


def _measures(variables: tuple[Variable, ...], number: dict[str, int]) -> dict[str, list[Any]]:
    rows = [(variable, rank, item) for variable in variables for rank, item in enumerate(variable.items)]
    return {
        "item": [item.id for _, _, item in rows],
        "channel": [number[variable.channel] for variable, _, _ in rows],
        "reduction": [variable.reduction for variable, _, _ in rows],
        "rank": [rank for _, rank, _ in rows],
        "low": [item.low for _, _, item in rows],
        "high": [item.high for _, _, item in rows],
        "scale": [item.scale for _, _, item in rows],
        "shift": [item.shift for _, _, item in rows],
        "is_text": [variable.text for variable, _, _ in rows],
        "is_vital": [variable.group == "vitalsign" for variable, _, _ in rows],
    }


def _percentages(number: dict[str, int]) -> dict[str, list[Any]]:
    counts = {variable.name: variable for variable in concepts.BLOOD_DIFFERENTIAL}
    rows = [(counts[name], item) for name, items in concepts.PERCENTAGES.items() for item in items]
    return {"item": [item for _, item in rows], "channel": [number[count.channel] for count, _ in rows]}
