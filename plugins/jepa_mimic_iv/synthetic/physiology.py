"""The hidden state of a synthetic stay, how it moves, and the noise-free signals it gives off.

All arrays hold one value per stay of a chunk, shape `(n,)`, unless said otherwise; time advances by one hour.
The equations are written out in the package's docstring.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

Array = np.ndarray

HAEMODYNAMIC, RESPIRATORY, RENAL, INFLAMMATION, NEURO = range(5)
TIME_CONSTANT = np.array([9.0, 16.0, 30.0, 24.0, 36.0])
SPREAD = np.array([0.45, 0.35, 0.22, 0.35, 0.30])
SEVERITY_WEIGHT = np.array([0.28, 0.24, 0.14, 0.22, 0.12])
SHOCK_PER_HOUR = 0.010

PHENOTYPES = ("septic", "cardiac", "respiratory", "renal", "neuro", "surgical")
PHENOTYPE_SHARE = np.array([0.24, 0.22, 0.17, 0.09, 0.13, 0.15])
PHENOTYPE_ILLNESS = np.array(
    [
        [1.4, 0.8, 0.7, 2.0, 0.5],
        [1.6, 0.8, 0.6, 0.3, 0.2],
        [0.4, 2.0, 0.2, 0.9, 0.4],
        [0.5, 0.5, 2.0, 0.4, 0.5],
        [0.2, 0.5, 0.1, 0.3, 2.2],
        [0.8, 0.7, 0.2, 0.6, 0.4],
    ]
)

INTUBATED = 4


@dataclass(frozen=True)
class Traits:
    """What stays the same through a stay: the patient, the disease and the people who treat it."""

    age: Array
    male: Array
    weight: Array
    height: Array
    phenotype: Array
    infected: Array
    diabetic: Array
    fibrillating: Array
    illness: Array
    outlook: Array
    recovery_hours: Array
    shock_share: Array
    frailty: Array
    map_base: Array
    rate_base: Array
    creatinine_base: Array
    sodium_base: Array
    white_cells_base: Array
    hypercapnia: Array
    bicarbonate_base: Array
    start_hour: Array
    vigour: Array
    prefers_propofol: Array
    prefers_ringer: Array
    prefers_insulin_drip: Array


@dataclass
class State:
    """The hidden state: five latent dimensions `(n, 5)`, drug effects, body stores and slow laboratory values."""

    latent: Array
    preload: Array
    overload: Array
    norepinephrine_effect: Array
    vasopressin_effect: Array
    antibiotic_effect: Array
    sedation: Array
    diuresis: Array
    insulin_effect: Array
    lactate: Array
    creatinine: Array
    urea: Array
    glucose: Array
    potassium: Array
    sodium: Array
    haemoglobin: Array
    platelets: Array
    bilirubin: Array
    albumin: Array
    white_cells: Array
    burden: Array

    def severity(self) -> Array:
        """Weighted sum of the positive parts of the five dimensions; 0 is well, above 2.5 is desperate."""
        return np.maximum(self.latent, 0.0) @ SEVERITY_WEIGHT


@dataclass
class Treatment:
    """What is given during one hour. Rates: norepinephrine and propofol mcg/kg/min, vasopressin and insulin units/h,
    fentanyl mcg/h, midazolam mg/h, maintenance mL/h. Amounts in the hour: boluses and blood mL, drugs in their unit."""

    norepinephrine: Array
    vasopressin: Array
    bolus: Array
    maintenance: Array
    blood: Array
    propofol: Array
    fentanyl: Array
    midazolam: Array
    insulin_drip: Array
    insulin_push: Array
    furosemide: Array
    vancomycin: Array
    piperacillin: Array
    potassium: Array
    support: Array
    fio2: Array
    peep: Array


@dataclass(frozen=True)
class Signals:
    """Noise-free bedside and laboratory quantities, in the units MIMIC-IV charts them in (temperature in Celsius)."""

    map: Array
    heart_rate: Array
    pulse_pressure: Array
    respiratory_rate: Array
    pf_ratio: Array
    pao2: Array
    spo2: Array
    paco2: Array
    bicarbonate: Array
    ph: Array
    temperature: Array
    urine: Array
    eye: Array
    verbal: Array
    motor: Array


@dataclass(frozen=True)
class Noise:
    """One hour's random drive: `normal` and `shock`, both `(n, 5)`, and `bleed`, `(n,)` in g/dL."""

    normal: Array
    shock: Array
    bleed: Array


def draw_traits(rng: np.random.Generator, age: Array, male: Array, start_hour: Array, illness: float = 1.0) -> Traits:
    """Draws patients of the given age and sex, admitted to the unit at the given hour of the day. illness: factor of
    what the diseases do; the share whom treatment hardly helps goes with its sixth power."""
    n = len(age)
    phenotype = rng.choice(len(PHENOTYPES), size=n, p=PHENOTYPE_SHARE)
    scale = rng.lognormal(0.0, 0.50, n)[:, None] * rng.lognormal(0.0, 0.25, (n, 5))
    severity = illness * PHENOTYPE_ILLNESS[phenotype] * scale
    refractory = rng.random(n) < (0.08 + 0.12 * (age > 75)) * illness**6
    height = np.where(male, 176.0, 162.0) + rng.normal(0, 7.5, n)
    chronic_kidney = rng.random(n) < np.where(phenotype == PHENOTYPES.index("renal"), 0.5, 0.12)
    return Traits(
        age=age,
        male=male,
        height=height,
        phenotype=phenotype,
        weight=np.clip(rng.normal(27.5, 5.5, n), 17, 48) * (height / 100) ** 2,
        infected=(rng.random(n) < np.array([0.95, 0.1, 0.6, 0.25, 0.12, 0.25])[phenotype]).astype(float),
        diabetic=(rng.random(n) < 0.3).astype(float),
        fibrillating=(rng.random(n) < 0.04 + 0.18 * (age > 65)).astype(float),
        illness=severity,
        outlook=np.where(refractory[:, None], 1.15, 0.12) * severity,
        recovery_hours=rng.lognormal(np.log(60.0), 0.6, n),
        shock_share=(severity + 0.15) / (severity + 0.15).sum(axis=1, keepdims=True),
        frailty=np.clip((age - 60) / 25, -1, 1.5) + rng.normal(0, 0.5, n),
        map_base=rng.normal(84, 8.5, n),
        rate_base=rng.normal(79, 9, n),
        creatinine_base=np.where(chronic_kidney, rng.uniform(1.5, 3.5, n), rng.uniform(0.6, 1.1, n)),
        sodium_base=rng.normal(138.5, 3.2, n),
        white_cells_base=rng.lognormal(np.log(8.0), 0.25, n),
        hypercapnia=rng.normal(0, 3.5, n) + rng.gamma(1.0, 7.0, n) * (phenotype == PHENOTYPES.index("respiratory")),
        bicarbonate_base=rng.normal(25, 2.6, n),
        start_hour=start_hour,
        vigour=rng.normal(0, 1, n),
        prefers_propofol=rng.random(n) < 0.72,
        prefers_ringer=rng.random(n) < 0.4,
        prefers_insulin_drip=rng.random(n) < 0.3,
    )


def first_state(rng: np.random.Generator, traits: Traits) -> State:
    """The state at the hour of admission: the disease as drawn, no drug effect yet."""
    n = len(traits.age)
    nothing = np.zeros(n)
    latent = traits.illness + SPREAD * rng.normal(0, 1, (n, 5))
    well = np.maximum(latent, 0)
    return State(
        latent=latent,
        preload=nothing,
        overload=np.maximum(rng.normal(0.2, 0.5, n), 0),
        norepinephrine_effect=nothing,
        vasopressin_effect=nothing,
        antibiotic_effect=nothing,
        sedation=nothing,
        diuresis=nothing,
        insulin_effect=nothing,
        lactate=1.2 + 0.8 * np.maximum(well[:, HAEMODYNAMIC] - 0.4, 0) + rng.gamma(1.0, 0.3, n),
        creatinine=traits.creatinine_base * (1 + 0.7 * well[:, RENAL]),
        urea=16 * traits.creatinine_base * (1 + 0.7 * well[:, RENAL]) + rng.gamma(2.0, 3.0, n),
        glucose=115 + 60 * traits.diabetic + rng.gamma(2.0, 15, n),
        potassium=4.1 + 0.3 * well[:, RENAL] + rng.normal(0, 0.3, n),
        sodium=traits.sodium_base + rng.normal(0, 2, n),
        haemoglobin=np.clip(rng.normal(10.8, 1.9, n), 6.5, 17),
        platelets=np.clip(rng.normal(215, 80, n), 15, 700),
        bilirubin=rng.lognormal(np.log(0.7), 0.6, n),
        albumin=np.clip(rng.normal(3.5, 0.5, n), 1.6, 5),
        white_cells=traits.white_cells_base + 3.0 * well[:, INFLAMMATION],
        burden=well @ SEVERITY_WEIGHT,
    )


def no_treatment(n: int) -> Treatment:
    """Nothing given, breathing room air."""
    values = {field.name: np.zeros(n) for field in fields(Treatment)}
    return Treatment(**{**values, "support": np.zeros(n, dtype=np.int64), "fio2": np.full(n, 0.21)})


def draw_noise(rng: np.random.Generator, traits: Traits) -> Noise:
    """Draws one hour's diffusion, sudden deteriorations (in the dimensions the disease favours) and bleeding."""
    n = len(traits.age)
    struck = rng.random((n, 5)) < SHOCK_PER_HOUR * np.exp(0.35 * traits.frailty)[:, None] * 2.2 * traits.shock_share
    return Noise(
        normal=rng.normal(0, 1, (n, 5)),
        shock=struck * rng.exponential(0.9, (n, 5)),
        bleed=(rng.random(n) < 0.002) * rng.exponential(1.5, n),
    )


def signals(state: State, treatment: Treatment, traits: Traits, hour: int) -> Signals:
    """The quantities a perfect instrument would read `hour` hours after admission to the unit."""
    h, r, n, i, b = np.maximum(state.latent, 0.0).T
    pressor = 36 * state.norepinephrine_effect / (state.norepinephrine_effect + 0.18)
    mean = traits.map_base - 11 * h + pressor + 7 * state.vasopressin_effect + 3 * state.preload - 6 * state.sedation
    mean = np.clip(mean, 32, 135)
    clock = 2 * np.pi * (traits.start_hour + hour - 17) / 24
    intubated = treatment.support == INTUBATED
    drive = 16.5 + 2.6 * r + 1.4 * i + 0.8 * np.maximum(state.lactate - 2, 0) - 4 * state.sedation
    breaths = np.clip(np.where(intubated, np.maximum(drive, 14 + 1.2 * r), drive), 6, 46)
    pf_ratio = 500 * np.exp(-0.40 * r) * (1 + 0.02 * np.maximum(treatment.peep - 5, 0)) * (1 + 0.1 * intubated)
    pao2 = np.clip(pf_ratio * treatment.fio2, 32, 460)
    paco2 = np.clip(40 + traits.hypercapnia + 2.6 * r - 0.7 * np.maximum(breaths - 18, 0) - 2 * intubated, 20, 95)
    acids = 1.1 * np.maximum(state.lactate - 1.3, 0) + 1.1 * n
    bicarbonate = np.clip(traits.bicarbonate_base - acids + 0.35 * (paco2 - 40), 5, 42)
    return Signals(
        map=mean,
        heart_rate=np.clip(
            traits.rate_base
            + 6.5 * h
            + 5 * i
            + 2.5 * r
            + 12 * traits.fibrillating
            - 7 * state.sedation
            + 2.2 * np.maximum(9 - state.haemoglobin, 0)
            + 2 * np.cos(clock),
            38,
            185,
        ),
        pulse_pressure=np.clip(0.62 * mean + 0.15 * (traits.age - 60), 18, 95),
        respiratory_rate=breaths,
        pf_ratio=pf_ratio,
        pao2=pao2,
        spo2=100 / (1 + (26.0 / pao2) ** 2.75),
        paco2=paco2,
        bicarbonate=bicarbonate,
        ph=6.1 + np.log10(bicarbonate / (0.0301 * paco2)),
        temperature=36.75 + 0.5 * np.minimum(i, 4) - 0.12 * h + 0.22 * np.cos(clock),
        urine=traits.weight * 1.15 * np.exp(-0.75 * n) / (1 + np.exp((57 - mean) / 6))
        + 150 * state.diuresis * np.exp(-0.4 * n),
        eye=np.clip(4.2 - 0.75 * b - 2.6 * state.sedation, 1, 4),
        verbal=np.where(intubated, 1.0, np.clip(5.2 - 1.1 * b - 3.0 * state.sedation, 1, 5)),
        motor=np.clip(6.3 - 0.95 * b - 3.6 * state.sedation, 1, 6),
    )


def advance(state: State, treatment: Treatment, traits: Traits, hour: int, noise: Noise) -> State:
    """The state one hour later, given what was done during the hour. A pure function of its arguments."""
    seen = signals(state, treatment, traits, hour)
    latent = _advance_latent(state, traits, hour, seen, noise)
    h, _, n, i, _ = np.maximum(latent, 0.0).T
    litres = (treatment.bolus + treatment.maintenance + treatment.blood) / 1000
    sedation = np.minimum(treatment.propofol / 70 + treatment.fentanyl / 450 + treatment.midazolam / 9, 1.0)
    antibiotic = 0.5 * treatment.vancomycin + 0.5 * treatment.piperacillin
    insulin = treatment.insulin_drip + treatment.insulin_push
    creatinine = traits.creatinine_base * (1 + 0.95 * n)
    ischaemia = 1.1 * np.maximum(h - 0.5, 0) + 0.07 * np.maximum(62 - seen.map, 0)
    return State(
        latent=latent,
        preload=_relax(state.preload, 0, 5) + 0.9 * litres,
        overload=np.maximum(_relax(state.overload, 0, 90) + 0.6 * litres - (seen.urine - 55) / 1000, 0),
        norepinephrine_effect=_relax(state.norepinephrine_effect, treatment.norepinephrine, 0.6),
        vasopressin_effect=_relax(state.vasopressin_effect, treatment.vasopressin / 2.4, 1.0),
        antibiotic_effect=np.minimum(_relax(state.antibiotic_effect, 0, 16) + 0.6 * antibiotic, 1.3),
        sedation=_relax(state.sedation, sedation, 1.2),
        diuresis=_relax(state.diuresis, 0, 2.5) + treatment.furosemide / 40,
        insulin_effect=_relax(state.insulin_effect, 0, 1.5) + insulin,
        lactate=_relax(state.lactate, 1.1 + ischaemia, 5),
        creatinine=_relax(state.creatinine, creatinine, 30),
        urea=_relax(state.urea, 17 * creatinine + 3 * i, 45),
        glucose=np.maximum(
            _relax(state.glucose, 118 + 95 * traits.diabetic + 14 * h + 10 * i, 9)
            - 5.5 * state.insulin_effect
            + 8 * noise.normal[:, 0],
            38,
        ),
        potassium=np.clip(
            _relax(state.potassium, 3.98 + 0.4 * n - 0.35 * state.diuresis, 12)
            + 0.007 * treatment.potassium
            + 0.09 * noise.normal[:, 1],
            2.2,
            7.5,
        ),
        sodium=_relax(state.sodium, traits.sodium_base, 40) + 0.3 * noise.normal[:, 2] + 0.25 * litres,
        haemoglobin=np.clip(
            _relax(state.haemoglobin, 9.6, 160) - noise.bleed - 0.12 * litres + 0.0033 * treatment.blood, 3.5, 18
        ),
        platelets=np.clip(_relax(state.platelets, 225 - 38 * i - 18 * h, 55) + 2.0 * noise.normal[:, 3], 6, 900),
        bilirubin=_relax(state.bilirubin, 0.7 + 0.9 * np.maximum(h - 1.2, 0) + 0.35 * i, 45),
        albumin=_relax(state.albumin, 3.7 - 0.4 * i, 90),
        white_cells=np.maximum(_relax(state.white_cells, traits.white_cells_base + 3.2 * i, 9), 0.2),
        burden=_relax(state.burden, np.maximum(latent, 0) @ SEVERITY_WEIGHT, 48),
    )


def _advance_latent(state: State, traits: Traits, hour: int, seen: Signals, noise: Noise) -> Array:
    """Exact one-hour step of an Ornstein-Uhlenbeck process about a moving target, plus shocks; `(n, 5)`."""
    h, _, _, i, _ = np.maximum(state.latent, 0.0).T
    fading = np.exp(-hour / traits.recovery_hours)[:, None]
    target = traits.outlook + (traits.illness - traits.outlook) * fading
    target[:, HAEMODYNAMIC] += 0.40 * np.maximum(i - 0.6, 0) - 0.30 * np.minimum(state.preload, 2)
    target[:, RESPIRATORY] += 0.18 * np.maximum(i - 0.6, 0) + 0.16 * np.minimum(state.overload, 6)
    target[:, RENAL] += 0.05 * np.maximum(64 - seen.map, 0) + 0.15 * np.maximum(h - 1, 0)
    target[:, INFLAMMATION] += traits.infected * (0.5 - 1.1 * np.minimum(state.antibiotic_effect, 1))
    target[:, NEURO] += 0.12 * np.maximum(i - 1, 0)
    keep = np.exp(-1 / TIME_CONSTANT)
    step = target + (state.latent - target) * keep + SPREAD * np.sqrt(1 - keep**2) * noise.normal + noise.shock
    return np.clip(step, -1.5, 6.0)


def _relax(value: Array, target: Array | float, hours: float) -> Array:
    return target + (value - target) * np.exp(-1 / hours)
