"""Synthetic MIMIC-IV: tables in the true layout from a hidden physiology whose treatments act.

`write_tables` writes `hosp/*.csv.gz` and `icu/*.csv.gz` with the file names, columns, item ids, labels and units of
MIMIC-IV 2.2, and `truth.parquet`, the hidden severity, which is not part of MIMIC and which no source reads.
The numbers are invented: a model that does well on these tables has learned nothing about patients.

The model, in plain words
-------------------------
A stay has five hidden dimensions x_k (haemodynamic, respiratory, renal, inflammation, neuro), 0 when well and about 3
when failing, with time constants tau = (9, 16, 30, 24, 36) h. Each is an Ornstein-Uhlenbeck process about a moving
target, stepped exactly at one hour, with sudden deteriorations:

    x_k(t+1) = m_k(t) + (x_k(t) - m_k(t)) exp(-1/tau_k) + s_k sqrt(1 - exp(-2/tau_k)) e_k + J_k,
    e_k ~ N(0, 1),  J_k ~ Exp(0.9) with probability 0.022 exp(0.35 frailty) share_k, else 0.

The target starts at the severity of the disease (drawn per stay by phenotype: septic, cardiac, respiratory, renal,
neuro, surgical), fades to a lasting outlook, a fraction of it (more than all of it for the refractory), and is moved by
the other dimensions and by treatment (a+ is max(a, 0)):

    m_k = outlook_k + (illness_k - outlook_k) exp(-t / recovery)   plus
    haemodynamic: 0.40 (inflammation - 0.6)+ - 0.30 preload        (fluids fill)
    respiratory:  0.18 (inflammation - 0.6)+ + 0.16 overload       (fluids flood)
    renal:        0.05 (64 - MAP)+ + 0.15 (haemodynamic - 1)+      (pressors protect)
    inflammation: infected (0.5 - 1.1 antibiotic effect)
    neuro:        0.12 (inflammation - 1)+

Severity is 0.28 h + 0.24 r + 0.14 n + 0.22 i + 0.12 b of the positive parts. Drug effects follow doses with a delay,
d(effect)/dt = (dose - effect) / tau: norepinephrine raises MAP by 36 d / (d + 0.18) mmHg, furosemide raises urine and
lowers overload, insulin lowers glucose, sedatives lower GCS and pressure, oxygen, pressure and the ventilator raise
PaO2 = PF * FiO2 with PF = 500 exp(-0.40 r), and SpO2 follows the dissociation curve. Laboratory values relax to targets
set by the dimensions (lactate 5 h, creatinine 30 h, bilirubin 45 h, ...).

Treatment comes from a policy that sees noisy monitor values and has habits (vigour, preferences) and chance, so that it
is not a function of the state; what is chosen in hour t acts from hour t + 1. Vital signs are charted about hourly with
jitter, gaps, artefacts and extra readings in the sick; other observations on nursing rounds; laboratory draws in the
morning and more often in the sick, stored after a turnaround. Stays end by discharge after a planned log-normal time,
later if still ill, or by death with hourly hazard 0.0005 exp(2.2 (severity - 1.2) + 0.5 frailty); some die on the ward.

Chunks of stays have their own random streams, derived from (seed, chunk number), so memory does not grow with the
number of stays and the same (stays, seed) gives the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from jepa_core.errors import DataError, RecipeError

# Raised whenever the tables of a given (stays, seed) change, so that what was built from older ones is not reused.
VERSION = 2
CHUNK_STAYS = 50

__all__ = ["VERSION", "write_tables"]


def write_tables(
    folder: Path, stays: int, seed: int, progress: Callable[[int], None] | None = None, illness: float = 1.0
) -> None:
    """Writes synthetic MIMIC-IV tables of exactly `stays` ICU stays to the new folder `folder`. illness: a factor of
    what the diseases do; at 1.35 about three times as many die as at 1.

    `truth.parquet` has one row for each hour begun of each stay: stay_id, hour (whole hours since intime) and severity.

    `progress` is called with the number of stays finished so far. Everything is written to a hidden folder beside
    `folder`, which takes the final name as the last act. Raises RecipeError if `stays` is below one and DataError if
    `folder` exists and is not an empty folder.
    """
    if stays < 1:
        raise RecipeError(f"synthetic tables need at least 1 stay, not {stays}; give a larger number of stays")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists already; give a new folder for the synthetic tables, or remove this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _generate(scratch, stays, seed, progress, illness)
        if folder.exists():
            folder.rmdir()
        scratch.chmod(0o755)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _generate(folder: Path, stays: int, seed: int, progress: Callable[[int], None] | None, illness: float) -> None:
    # numpy and pyarrow load here, so that naming this module in a component stays free.
    from .administration import write_dictionaries
    from .generation import TruthWriter, write_chunk
    from .writing import TableWriters

    with TableWriters(folder) as tables, TruthWriter(folder / "truth.parquet") as truth:
        write_dictionaries(tables)
        for number, done in enumerate(range(0, stays, CHUNK_STAYS)):
            count = min(CHUNK_STAYS, stays - done)
            write_chunk(tables, truth, seed, number, CHUNK_STAYS, count, illness)
            if progress is not None:
                progress(done + count)
