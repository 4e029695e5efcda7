"""The words and numbers of a text, from events made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.data.words import plain_number
from jepa_mimic_iv.derived import VARIABLES
from jepa_mimic_iv.render import fragment, is_noise, render_text
from jepa_mimic_iv.templates import REFERENCE, two_decimals

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"), (7.0, "7"), (-3, "-3"), (7.10, "7.1"), (7.349, "7.35"), (1234567, "1234567"), (0.5, "0.5"),
        (0.126, "0.13"), (0.0374, "0.037"), (0.004, "0.004"),
        (0.00012345, "0.00012"), (1e-9, "0.000000001"), (-0.0374, "-0.037"),
        (49.999999, "50"), (0.0999, "0.1"), (0.096, "0.1"), (99.995, "100"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_have_two_decimals_and_never_lose_a_small_dose(value, written):
    assert plain_number(value) == written


@pytest.mark.parametrize(
    ("channel", "value", "text", "written"),
    [
        (Channel("a", "bpm", "vitalsign", "Heart rate", 100), 88.0, None, ". Heart rate: 88 bpm"),
        (Channel("a", "", "coagulation", "INR", 340), 1.25, None, ". INR: 1.25"),
        (Channel("a", "", "rhythm", "Heart rhythm", 111), NAN, "SR", ". Heart rhythm: SR"),
        (Channel("a", "mg", "x", "Thing", 5), 2.0, "high", ". Thing: 2 mg (high)"),
        (Channel("a", "mg", "inputevents", "Drug", 9999), 2.0, "Drug Push", ". Drug: 2 mg Drug Push"),
        (
            Channel("a", "mL/hour", "inputevents/rate", "Drug", 9999),
            5.0,
            "Continuous IV",
            ", rate 5 mL/hour Continuous IV",
        ),
        (Channel("a", "mg", "prescriptions", "Drug", 9999), NAN, "IV", ". Drug: IV"),
        (Channel("a", "", "emar", "Drug", 9999), NAN, "Administered", ". Drug: Administered"),
    ],
)
def test_one_event_in_words(channel, value, text, written):
    assert fragment(channel, value, text) == written


@pytest.mark.parametrize(
    ("group", "label", "noise"),
    [
        ("inputevents", "Piggyback", True), ("inputevents/rate", "Piggyback", True),
        ("inputevents", "Dextrose 5%", False), ("emar", "Piggyback", False),
        ("prescriptions", "SW", True), ("prescriptions", "Heparin FLUSH PICC", True),
        ("prescriptions", "Heparin", False), ("emar", "Sodium Chloride 0.9% Flush", True), ("vitalsign", "Bag", False),
    ],
)  # fmt: skip
def test_noise_is_known_by_table_and_name(group, label, noise):
    assert is_noise(Channel("a", "", group, label)) == noise


CHANNELS = [
    Channel("demographics/age", "years", "demographics", "Age", 0),
    Channel("demographics/gender", "", "demographics", "Gender", 1),
    Channel("demographics/race", "", "demographics", "Race", 2),
    Channel("vitalsign/heart_rate", "bpm", "vitalsign", "Heart rate", 100),
    Channel("chemistry/sodium", "mEq/L", "chemistry", "Sodium", 310),
    Channel("prescriptions/Aspirin [mg]", "mg", "prescriptions", "Aspirin", 9999),
    Channel("emar/Aspirin", "", "emar", "Aspirin", 9999),
]
TEXTS = np.array(["M", "WHITE - RUSSIAN", "PO", "Administered", "x"], dtype=object)


def events(offsets, rows) -> Events:
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    return Events(
        np.array(offsets, dtype=np.int64),
        np.array(columns[0], dtype=np.int32),
        np.array(columns[1], dtype=np.float32),
        np.array(columns[2], dtype=np.int32),
        np.array(columns[3], dtype=np.float32),
    )


def two_stays() -> Trajectories:
    return Trajectories(
        identifier=np.array([1, 2]), subject=np.array([1, 2]), split=np.zeros(2, np.int8),
        steps=np.array([2, 1], np.int32),
        static=events([0, 3, 4], [(0, 62.5, -1, NAN), (1, NAN, 0, NAN), (2, NAN, 1, NAN), (0, 40.0, -1, NAN)]),
        state=events([0, 3, 3, 4], [(4, 141, -1, 0.1), (3, 90, -1, 0.2), (3, 88, -1, 0.9), (3, 90, -1, 0.2)]),
        action=events([0, 2, 3, 4], [(6, NAN, 3, 0.1), (5, 81, 2, 0.2), (5, 81, 2, 1.2), (5, 81, 2, 0.2)]),
        texts=TEXTS,
    )  # fmt: skip


def test_texts_of_hand_made_stays_are_exactly_these():
    rendered = render_text(two_stays(), CHANNELS, 1.0)

    assert rendered.static == [
        "Age: 62 years. Gender: Male. Race: WHITE - RUSSIAN.",
        "Age: 40 years. Gender: Female. Race: UNKNOWN.",
    ]
    assert rendered.state == [
        "t=0h | Heart rate: 90 bpm. Heart rate: 88 bpm. Sodium: 141 mEq/L",
        "t=1h | No observations recorded.",
        "t=0h | Heart rate: 90 bpm",
    ]
    assert rendered.action == [
        "t=0h | Aspirin: Administered. Aspirin: 81 mg PO",
        "t=1h | No active interventions.",
        "t=0h | Aspirin: 81 mg PO",
    ]


def test_steps_of_half_an_hour_are_counted_in_hours():
    assert render_text(two_stays(), CHANNELS, 0.5).state[1] == "t=0.5h | No observations recorded."


def test_nothing_to_render_is_no_text():
    none = events([0], [])
    empty = Trajectories(*(np.zeros(0, np.int64) for _ in range(4)), none, none, none, TEXTS[:0])

    assert render_text(empty, CHANNELS, 1.0) == type(render_text(two_stays(), CHANNELS, 1.0))([], [], [])


def test_a_stay_is_rendered_alike_alone_and_in_company():
    both = two_stays()
    alone = Trajectories(
        both.identifier[1:], both.subject[1:], both.split[1:], both.steps[1:],
        events([0, 1], [(0, 40.0, -1, NAN)]), events([0, 1], [(3, 90, -1, 0.2)]), events([0, 1], [(5, 81, 4, 0.2)]),
        np.array(["a", "b", "c", "d", "PO"], dtype=object),
    )  # fmt: skip

    assert render_text(alone, CHANNELS, 1.0).state == render_text(both, CHANNELS, 1.0).state[2:]
    assert render_text(alone, CHANNELS, 1.0).action == render_text(both, CHANNELS, 1.0).action[2:]


def test_the_reference_rounds_to_two_decimals():
    assert [two_decimals(value) for value in (0.004, 88.0, 7.349, 0.5, -0.001)] == ["0", "88", "7.35", "0.5", "0"]


TOLD = [
    Channel("sofa/sofa_24hours", "", "sofa", "SOFA total", 0),
    Channel("bg/calcium", "mmol/L", "bg", "Calcium (ABG)", 212),
    Channel("chemistry/magnesium", "mg/dL", "chemistry", "Magnesium", 312),
    Channel("urine_output_rate/uo", "mL", "urine_output_rate", "Urine output", 501),
    Channel("vasoactive_agent/norepinephrine", "mcg/kg/min", "vasoactive_agent", "Norepinephrine", 700),
    Channel("ventilator_setting/peep", "cmH2O", "ventilator_setting", "PEEP", 755),
    Channel("ventilator_setting/minute_volume", "L/min", "ventilator_setting", "Minute volume", 763),
    Channel("inputevents/Drug [mg]", "mg", "inputevents", "Drug", 9999),
    Channel("emar/Aspirin", "", "emar", "Aspirin", 9999),
    Channel("invasive_line/line_type", "", "invasive_line", "Invasive line type", 950),
    Channel("demographics/age", "years", "demographics", "Age", 0),
    Channel("demographics/charlson", "points", "demographics", "Charlson", 3),
]


def one_hour() -> Trajectories:
    seen = [(6, 7.5, -1, 0.1), (3, 40, -1, 0.2), (2, 2.1, -1, 0.3), (1, 1.125, -1, 0.4), (0, 5, -1, 0.9)]
    done = [
        (8, NAN, 1, 0.1),
        (8, NAN, 0, 0.2),
        (7, 0.004, -1, 0.3),
        (9, NAN, 2, 0.3),
        (5, 8, -1, 0.4),
        (4, 0.0374, -1, 0.5),
    ]
    return Trajectories(
        identifier=np.array([1]), subject=np.array([1]), split=np.zeros(1, np.int8), steps=np.array([1], np.int32),
        static=events([0, 2], [(10, 70, -1, NAN), (11, 4, -1, NAN)]), state=events([0, 5], seen),
        action=events([0, 6], done), texts=np.array(["Administered", "Started", "Arterial"], dtype=object),
    )  # fmt: skip


def test_an_hour_in_our_words():
    rendered = render_text(one_hour(), TOLD, 1.0)

    assert rendered.state == [
        "t=0h | SOFA total: 5. Calcium (ABG): 1.12 mmol/L. Magnesium: 2.1 mg/dL. Minute volume: 7.5 L/min"
    ]
    assert rendered.action == [
        "t=0h | Norepinephrine: 0.037 mcg/kg/min. PEEP: 8 cmH2O. Aspirin: Started. Aspirin: Administered. "
        "Drug: 0.004 mg"
    ]
    assert rendered.static == [
        "Age: 70 years. Gender: Female. Race: UNKNOWN. Charlson index of earlier admissions: 4."
    ]  # fmt: skip


def test_the_same_hour_in_the_words_of_the_reference():
    rendered = render_text(one_hour(), TOLD, 1.0, REFERENCE)

    assert rendered.state == ["t=0h | SOFA total: 5. Calcium (ABG): 1.12 mg/dL. Urine output: 40 mL"]
    assert rendered.action == [
        "t=0h | Norepinephrine: 0.04 mcg/kg/min. PEEP: 8 cmH2O. Minute volume: 7.5 L/min. Aspirin: Administered. "
        "Drug: 0 mg"
    ]
    assert rendered.static == ["Age: 70 years. Gender: Female. Race: UNKNOWN."]


EVERY_OBSERVATION = (
    "t=0h | SOFA total: 1.5. SOFA respiration: 1.5. SOFA coagulation: 1.5. SOFA liver: 1.5. SOFA cardiovascular: "
    "1.5. SOFA CNS: 1.5. SOFA renal: 1.5. Heart rate: 1.5 bpm. Systolic BP: 1.5 mmHg. Diastolic BP: 1.5 mmHg. "
    "MAP: 1.5 mmHg. Systolic BP (non-invasive): 1.5 mmHg. Diastolic BP (non-invasive): 1.5 mmHg. MAP "
    "(non-invasive): 1.5 mmHg. Respiratory rate: 1.5 breaths/min. Temperature: 1.5 °C. SpO2: 1.5 %. Glucose: 1.5 "
    "mg/dL. Heart rhythm: word. Ectopy type: word. Ectopy frequency: word. O2 flow: 1.5 L/min. O2 flow "
    "(additional): 1.5 L/min. O2 delivery device: word. Height: 1.5 cm. Weight: 1.5 kg. Weight type: word. PaO2: "
    "1.5 mmHg. PaCO2: 1.5 mmHg. pH: 1.5. Lactate: 1.5 mmol/L. SaO2: 1.5 %. FiO2 (ABG): 1.5 %. Base excess: 1.5 "
    "mEq/L. Bicarbonate (ABG): 1.5 mEq/L. Total CO2: 1.5 mEq/L. Hematocrit (ABG): 1.5 %. Hemoglobin (ABG): 1.5 "
    "g/dL. Chloride (ABG): 1.5 mEq/L. Calcium (ABG): 1.5 mg/dL. Potassium (ABG): 1.5 mEq/L. Sodium (ABG): 1.5 "
    "mEq/L. Glucose (ABG): 1.5 mg/dL. A-a gradient: 1.5 mmHg. A-a gradient (calc): 1.5 mmHg. FiO2 (charted): 1.5 "
    "%. PaO2/FiO2 ratio: 1.5. Creatinine: 1.5 mg/dL. BUN: 1.5 mg/dL. Albumin: 1.5 g/dL. Globulin: 1.5 g/dL. Total"
    " protein: 1.5 g/dL. Anion gap: 1.5 mEq/L. Bicarbonate: 1.5 mEq/L. Calcium: 1.5 mg/dL. Chloride: 1.5 mEq/L. "
    "Glucose (chem): 1.5 mg/dL. Sodium: 1.5 mEq/L. Potassium: 1.5 mEq/L. WBC count: 1.5 K/uL. Hemoglobin: 1.5 "
    "g/dL. Hematocrit: 1.5 %. Platelet count: 1.5 K/uL. RBC count: 1.5 M/uL. MCH: 1.5 pg. MCHC: 1.5 g/dL. MCV: "
    "1.5 fL. RDW: 1.5 %. RDW-SD: 1.5 fL. INR: 1.5. PT: 1.5 sec. PTT: 1.5 sec. D-dimer: 1.5 ng/mL. Fibrinogen: 1.5"
    " mg/dL. Thrombin time: 1.5 sec. ALT: 1.5 IU/L. AST: 1.5 IU/L. ALP: 1.5 IU/L. Total bilirubin: 1.5 mg/dL. "
    "Direct bilirubin: 1.5 mg/dL. Indirect bilirubin: 1.5 mg/dL. Amylase: 1.5 IU/L. CK: 1.5 IU/L. CK-MB: 1.5 "
    "ng/mL. GGT: 1.5 IU/L. LDH: 1.5 IU/L. CRP: 1.5 mg/L. Troponin T: 1.5 ng/mL. NT-proBNP: 1.5 pg/mL. WBC (diff):"
    " 1.5 K/uL. Neutrophils: 1.5 K/uL. Lymphocytes: 1.5 K/uL. Monocytes: 1.5 K/uL. Eosinophils: 1.5 K/uL. "
    "Basophils: 1.5 K/uL. Bands: 1.5 %. Immature granulocytes: 1.5 %. NRBC: 1.5 /100 WBC. GCS total: 1.5. GCS "
    "motor: 1.5. GCS verbal: 1.5. GCS eyes: 1.5. GCS unable: 1.5. Urine output: 1.5 mL. Urine output: 1.5 mL. "
    "Urine output 6hr: 1.5 mL. Urine output 12hr: 1.5 mL. Urine output 24hr: 1.5 mL. Urine rate 6hr: 1.5 "
    "mL/kg/hr. Urine rate 12hr: 1.5 mL/kg/hr. Urine rate 24hr: 1.5 mL/kg/hr. Weight: 1.5 kg. Creatinine (KDIGO): "
    "1.5 mg/dL. Creatinine low 7d: 1.5 mg/dL. Creatinine low 48hr: 1.5 mg/dL. AKI stage (creatinine): 1.5. Urine "
    "rate 6hr (KDIGO): 1.5 mL/kg/hr. Urine rate 12hr (KDIGO): 1.5 mL/kg/hr. Urine rate 24hr (KDIGO): 1.5 "
    "mL/kg/hr. AKI stage (urine): 1.5. AKI stage (CRRT): 1.5. AKI stage: 1.5. AKI stage (smoothed): 1.5"
)
EVERY_ACTION = (
    "t=0h | Norepinephrine: 1.5 mcg/kg/min. Epinephrine: 1.5 mcg/kg/min. Dopamine: 1.5 mcg/kg/min. Dobutamine: "
    "1.5 mcg/kg/min. Phenylephrine: 1.5 mcg/kg/min. Vasopressin: 1.5 units/hour. Milrinone: 1.5 mcg/kg/min. "
    "Norepinephrine equivalent dose: 1.5 mcg/kg/min. Ventilation status: word. Ventilator mode: word. Ventilator "
    "mode (Hamilton): word. FiO2: 1.5 %. PEEP: 1.5 cmH2O. Plateau pressure: 1.5 cmH2O. Tidal volume (set): 1.5 "
    "mL. Tidal volume (observed): 1.5 mL. Tidal volume (spontaneous): 1.5 mL. RR (set): 1.5 breaths/min. RR "
    "(total): 1.5 breaths/min. RR (spontaneous): 1.5 breaths/min. Minute volume: 1.5 L/min. Flow rate: 1.5 L/min."
    " Dialysis present: 1.5. Dialysis active: 1.5. Dialysis type: word. CRRT mode: word. CRRT blood flow: 1.5 "
    "mL/min. CRRT dialysate rate: 1.5 mL/hr. CRRT dialysate fluid: word. CRRT access pressure: 1.5 mmHg. CRRT "
    "effluent pressure: 1.5 mmHg. CRRT filter pressure: 1.5 mmHg. CRRT return pressure: 1.5 mmHg. CRRT citrate: "
    "1.5 mL/hr. CRRT current goal: 1.5 mL. CRRT heparin concentration: word. CRRT heparin dose: 1.5 units/hr. "
    "CRRT hourly fluid removal: 1.5 mL. CRRT pre-filter replacement rate: 1.5 mL/hr. CRRT post-filter replacement"
    " rate: 1.5 mL/hr. CRRT replacement fluid: word. CRRT replacement rate: 1.5 mL/hr. CRRT ultrafiltrate output:"
    " 1.5 mL. CRRT system active: 1.5. CRRT clots: 1.5. CRRT clots increasing: 1.5. CRRT clotted: 1.5. "
    "Antibiotic: word. Antibiotic route: word. Neuromuscular blocker rate: 1.5 mcg/kg/min. Neuromuscular blocker "
    "amount: 1.5 mg"
)


def test_an_hour_with_everything_derived_has_the_order_names_and_units_of_the_reference():
    observed, acted = (
        [
            (place, NAN if variable.text else 1.5, 0 if variable.text else -1, 0.5)
            for place, variable in reversed(list(enumerate(VARIABLES)))
            if variable.role == role
        ]
        for role in ("state", "action")
    )
    channels = [Channel(one.channel, one.unit, one.group, one.label, one.order) for one in VARIABLES]
    everything = Trajectories(
        identifier=np.array([1]), subject=np.array([1]), split=np.zeros(1, np.int8), steps=np.array([1], np.int32),
        static=events([0, 1], [(len(channels), 70, -1, NAN)]), state=events([0, len(observed)], observed),
        action=events([0, len(acted)], acted), texts=np.array(["word"], dtype=object),
    )  # fmt: skip

    rendered = render_text(everything, [*channels, Channel("demographics/age")], 1.0, REFERENCE)

    assert rendered.state == [EVERY_OBSERVATION]
    assert rendered.action == [EVERY_ACTION]


def test_a_template_changes_nothing_in_the_trajectories():
    hour = one_hour()
    render_text(hour, TOLD, 1.0, REFERENCE)

    assert np.array_equal(hour.state.channel, one_hour().state.channel)
