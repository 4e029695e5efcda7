"""Cultures of `hosp/microbiologyevents`: screening swabs at admission, and blood cultures around a first antibiotic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from .grid import Chunk
from .physiology import Array
from .population import DAY, HOUR
from .writing import TableWriters, pick, time_text

# specimen: item, name; test: item, name; organism: item, name; share of specimens in which it grows
KINDS = (
    (70051, "MRSA SCREEN", 90201, "MRSA SCREEN", 80293, "POSITIVE FOR METHICILLIN RESISTANT STAPH AUREUS", 0.06),
    (70012, "BLOOD CULTURE", 90199, "Blood Culture, Routine", 80002, "ESCHERICHIA COLI", 0.14),
)
SWAB, BLOOD = 0, 1
DAYS_TO_RESULT = 2
SPECIMENS_PER_CHUNK = 10_000


def write_cultures(rng: np.random.Generator, chunk: Chunk, tables: TableWriters, chunk_number: int) -> None:
    """Draws and writes the cultures of a chunk."""
    stay, kind, time = _drawn(rng, chunk)
    order = np.lexsort((time, stay))
    stay, kind, time = stay[order], kind[order], time[order] - time[order] % 60
    grown = rng.random(len(stay)) < np.array([kind_of[6] for kind_of in KINDS])[kind]
    # Of some specimens only the day is known.
    timed = rng.random(len(stay)) > 0.06
    number = chunk_number * SPECIMENS_PER_CHUNK + 1 + np.arange(len(stay))
    owner = chunk.owner(stay)
    result = time + DAYS_TO_RESULT * DAY
    tables.write(
        "hosp/microbiologyevents",
        {
            "microevent_id": number,
            "subject_id": owner["subject_id"],
            "hadm_id": owner["hadm_id"],
            "micro_specimen_id": number,
            "chartdate": time_text(time - time % DAY),
            "charttime": time_text(np.where(timed, time, -1)),
            "spec_itemid": np.array([kind_of[0] for kind_of in KINDS])[kind],
            "spec_type_desc": pick([kind_of[1] for kind_of in KINDS], kind),
            "test_seq": 1,
            "storedate": time_text(result - result % DAY),
            "storetime": time_text(result),
            "test_itemid": np.array([kind_of[2] for kind_of in KINDS])[kind],
            "test_name": pick([kind_of[3] for kind_of in KINDS], kind),
            "org_itemid": pa.array(np.array([kind_of[4] for kind_of in KINDS])[kind], mask=~grown),
            "org_name": pick([None, *(kind_of[5] for kind_of in KINDS)], np.where(grown, kind + 1, 0)),
        },
    )


def _drawn(rng: np.random.Generator, chunk: Chunk) -> tuple[Array, Array, Array]:
    """Stay, kind and second of every specimen."""
    series, calendar, n = chunk.course.series, chunk.calendar, len(chunk.structure.stay_id)
    screened = np.flatnonzero(rng.random(n) < 0.7)
    given = ((series["given_vancomycin"] > 0) | (series["given_piperacillin"] > 0)) & chunk.course.present
    treated = np.flatnonzero(given.any(axis=0) & (rng.random(n) < 0.85))
    first = calendar.intime[treated] + given[:, treated].argmax(axis=0) * HOUR
    # Most are drawn before the antibiotic, some after it.
    offset = np.where(
        rng.random(len(treated)) < 0.85,
        -rng.integers(0, 5 * HOUR, len(treated)),
        rng.integers(0, 8 * HOUR, len(treated)),
    )
    stay = np.concatenate([screened, treated])
    kind = np.repeat([SWAB, BLOOD], [len(screened), len(treated)])
    swabbed = calendar.intime[screened] + rng.integers(0, 3 * HOUR, len(screened))
    return stay, kind, np.concatenate([swabbed, first + offset])
