"""What is derived from several readings or from the record of treatment: scores, rates, episodes. Each is computed by
the SQL file that its comment names, which holds the rules, their source and our departures.

Names, units, order and display names are those of the published reference (Clin-JEPA, arXiv 2605.10840), whose tables
are those of the MIMIC Code Repository (Johnson et al., JAMIA 2018).
"""

from __future__ import annotations

from jepa_mimic_iv.concepts import MEASURED, Variable


def _state(group: str, unit: str, *named: tuple[int, str, str]) -> tuple[Variable, ...]:
    return tuple(Variable(group, name, label, unit, order) for order, name, label in named)


def _action(group: str, unit: str, *named: tuple[int, str, str], text: bool = False) -> tuple[Variable, ...]:
    return tuple(
        Variable(group, name, label, unit, order, text=text, role="action") for order, name, label in named
    )  # fmt: skip


SOFA = _state(  # sofa.sql
    "sofa",
    "",
    (0, "sofa_24hours", "SOFA total"),
    (1, "respiration_24hours", "SOFA respiration"),
    (2, "coagulation_24hours", "SOFA coagulation"),
    (3, "liver_24hours", "SOFA liver"),
    (4, "cardiovascular_24hours", "SOFA cardiovascular"),
    (5, "cns_24hours", "SOFA CNS"),
    (6, "renal_24hours", "SOFA renal"),
)
URINE_RATES = (  # urine_output_rate.sql
    *_state(
        "urine_output_rate",
        "mL",
        (501, "uo", "Urine output"),
        (502, "urineoutput_6hr", "Urine output 6hr"),
        (503, "urineoutput_12hr", "Urine output 12hr"),
        (504, "urineoutput_24hr", "Urine output 24hr"),
    ),
    *_state(
        "urine_output_rate",
        "mL/kg/hr",
        (505, "uo_mlkghr_6hr", "Urine rate 6hr"),
        (506, "uo_mlkghr_12hr", "Urine rate 12hr"),
        (507, "uo_mlkghr_24hr", "Urine rate 24hr"),
    ),
    *_state("urine_output_rate", "kg", (508, "weight", "Weight")),
)
KDIGO = (  # kdigo_stages.sql
    *_state(
        "kdigo_stages",
        "mg/dL",
        (600, "creat", "Creatinine (KDIGO)"),
        (601, "creat_low_past_7day", "Creatinine low 7d"),
        (602, "creat_low_past_48hr", "Creatinine low 48hr"),
    ),
    *_state("kdigo_stages", "", (603, "aki_stage_creat", "AKI stage (creatinine)")),
    *_state(
        "kdigo_stages",
        "mL/kg/hr",
        (604, "uo_rt_6hr", "Urine rate 6hr (KDIGO)"),
        (605, "uo_rt_12hr", "Urine rate 12hr (KDIGO)"),
        (606, "uo_rt_24hr", "Urine rate 24hr (KDIGO)"),
    ),
    *_state(
        "kdigo_stages",
        "",
        (607, "aki_stage_uo", "AKI stage (urine)"),
        (608, "aki_stage_crrt", "AKI stage (CRRT)"),
        (609, "aki_stage", "AKI stage"),
        (610, "aki_stage_smoothed", "AKI stage (smoothed)"),
    ),
)
SCORES = SOFA + URINE_RATES + KDIGO

_KG_MIN, _EQUIVALENT = "mcg/kg/min", "norepinephrine_equivalent_dose"
VASOACTIVE = (  # vasoactive_agent.sql
    *_action(
        "vasoactive_agent",
        _KG_MIN,
        (700, "norepinephrine", "Norepinephrine"),
        (701, "epinephrine", "Epinephrine"),
        (702, "dopamine", "Dopamine"),
        (703, "dobutamine", "Dobutamine"),
        (704, "phenylephrine", "Phenylephrine"),
    ),
    *_action("vasoactive_agent", "units/hour", (705, "vasopressin", "Vasopressin")),
    *_action("vasoactive_agent", _KG_MIN, (706, "milrinone", "Milrinone")),
)
TREATMENTS = (
    *VASOACTIVE,
    *_action(  # norepinephrine_equivalent_dose.sql
        _EQUIVALENT,
        _KG_MIN,
        (710, _EQUIVALENT, "Norepinephrine equivalent dose"),
    ),
    *_action("ventilation", "", (750, "ventilation_status", "Ventilation status"), text=True),  # ventilation.sql
    *_action("rrt", "", (800, "dialysis_present", "Dialysis present"), (801, "dialysis_active", "Dialysis active")),
    *_action("rrt", "", (802, "dialysis_type", "Dialysis type"), text=True),  # rrt.sql
    *_action(  # crrt.sql
        "crrt",
        "",
        (828, "system_active", "CRRT system active"),
        (829, "clots", "CRRT clots"),
        (830, "clots_increasing", "CRRT clots increasing"),
        (831, "clotted", "CRRT clotted"),
    ),
    *_action("antibiotic", "", (850, "antibiotic", "Antibiotic"), (851, "route", "Antibiotic route"), text=True),
    *_action("neuroblock", _KG_MIN, (900, "drug_rate", "Neuromuscular blocker rate")),  # neuroblock.sql
    *_action("neuroblock", "mg", (901, "drug_amount", "Neuromuscular blocker amount")),
    *(  # treatments.sql
        Variable("mean_rate", drug.name, f"{drug.label}, mean rate", drug.unit, 910, role="action")
        for drug in VASOACTIVE
    ),
    Variable("mean_rate", _EQUIVALENT, "Norepinephrine equivalent dose, mean", _KG_MIN, 911, role="action"),
    Variable("mean_rate", "drug_rate", "Neuromuscular blocker, mean rate", _KG_MIN, 912, role="action"),
    *_action(  # invasive_line.sql
        "invasive_line", "", (950, "line_type", "Invasive line type"), (951, "line_site", "Invasive line site"),
        text=True,
    ),
)  # fmt: skip

VARIABLES: tuple[Variable, ...] = tuple(sorted(MEASURED + SCORES + TREATMENTS, key=lambda variable: variable.order))
"""Every variable of the store that does not depend on the data, in the order in which they are written out."""

VASOACTIVE_ITEMS: dict[int, str] = {
    221906: "norepinephrine",
    221289: "epinephrine",
    229617: "epinephrine",
    221662: "dopamine",
    221653: "dobutamine",
    221749: "phenylephrine",
    229630: "phenylephrine",
    229631: "phenylephrine",
    229632: "phenylephrine",
    222315: "vasopressin",
    221986: "milrinone",
}
"""Items of icu/inputevents. The published queries read one item a drug; those from 229617 on are later names of same
drugs."""

BLOCKER_ITEMS: dict[int, str] = {222062: "vecuronium", 221555: "cisatracurium"}
"""Neuromuscular blockers in icu/inputevents."""

DIALYSIS_ACTIVE_ITEMS = (
    226499, 224154, 225183, 227438, 224191, 225806, 225807, 228004, 228005, 228006, 224144, 224145, 224153, 226457,
)  # fmt: skip
"""Charted items that are filled in while dialysis runs."""

HAEMODIALYSIS_OUTPUT = 226499
"""Charted only for intermittent haemodialysis."""

DIALYSIS_ITEMS = (
    226118, 227357, 225725, 224149, 224150, 224151, 224152, 224404, 224406, 224135, 224139, 224146, 225323, 225740,
    225776, 225954, 225956, 225958, 225976, 225977, 227124, 227290, 227753,
)  # fmt: skip
"""Charted items that are filled in for a patient who is dialysed, whether or not it runs at the time."""

PERITONEAL_ITEMS = (
    225810, 225806, 225807, 227639, 225959, 225951, 225952, 225961, 225953, 225963, 225965, 227638, 227640,
)  # fmt: skip
DIALYSIS_PROCEDURES: dict[int, str | None] = {
    225441: "IHD",
    225802: "CRRT",
    225803: "CVVHD",
    225805: "Peritoneal",
    225809: "CVVHDF",
    225955: "SCUF",
    224270: None,
    225436: None,
}
"""Items of icu/procedureevents and the kind of dialysis; those of no kind are a catheter and a filter change, during
which dialysis is present and not active."""
CRRT_INPUTS = (227536, 227525)
"""Replacement potassium chloride and calcium gluconate in icu/inputevents, which are given through the circuit."""

LINES = (
    227719, 225752, 224269, 224267, 224270, 224272, 226124, 228169, 225202, 228286, 225204, 224263, 224560, 224264,
    225203, 224273, 225789, 225761, 228201, 228202, 224268, 225199, 225315, 225205,
)  # fmt: skip
"""Items of icu/procedureevents that are invasive lines."""

ANTIBIOTICS = (
    "adoxa", "ala-tet", "alodox", "amikacin", "amikin", "amoxicill", "amphotericin", "anidulafungin", "ancef",
    "clavulanate", "ampicillin", "augmentin", "avelox", "avidoxy", "azactam", "azithromycin", "aztreonam", "axetil",
    "bactocill", "bactrim", "bactroban", "bethkis", "biaxin", "cayston", "cefazolin", "cedax", "cefoxitin",
    "ceftazidime", "cefaclor", "cefadroxil", "cefdinir", "cefditoren", "cefepime", "cefotan", "cefotetan",
    "cefotaxime", "ceftaroline", "cefpodoxime", "cefpirome", "cefprozil", "ceftibuten", "ceftin", "ceftriaxone",
    "cefuroxime", "cephalexin", "cephalothin", "cephapririn", "chloramphenicol", "cipro", "claforan",
    "clarithromycin", "cleocin", "clindamycin", "cubicin", "dicloxacillin", "dirithromycin", "doryx", "doxycy",
    "duricef", "dynacin", "ery-tab", "eryped", "eryc", "erythrocin", "erythromycin", "factive", "flagyl", "fortaz",
    "furadantin", "garamycin", "gentamicin", "kanamycin", "keflex", "kefzol", "ketek", "levaquin", "levofloxacin",
    "lincocin", "linezolid", "macrobid", "macrodantin", "maxipime", "mefoxin", "metronidazole", "meropenem",
    "methicillin", "minocin", "minocycline", "monodox", "monurol", "morgidox", "moxatag", "moxifloxacin",
    "mupirocin", "myrac", "nafcillin", "neomycin", "nitrofurantoin", "norfloxacin", "noroxin", "ocudox",
    "ofloxacin", "omnicef", "oracea", "oraxyl", "oxacillin", "panixine", "pediazole", "penicillin", "periostat",
    "pfizerpen", "piperacillin", "tazobactam", "primsol", "proquin", "raniclor", "rifadin", "rifampin", "rocephin",
    "smz-tmp", "septra", "solodyn", "spectracef", "streptomycin", "sulfadiazine", "sulfamethoxazole",
    "trimethoprim", "sulfatrim", "sulfisoxazole", "suprax", "synercid", "tazicef", "tetracycline", "timentin",
    "tobramycin", "unasyn", "vancocin", "vancomycin", "vantin", "vibativ", "vibra-tabs", "vibramycin", "zinacef",
    "zithromax", "zosyn", "zyvox", "bicillin l-a", "pc pen vk", "pce dispertab", "nicazel doxy 30",
)  # fmt: skip
"""Parts of the names of antibiotics in hosp/prescriptions, in lower case."""

NOT_SYSTEMIC_ROUTES = ("OU", "OS", "OD", "AU", "AS", "AD", "TP")
NOT_SYSTEMIC_DRUGS = ("cream", "desensitization", "ophth oint", "gel")
"""Routes and parts of names of what is put on skin, eye or ear, or given to desensitise."""

DEVICE, MODE, HAMILTON_MODE = 226732, 223849, 229314
TRACHEOSTOMY_TUBE, ENDOTRACHEAL_TUBE = "Tracheostomy tube", "Endotracheal tube"
TRACHEOSTOMY_DEVICES = (TRACHEOSTOMY_TUBE, "Trach mask")
MASK_DEVICES = ("Bipap mask", "CPAP mask")
OXYGEN_DEVICES = (
    "Non-rebreather", "Face tent", "Aerosol-cool", "Venti mask", "Medium conc mask", "Ultrasonic neb", "Vapomist",
    "Oxymizer", "High flow neb", "Nasal cannula",
)  # fmt: skip
INVASIVE_MODES = (
    "(S) CMV", "APRV", "APRV/Biphasic+ApnPress", "APRV/Biphasic+ApnVol", "APV (cmv)", "Ambient", "Apnea Ventilation",
    "CMV", "CMV/ASSIST", "CMV/ASSIST/AutoFlow", "CMV/AutoFlow", "CPAP/PPS", "CPAP/PSV", "CPAP/PSV+Apn TCPL",
    "CPAP/PSV+ApnPres", "CPAP/PSV+ApnVol", "MMV", "MMV/AutoFlow", "MMV/PSV", "MMV/PSV/AutoFlow", "P-CMV", "PCV+",
    "PCV+/PSV", "PCV+Assist", "PRES/AC", "PRVC/AC", "PRVC/SIMV", "PSV/SBT", "SIMV", "SIMV/AutoFlow", "SIMV/PRES",
    "SIMV/PSV", "SIMV/PSV/AutoFlow", "SIMV/VOL", "SYNCHRON MASTER", "SYNCHRON SLAVE", "VOL/AC",
)  # fmt: skip
HAMILTON_INVASIVE_MODES = (
    "APRV", "APV (cmv)", "Ambient", "(S) CMV", "P-CMV", "SIMV", "APV (simv)", "P-SIMV", "VS", "ASV",
)  # fmt: skip
HAMILTON_MASK_MODES = ("DuoPaP", "NIV", "NIV-ST")
"""Words of the oxygen delivery device (226732) and of the ventilator modes (223849, 229314)."""
