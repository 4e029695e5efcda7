"""Dialysis, hour by hour. MIMIC Code Repository, concepts/treatment/rrt; an hour has one row, as docs/mimic-iv.md
says."""

from __future__ import annotations

from collections import defaultdict

from published.stay import Stay, hours_of

RUNNING = {226499, 224154, 225183, 227438, 224191, 225806, 225807, 228004, 228005, 228006, 224144, 224145, 224153,
           226457}  # fmt: skip
PRESENT = {226118, 227357, 225725, 225810, 225959, 227639, 224149, 224150, 224151, 224152, 224404, 224406, 224135,
           224139, 224146, 225323, 225740, 225776, 225951, 225952, 225953, 225954, 225956, 225958, 225961, 225963,
           225965, 225976, 225977, 227124, 227290, 227638, 227640, 227753}  # fmt: skip
PERITONEAL = {225810, 225806, 225807, 227639, 225959, 225951, 225952, 225961, 225953, 225963, 225965, 227638,
              227640}  # fmt: skip
CHARTED = RUNNING | PRESENT
PROCEDURES = {225441: "IHD", 225802: "CRRT", 225803: "CVVHD", 225805: "Peritoneal", 225809: "CVVHDF", 225955: "SCUF",
              224270: "", 225436: ""}  # fmt: skip
"""A catheter and the change of a filter are of no kind, and do not mean that it runs."""
CIRCUIT = {227536, 227525}
CONTINUOUS = {"CRRT", "CVVH", "CVVHD", "CVVHDF", "SCUF"}

Signs = dict[int, list[tuple[bool, str]]]


def signs(stay: Stay) -> Signs:
    """By hour: whether a sign says that it runs, and which kind it is of."""
    signs_of: Signs = defaultdict(list)
    for hour, item, _, text in stay.charted:
        if item in CHARTED and hour >= 0 and text:
            running = item in RUNNING or item == 225965 and text == "In use"
            kind = text if item == 227290 else "IHD" if item == 226499 else "Peritoneal" if item in PERITONEAL else ""
            signs_of[hours_of(hour, hour)[0]].append((running, kind))
    for procedure in stay.procedures:
        if procedure.item in PROCEDURES and procedure.counted:
            for step in hours_of(procedure.start, procedure.stop):
                signs_of[step].append((bool(PROCEDURES[procedure.item]), PROCEDURES[procedure.item]))
    for drip in stay.given:
        if drip.item in CIRCUIT and (drip.amount or 0) > 0:
            start = max(drip.began, 0)
            for step in hours_of(start, start if drip.stop is None else drip.stop):
                signs_of[step].append((True, "CRRT"))
    return signs_of


def continuous(stay: Stay) -> set[int]:
    """Hours with a sign of continuous dialysis."""
    hours = {hour for hour, told in signs(stay).items() if any(kind in CONTINUOUS for _, kind in told)}
    for hour, item, value, text in stay.charted:
        if hour >= 0 and (item == 227290 and text or item == 226457 and value is not None and 0 <= value <= 20_000):
            hours.add(hours_of(hour, hour)[0])
    return hours
