"""Facts about MIMIC-IV that the generator copies: table columns, item ids, labels, units, reference ranges, drugs.

Columns are those of the CSV files of version 2.2 (the open demo), in their order.
"""

from __future__ import annotations

COLUMNS: dict[str, str] = {
    "hosp/patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
    "hosp/admissions": "subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id"
    " admission_location discharge_location insurance language marital_status race edregtime edouttime"
    " hospital_expire_flag",
    "hosp/labevents": "labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime value"
    " valuenum valueuom ref_range_lower ref_range_upper flag priority comments",
    "hosp/d_labitems": "itemid label fluid category",
    "hosp/prescriptions": "subject_id hadm_id pharmacy_id poe_id poe_seq order_provider_id starttime stoptime drug_type"
    " drug formulary_drug_cd gsn ndc prod_strength form_rx dose_val_rx dose_unit_rx form_val_disp form_unit_disp"
    " doses_per_24_hrs route",
    "hosp/emar": "subject_id hadm_id emar_id emar_seq poe_id pharmacy_id enter_provider_id charttime medication"
    " event_txt scheduletime storetime",
    "hosp/microbiologyevents": "microevent_id subject_id hadm_id micro_specimen_id order_provider_id chartdate"
    " charttime spec_itemid spec_type_desc test_seq storedate storetime test_itemid test_name org_itemid org_name"
    " isolate_num quantity ab_itemid ab_name dilution_text dilution_comparison dilution_value interpretation comments",
    "hosp/diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
    "hosp/d_icd_diagnoses": "icd_code icd_version long_title",
    "icu/icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
    "icu/chartevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valuenum valueuom"
    " warning",
    "icu/d_items": "itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue",
    "icu/inputevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid amount amountuom"
    " rate rateuom orderid linkorderid ordercategoryname secondaryordercategoryname ordercomponenttypedescription"
    " ordercategorydescription patientweight totalamount totalamountuom isopenbag continueinnextdept"
    " statusdescription originalamount originalrate",
    "icu/outputevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valueuom",
    "icu/procedureevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid value valueuom"
    " location locationcategory orderid linkorderid ordercategoryname ordercategorydescription patientweight"
    " isopenbag continueinnextdept statusdescription ORIGINALAMOUNT ORIGINALRATE",
}

VITAL, BREATH, NEUROLOGY, LAB = "Routine Vital Signs", "Respiratory", "Neurological", "Labs"

# itemid: label, abbreviation, category, unit, kind, low normal, high normal
CHART_ITEMS: dict[int, tuple[str, str, str, str | None, str, str | None, str | None]] = {
    220045: ("Heart Rate", "HR", VITAL, "bpm", "Numeric", None, None),
    220048: ("Heart Rhythm", "Heart Rhythm", VITAL, None, "Text", None, None),
    220050: ("Arterial Blood Pressure systolic", "ABPs", VITAL, "mmHg", "Numeric", "90", "140"),
    220051: ("Arterial Blood Pressure diastolic", "ABPd", VITAL, "mmHg", "Numeric", "60", "90"),
    220052: ("Arterial Blood Pressure mean", "ABPm", VITAL, "mmHg", "Numeric", None, None),
    220179: ("Non Invasive Blood Pressure systolic", "NBPs", VITAL, "mmHg", "Numeric", None, None),
    220180: ("Non Invasive Blood Pressure diastolic", "NBPd", VITAL, "mmHg", "Numeric", None, None),
    220181: ("Non Invasive Blood Pressure mean", "NBPm", VITAL, "mmHg", "Numeric", None, None),
    220210: ("Respiratory Rate", "RR", BREATH, "insp/min", "Numeric", None, None),
    220277: ("O2 saturation pulseoxymetry", "SpO2", BREATH, "%", "Numeric", None, None),
    220339: ("PEEP set", "PEEP set", BREATH, "cmH2O", "Numeric", None, None),
    220739: ("GCS - Eye Opening", "Eye Opening", NEUROLOGY, None, "Text", None, None),
    223761: ("Temperature Fahrenheit", "Temperature F", VITAL, "°F", "Numeric", None, None),
    223762: ("Temperature Celsius", "Temperature C", VITAL, "°C", "Numeric", None, None),
    223834: ("O2 Flow", "O2 Flow", BREATH, "L/min", "Numeric", None, None),
    223835: ("Inspired O2 Fraction", "FiO2", BREATH, "None", "Numeric", None, None),
    223849: ("Ventilator Mode", "Ventilator Mode", BREATH, None, "Text", None, None),
    223900: ("GCS - Verbal Response", "Verbal Response", NEUROLOGY, None, "Text", None, None),
    223901: ("GCS - Motor Response", "Motor Response", NEUROLOGY, None, "Text", None, None),
    224639: ("Daily Weight", "Daily Weight", "General", "kg", "Numeric", None, None),
    224684: ("Tidal Volume (set)", "Tidal Volume (set)", BREATH, "mL", "Numeric", "299", "750"),
    224685: ("Tidal Volume (observed)", "Tidal Volume (observed)", BREATH, "mL", "Numeric", "299", "750"),
    224686: ("Tidal Volume (spontaneous)", "Tidal Volume (spontaneous)", BREATH, "mL", "Numeric", "299", "750"),
    224687: ("Minute Volume", "Minute Volume", BREATH, "L/min", "Numeric", None, "12.100000381469727"),
    224688: ("Respiratory Rate (Set)", "Respiratory Rate (Set)", BREATH, "insp/min", "Numeric", None, None),
    224689: (
        "Respiratory Rate (spontaneous)",
        "Respiratory Rate (spontaneous)",
        BREATH,
        "insp/min",
        "Numeric",
        None,
        None,
    ),
    224690: ("Respiratory Rate (Total)", "Respiratory Rate (Total)", BREATH, "insp/min", "Numeric", None, "36"),
    224696: ("Plateau Pressure", "Plateau Pressure", BREATH, "cmH2O", "Numeric", None, "31"),
    225664: ("Glucose finger stick (range 70-100)", "Glucose FS (range 70 -100)", LAB, "None", "Numeric", None, None),
    226512: ("Admission Weight (Kg)", "Admission Weight (Kg)", "General", "kg", "Numeric", None, None),
    226730: ("Height (cm)", "Height (cm)", "General", "cm", "Numeric", None, None),
    226732: ("O2 Delivery Device(s)", "O2 Delivery Device(s)", BREATH, None, "Text", None, None),
    228096: ("Richmond-RAS Scale", "Richmond-RAS Scale", "Pain/Sedation", None, "Text", None, None),
}

EYE = ("None", "To Pain", "To Speech", "Spontaneously")
VERBAL = ("No Response", "Incomprehensible sounds", "Inappropriate Words", "Confused", "Oriented", "No Response-ETT")
MOTOR = ("No response", "Abnormal extension", "Abnormal Flexion", "Flex-withdraws", "Localizes Pain", "Obeys Commands")
AROUSAL = (
    "-5 Unarousable, no response to voice or physical stimulation",
    "-4 Deep sedation, no response to voice, but movement or eye opening to physical stimulation",
    "-3 Moderate sedation, movement or eye opening; No eye contact",
    "-2 Light sedation, briefly awakens to voice (eye opening/contact) < 10 sec",
    "-1 Awakens to voice (eye opening/contact) > 10 sec",
    " 0  Alert and calm",
    "+1 Anxious, apprehensive, but not aggressive",
)
RHYTHM = ("SR (Sinus Rhythm)", "ST (Sinus Tachycardia) ", "SB (Sinus Bradycardia)", "AF (Atrial Fibrillation)")
DEVICE = ("None", "Nasal cannula", "High flow nasal cannula", "Bipap mask ", "Endotracheal tube", "Face tent")
VENTILATOR_MODE = ("CMV/ASSIST/AutoFlow", "CPAP/PSV")
VENTILATOR_MODE_NUMBER = (49.0, 11.0)

# Nursing documentation that carries no physiology here; it gives chartevents its real density.
# itemid: label, abbreviation, category, values from common to rare
ROUTINE_ITEMS: dict[int, tuple[str, str, str, tuple[str, ...]]] = {
    227969: (
        "Safety Measures",
        "Safety Measures",
        "Restraint/Support Systems",
        ("Adequate lighting", "Bed locked in low position", "Call light within reach"),
    ),
    224650: ("Ectopy Type 1", "Ectopy Type 1", VITAL, ("None", "PVC's", "PAC's")),
    227958: (
        "Less Restrictive Measures",
        "Less Restrictive Measures",
        "Restraint/Support Systems",
        ("1:1 Time with patient", "Bed locked in low position", "Adequate lighting"),
    ),
    228928: (
        "Impaired Tissue Perfusion NCP - Interventions",
        "ITP NCP - Interventions",
        "Care Plans",
        (
            "Assess indices of perfusion (e.g. UO, hemodynamics, etc.)",
            "Monitor skin color, warmth, capillary refill",
            "Monitor pulmonary status",
        ),
    ),
    228905: (
        "Altered Respiratory Status NCP - Interventions",
        "ARS NCP - Interventions",
        "Care Plans",
        (
            "HOB > 30 degrees",
            "Assess RR pattern, oxygenation, and auscultation",
            "Oral care every 2-4 hours, remove all debris",
        ),
    ),
    223792: ("Pain Management", "Pain Management", "Pain/Sedation", ("Repositioned", "Emotional Support", "IV Drip")),
    224080: ("Head of Bed", "HOB", "Treatments", ("30 Degrees", "45 Degrees", "90 Degrees")),
    224082: ("Turn", "Turn", "Treatments", ("Side to Side", "Turns by Self", "Back")),
    224086: ("Activity Tolerance", "Activity Tolerance", "Treatments", ("Tolerated Well", "Good", "Fair")),
    224093: ("Position", "Position", "Treatments", ("Right Side", "Supine", "Left Side")),
    228988: (
        "Safety Restraints NCP - Interventions",
        "Safety Restraints NCP - Interventions",
        "Care Plans",
        ("Bed locked in low position",),
    ),
    228868: (
        "Assistance",
        "Assistance",
        "Treatments",
        ("2 Person Assist", "2 Person Assist with Lift", "1 Person Assist"),
    ),
    224642: ("Temperature Site", "Temp Site", VITAL, ("Oral", "Blood", "Axillary")),
    228924: (
        "Impaired Tissue Perfusion NCP - Expected outcomes",
        "ITP NCP - Expected outcomes",
        "Care Plans",
        ("MAP at goal (standard 65)", "Lactate WNL", "HR WNL"),
    ),
    224073: (
        "Education Topic",
        "Education Topic",
        "Restraint/Support Systems",
        ("Plan of Care", "Activity", "ICU Environment"),
    ),
    224087: ("Therapeutic Bed", "Therapeutic Bed", "Treatments", ("AtmosAir Mattress", "KinAir", "First Step Select")),
    223781: ("Pain Present", "Pain Present", "Pain/Sedation", ("No", "Yes")),
    223795: (
        "Pain Assessment Method",
        "Pain Assessment Method",
        "Pain/Sedation",
        ("Patient Verbalized", "Non-verbal Cues", "Grimace Scale"),
    ),
    224089: ("Anti Embolic Device", "Anti Embolic Device", "Treatments", ("Compression sleeve", "None", "Ace wraps ")),
    223986: ("RUL Lung Sounds", "RUL Lung Sounds", "Pulmonary", ("Clear", "Rhonchi", "Diminished")),
    223987: ("RLL Lung Sounds", "RLL Lung Sounds", "Pulmonary", ("Diminished", "Clear", "Rhonchi")),
    223988: ("LUL Lung Sounds", "LUL Lung Sounds", "Pulmonary", ("Clear", "Rhonchi", "Diminished")),
    223989: ("LLL Lung Sounds", "LLL Lung Sounds", "Pulmonary", ("Diminished", "Clear", "Rhonchi")),
    227944: (
        "Side Rails",
        "Side Rails",
        "Restraint/Support Systems",
        ("3 rails up", "2 rails up", "All rails up (Non-restraint)"),
    ),
    225054: ("Anti Embolic Device Status", "Anti Embolic Device Status", "Treatments", ("On ", "Off")),
    224003: ("Abdominal Assessment", "Abdominal Assessment", "GI/GU", ("Soft", "Soft Distended", "Obese")),
    228947: (
        "Infection NCP - Interventions",
        "Infection NCP - Interventions",
        "Care Plans",
        ("Monitor and report VS, labs, etc. of concern", "Practice proper hand hygiene and teach others"),
    ),
    228898: (
        "Impaired Fluid Balance NCP - Interventions",
        "IFB NCP - Interventions",
        "Care Plans",
        (
            "Monitor vital signs and hemodynamic pressures",
            "Assess lung exam, edema, and O2 saturation",
            "Monitoring electrolytes / renal function",
        ),
    ),
    223783: ("Pain Location", "Pain Location", "Pain/Sedation", ("Not Indicated", "Incisional", "Abdominal")),
    224001: ("Diet Type", "Diet Type", "GI/GU", ("NPO", "Tube Feeding", "House - Regular")),
    223907: ("Pupil Size Right", "Pupil Size Right", NEUROLOGY, ("3mm", "2mm", "4mm")),
    224733: ("Pupil Size Left", "Pupil Size Left", NEUROLOGY, ("3mm", "2mm", "4mm")),
    227121: ("Pupil Response Right", "Pupil Response R", NEUROLOGY, ("Brisk ", "Sluggish", "Non-reactive")),
    227288: ("Pupil Response Left", "Pupil Response L", NEUROLOGY, ("Brisk ", "Sluggish", "Non-reactive")),
    223999: ("Oral Cavity", "Oral Cavity", "GI/GU", ("Teeth/Tissue WNL", "Dentures", "Bleeding Gum")),
    224084: ("Activity", "Activity ", "Treatments", ("Bedrest", "Chair", "Commode")),
    224015: ("Urine Source", "Urine Source", "GI/GU", ("Indwelling Urinary Catheter", "Voids", "Anuric")),
    224004: ("Bowel Sounds", "Bowel Sounds", "GI/GU", ("Present", "Hypoactive", "Absent")),
    223784: ("Pain Cause", "Pain Cause", "Pain/Sedation", ("At Rest", "Movement/Turning", "Activity")),
    226168: ("Oral Care", "Oral Care", "Treatments", ("Swab", "VAP Kit", "Toothbrush (No observed alteration)")),
    223934: (
        "Dorsal PedPulse R",
        "Dorsal PedPulse R",
        "Cardiovascular (Pulses)",
        ("Easily Palpable", "Doppler", "Weak Palpable"),
    ),
    223943: (
        "Dorsal PedPulse L",
        "Dorsal PedPulse L",
        "Cardiovascular (Pulses)",
        ("Easily Palpable", "Doppler", "Weak Palpable"),
    ),
    224031: ("Edema Location", "Edema Location", "Skin - Incisions", ("General", "None", "Both Legs")),
    224088: (
        "Pressure Reducing Device",
        "Pressure Reducing Device",
        "Treatments",
        ("None", "Waffle Boots", "Multipodis Boots"),
    ),
    223991: ("Cough Effort", "Cough Effort", "Pulmonary", ("Strong", "Weak", "None")),
    224016: ("Urine Color", "Urine Color", "GI/GU", ("Yellow", "Amber", "Light Yellow")),
    224876: ("Urine Appearance", "Urine Appearance", "GI/GU", ("Clear", "Sediment", "Cloudy")),
    224026: ("Skin Integrity", "Skin Integrity", "Skin - Assessment", ("Intact", "Impaired")),
    224027: ("Skin Temperature", "Skin Temp", "Skin - Assessment", ("Warm", "Cool", "Hot")),
    224028: ("Skin Color", "Skin Color", "Skin - Assessment", ("Normal for Race", "Pale", "Jaundiced")),
    224860: ("Skin Condition", "Skin Condition", "Skin - Assessment", ("Dry ", "Moist", "Diaphoretic")),
    228414: ("Speech", "Speech", NEUROLOGY, ("Normal", "Intubated/trached", "Dysarthric")),
    228397: ("Commands Response", "Commands Response", NEUROLOGY, ("Consistently", "Inconsistently", "None")),
    228298: (
        "Daily Wake Up",
        "Daily Wake Up",
        "Pain/Sedation",
        ("No, not sedated", "No, at goal RASS", "Yes, sedation adjusted or stopped"),
    ),
}

# itemid: label, abbreviation, linksto, category, unit, kind
OTHER_ITEMS: dict[int, tuple[str, str, str, str, str, str]] = {
    220949: ("Dextrose 5%", "Dextrose 5%", "inputevents", "Fluids/Intake", "mL", "Solution"),
    221668: ("Midazolam (Versed)", "Midazolam (Versed)", "inputevents", "Medications", "mg", "Solution"),
    221744: ("Fentanyl", "Fentanyl", "inputevents", "Medications", "mg", "Solution"),
    221794: ("Furosemide (Lasix)", "Furosemide (Lasix)", "inputevents", "Medications", "mg", "Solution"),
    221906: ("Norepinephrine", "Norepinephrine", "inputevents", "Medications", "mg", "Solution"),
    222168: ("Propofol", "Propofol", "inputevents", "Medications", "mg", "Solution"),
    222315: ("Vasopressin", "Vasopressin", "inputevents", "Medications", "units", "Solution"),
    223258: ("Insulin - Regular", "Insulin - Regular", "inputevents", "Medications", "units", "Solution"),
    225158: ("NaCl 0.9%", "NaCl 0.9%", "inputevents", "Fluids/Intake", "mL", "Solution"),
    225166: ("Potassium Chloride", "Potassium Chloride - KCL", "inputevents", "Medications", "mEq", "Solution"),
    225168: ("Packed Red Blood Cells", "PRBC's", "inputevents", "Blood Products/Colloids", "mL", "Solution"),
    225798: ("Vancomycin", "Vancomycin", "inputevents", "Antibiotics", "dose", "Solution"),
    225828: ("LR", "LR", "inputevents", "Fluids/Intake", "mL", "Solution"),
    225893: (
        "Piperacillin/Tazobactam (Zosyn)",
        "Piperacillin/Tazobactam (Zosyn)",
        "inputevents",
        "Antibiotics",
        "dose",
        "Solution",
    ),
    225942: ("Fentanyl (Concentrate)", "Fentanyl (Concentrate)", "inputevents", "Medications", "mg", "Solution"),
    225910: ("Pantoprazole (Protonix)", "Pantoprazole (Protonix)", "inputevents", "Medications", "dose", "Solution"),
    225975: (
        "Heparin Sodium (Prophylaxis)",
        "Heparin Sodium (Prophylaxis)",
        "inputevents",
        "Medications",
        "dose",
        "Solution",
    ),
    226452: ("PO Intake", "PO Intake", "inputevents", "Fluids/Intake", "mL", "Solution"),
    226453: ("GT Flush", "GT Flush", "inputevents", "Fluids/Intake", "mL", "Solution"),
    226559: ("Foley", "Foley", "outputevents", "Output", "mL", "Numeric"),
    226560: ("Void", "Void", "outputevents", "Output", "mL", "Numeric"),
    224263: ("Multi Lumen", "Multi Lumen", "procedureevents", "Access Lines - Invasive", "None", "Processes"),
    224275: ("20 Gauge", "20 Gauge", "procedureevents", "Access Lines - Peripheral", "None", "Processes"),
    224385: ("Intubation", "Intubation", "procedureevents", "1-Intubation/Extubation", "None", "Processes"),
    225459: ("Chest X-Ray", "Chest X-Ray", "procedureevents", "5-Imaging", "None", "Processes"),
    225752: ("Arterial Line", "Arterial Line", "procedureevents", "Access Lines - Invasive", "None", "Processes"),
    225792: ("Invasive Ventilation", "Invasive Ventilation", "procedureevents", "2-Ventilation", "None", "Processes"),
    225794: (
        "Non-invasive Ventilation",
        "Non-invasive Ventilation",
        "procedureevents",
        "2-Ventilation",
        "None",
        "Processes",
    ),
    227194: ("Extubation", "Extubation", "procedureevents", "1-Intubation/Extubation", "None", "Processes"),
    229351: ("Foley Catheter", "Indwelling Urinary Catheter", "procedureevents", "GI/GU", "None", "Processes"),
}

GAS, CHEMISTRY, BLOOD_COUNT = "Blood Gas", "Chemistry", "Hematology"

# itemid: label, category, unit, reference low, reference high
LAB_ITEMS: dict[int, tuple[str, str, str | None, float | None, float | None]] = {
    50802: ("Base Excess", GAS, "mEq/L", None, None),
    50803: ("Calculated Bicarbonate, Whole Blood", GAS, "mEq/L", 21, 30),
    50804: ("Calculated Total CO2", GAS, "mEq/L", 21, 30),
    50808: ("Free Calcium", GAS, "mmol/L", 1.12, 1.32),
    50809: ("Glucose", GAS, "mg/dL", 70, 105),
    50810: ("Hematocrit, Calculated", GAS, "%", None, None),
    50811: ("Hemoglobin", GAS, "g/dL", 12, 18),
    50813: ("Lactate", GAS, "mmol/L", 0.5, 2),
    50816: ("Oxygen", GAS, "%", None, None),
    50817: ("Oxygen Saturation", GAS, "%", None, None),
    50818: ("pCO2", GAS, "mm Hg", 35, 45),
    50820: ("pH", GAS, "units", 7.35, 7.45),
    50821: ("pO2", GAS, "mm Hg", 85, 105),
    50822: ("Potassium, Whole Blood", GAS, "mEq/L", 3.3, 5.1),
    50824: ("Sodium, Whole Blood", GAS, "mEq/L", 133, 145),
    50861: ("Alanine Aminotransferase (ALT)", CHEMISTRY, "IU/L", 0, 40),
    50862: ("Albumin", CHEMISTRY, "g/dL", 3.5, 5.2),
    50863: ("Alkaline Phosphatase", CHEMISTRY, "IU/L", 40, 130),
    50868: ("Anion Gap", CHEMISTRY, "mEq/L", 10, 18),
    50878: ("Asparate Aminotransferase (AST)", CHEMISTRY, "IU/L", 0, 40),
    50882: ("Bicarbonate", CHEMISTRY, "mEq/L", 22, 32),
    50885: ("Bilirubin, Total", CHEMISTRY, "mg/dL", 0, 1.5),
    50893: ("Calcium, Total", CHEMISTRY, "mg/dL", 8.4, 10.3),
    50902: ("Chloride", CHEMISTRY, "mEq/L", 96, 108),
    50910: ("Creatine Kinase (CK)", CHEMISTRY, "IU/L", 47, 322),
    50912: ("Creatinine", CHEMISTRY, "mg/dL", 0.5, 1.2),
    50931: ("Glucose", CHEMISTRY, "mg/dL", 70, 100),
    50954: ("Lactate Dehydrogenase (LD)", CHEMISTRY, "IU/L", 94, 250),
    50960: ("Magnesium", CHEMISTRY, "mg/dL", 1.6, 2.6),
    50970: ("Phosphate", CHEMISTRY, "mg/dL", 2.7, 4.5),
    50971: ("Potassium", CHEMISTRY, "mEq/L", 3.3, 5.1),
    50983: ("Sodium", CHEMISTRY, "mEq/L", 135, 147),
    51003: ("Troponin T", CHEMISTRY, "ng/mL", 0, 0.01),
    51006: ("Urea Nitrogen", CHEMISTRY, "mg/dL", 6, 20),
    51214: ("Fibrinogen, Functional", BLOOD_COUNT, "mg/dL", 180, 400),
    51221: ("Hematocrit", BLOOD_COUNT, "%", 40, 51),
    51222: ("Hemoglobin", BLOOD_COUNT, "g/dL", 13.7, 17.5),
    51237: ("INR(PT)", BLOOD_COUNT, None, 0.9, 1.1),
    51248: ("MCH", BLOOD_COUNT, "pg", 26, 32),
    51249: ("MCHC", BLOOD_COUNT, "g/dL", 32, 37),
    51250: ("MCV", BLOOD_COUNT, "fL", 82, 98),
    51265: ("Platelet Count", BLOOD_COUNT, "K/uL", 150, 400),
    51274: ("PT", BLOOD_COUNT, "sec", 9.4, 12.5),
    51275: ("PTT", BLOOD_COUNT, "sec", 25, 36.5),
    51277: ("RDW", BLOOD_COUNT, "%", 10.5, 15.5),
    51279: ("Red Blood Cells", BLOOD_COUNT, "m/uL", 4.6, 6.1),
    51301: ("White Blood Cells", BLOOD_COUNT, "K/uL", 4, 10),
}

# drug, formulary code, gsn, ndc, strength, dose, unit, displayed amount, displayed unit, doses a day, route
DRUGS: dict[str, tuple[str, str, str, str, str, str, str, str, int, str]] = {
    "Norepinephrine": ("NORE8I", "005133", "0", "8 mg / 250 mL Premix Bag", "8", "mg", "1", "BAG", 1, "IV DRIP"),
    "Vasopressin": ("VASO40", "006247", "0", "40 Units / 100 mL Bag", "40", "UNIT", "1", "BAG", 1, "IV DRIP"),
    "Propofol": ("PROP100IG", "016796", "63323026965", "1000mg/100mL Vial", "1000", "mg", "1", "VIAL", 1, "IV DRIP"),
    "Fentanyl Citrate": (
        "FENT2.550",
        "048287",
        "61553011841",
        "2.5mg / 50 mL Premix Bag",
        "2.5",
        "mg",
        "1",
        "BAG",
        1,
        "IV DRIP",
    ),
    "Midazolam": ("MIDA100PM", "003764", "0", "100mg/100mL Premix Bag", "100", "mg", "1", "BAG", 1, "IV DRIP"),
    "Insulin": ("HUMU100I", "027413", "00002751001", "100 Units / mL - 10 mL Vial", "0", "UNIT", "1", "VIAL", 4, "SC"),
    "Furosemide": ("FURO20I", "008205", "00409610204", "20mg/2mL Vial", "20", "mg", "1", "VIAL", 2, "IV"),
    "Vancomycin": ("VANC1F", "043952", "00338355248", "1g Frozen Bag", "1000", "mg", "1", "BAG", 2, "IV"),
    "Piperacillin-Tazobactam": (
        "ZOSY4FPB",
        "040819",
        "00206886202",
        "4.5 g Frozen Bag",
        "4.5",
        "g",
        "1",
        "BAG",
        3,
        "IV",
    ),
    "Potassium Chloride": ("MICROK10", "001275", "00245004101", "10mEq ER Tablet", "40", "mEq", "2", "TAB", 1, "PO"),
    "Heparin": ("HEPA5I", "006549", "63323026201", "5000 Units / mL- 1mL Vial", "5000", "UNIT", "1", "mL", 3, "SC"),
    "Pantoprazole": ("PANT40", "027462", "00008092355", "40 mg Vial", "40", "mg", "1", "TAB", 1, "PO"),
    "Acetaminophen": ("ACET325", "004489", "51079000220", "325mg Tablet", "650", "mg", "2", "TAB", 3, "PO/NG"),
    "Metoprolol Tartrate": ("METO25", "050631", "51079025520", "25mg Tablet", "12.5", "mg", "1", "TAB", 4, "PO/NG"),
    "Docusate Sodium": ("DOCU100", "003009", "00904224461", "100mg Capsule", "100", "mg", "1", "CAP", 2, "PO/NG"),
    "Senna": ("SENN187", "019964", "00904516561", "8.6 mg Tablet", "8.6", "mg", "1", "TAB", 2, "PO/NG"),
    "Aspirin": ("ASA81", "004380", "00904404073", "81mg Tab", "81", "mg", "1", "TAB", 1, "PO/NG"),
    "Atorvastatin": ("ATOR80", "045772", "00071015892", "80mg Tablet", "80", "mg", "1", "TAB", 1, "PO/NG"),
    "Sodium Chloride 0.9%  Flush": ("NACLFLUSH", "", "0", "10 mL Syringe", "3", "mL", "0.3", "SYR", 3, "IV"),
    "Magnesium Sulfate": ("MAG2PM", "016546", "00409672924", "2 g / 50 mL Premix Bag", "2", "gm", "1", "BAG", 1, "IV"),
}
COMMON_DRUGS = (
    "Heparin",
    "Pantoprazole",
    "Acetaminophen",
    "Metoprolol Tartrate",
    "Docusate Sodium",
    "Senna",
    "Aspirin",
    "Atorvastatin",
    "Sodium Chloride 0.9%  Flush",
    "Magnesium Sulfate",
)

# code, version, title
DIAGNOSES: tuple[tuple[str, int, str], ...] = (
    ("A419", 10, "Sepsis, unspecified organism"),
    ("R6521", 10, "Severe sepsis with septic shock"),
    ("I5023", 10, "Acute on chronic systolic (congestive) heart failure"),
    ("I214", 10, "Non-ST elevation (NSTEMI) myocardial infarction"),
    ("J9601", 10, "Acute respiratory failure with hypoxia"),
    ("J189", 10, "Pneumonia, unspecified organism"),
    ("N179", 10, "Acute kidney failure, unspecified"),
    ("N186", 10, "End stage renal disease"),
    ("I6340", 10, "Cerebral infarction due to embolism of unspecified cerebral artery"),
    ("G9340", 10, "Encephalopathy, unspecified"),
    ("K567", 10, "Ileus, unspecified"),
    ("D62", 10, "Acute posthemorrhagic anemia"),
    ("E119", 10, "Type 2 diabetes mellitus without complications"),
    ("I4891", 10, "Unspecified atrial fibrillation"),
    ("I10", 10, "Essential (primary) hypertension"),
    ("E785", 10, "Hyperlipidemia, unspecified"),
    ("Z87891", 10, "Personal history of nicotine dependence"),
    ("F329", 10, "Major depressive disorder, single episode, unspecified"),
    ("4019", 9, "Unspecified essential hypertension"),
    ("2724", 9, "Other and unspecified hyperlipidemia"),
    (
        "25000",
        9,
        "Diabetes mellitus without mention of complication, type II or unspecified type, not stated as uncontrolled",
    ),
    ("42731", 9, "Atrial fibrillation"),
    ("5849", 9, "Acute kidney failure, unspecified"),
    ("99592", 9, "Severe sepsis"),
)
