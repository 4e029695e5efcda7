"""Charlson index of earlier admissions. Charlson 1987 (weights) and 1994 (age points), codes of Quan et al. 2005."""

from __future__ import annotations

from published.stay import Person

Ranges = tuple[str, ...]
"""Codes without the point, or from-to, both included; a code counts if its first letters lie in one."""

DISEASES: dict[str, tuple[int, Ranges, Ranges]] = {
    "infarct": (1, ("410", "412"), ("I21-I22", "I252")),
    "heart failure": (
        1,
        ("428", "39891", "40201", "40211", "40291", "40401", "40403", "40411", "40413", "40491", "40493", "4254-4259"),
        ("I43", "I50", "I099", "I110", "I130", "I132", "I255", "I420", "I425-I429", "P290"),
    ),
    "vessels": (
        1,
        ("440-441", "0930", "4373", "4471", "5571", "5579", "V434", "4431-4439"),
        ("I70-I71", "I731", "I738-I739", "I771", "I790", "I792", "K551", "K558-K559", "Z958-Z959"),
    ),
    "stroke": (1, ("430-438", "36234"), ("G45-G46", "I60-I69", "H340")),
    "dementia": (1, ("290", "2941", "3312"), ("F00-F03", "G30", "F051", "G311")),
    "lung": (
        1,
        ("490-505", "4168-4169", "5064", "5081", "5088"),
        ("J40-J47", "J60-J67", "I278-I279", "J684", "J701", "J703"),
    ),
    "rheumatic": (
        1,
        ("725", "4465", "7100-7104", "7140-7142", "7148"),
        ("M05-M06", "M32-M34", "M315", "M351", "M353", "M360"),
    ),
    "ulcer": (1, ("531-534",), ("K25-K28",)),
    "liver": (
        1,
        ("570-571", "0706", "0709", "5733-5734", "5738-5739", "V427", "07022-07023", "07032-07033", "07044", "07054"),
        ("B18", "K73-K74", "K700-K703", "K709", "K713-K715", "K717", "K760", "K762-K764", "K768-K769", "Z944"),
    ),
    "severe liver": (
        3,
        ("4560-4562", "5722-5728"),
        ("I850", "I859", "I864", "I982", "K704", "K711", "K721", "K729", "K765-K767"),
    ),
    "diabetes": (
        1,
        ("2500-2503", "2508-2509"),
        tuple(f"E1{kind}{code}" for kind in range(5) for code in "01689"),
    ),
    "diabetes with harm": (2, ("2504-2507",), tuple(f"E1{kind}{code}" for kind in range(5) for code in "23457")),
    "paralysis": (
        2,
        ("342-343", "3341", "3440-3446", "3449"),
        ("G81-G82", "G041", "G114", "G801-G802", "G830-G834", "G839"),
    ),
    "kidney": (
        2,
        ("582", "585-586", "V56", "5880", "V420", "V451", "5830-5837", "40301", "40311", "40391", "40402-40403",
         "40412-40413", "40492-40493"),
        ("N18-N19", "I120", "I131", "N032-N037", "N052-N057", "N250", "Z490-Z492", "Z940", "Z992"),
    ),
    "cancer": (
        2,
        ("140-172", "174-194", "1950-1958", "200-208", "2386"),
        ("C43", "C88", "C00-C26", "C30-C34", "C37-C41", "C45-C58", "C60-C76", "C81-C85", "C90-C97"),
    ),
    "spread cancer": (6, ("196-199",), ("C77-C80",)),
    "aids": (6, ("042-044",), ("B20-B22", "B24")),
}  # fmt: skip
"""Weight, codes of ICD-9, codes of ICD-10."""
WORSE = {"liver": "severe liver", "diabetes": "diabetes with harm", "cancer": "spread cancer"}


def has(code: str, ranges: Ranges) -> bool:
    for span in ranges:
        first, _, last = span.partition("-")
        if first <= code[: len(first)] <= (last or first) and len(code) >= len(first):
            return True
    return False


def charlson(person: Person) -> int | None:
    """None where there was no earlier admission."""
    if person.earlier is None:
        return None
    groups = {
        name
        for name, (_, nine, ten) in DISEASES.items()
        if any(has(code, nine if version == "9" else ten) for version, code in person.earlier)
    }
    milder = {mild for mild, worse in WORSE.items() if worse in groups}
    points = sum(DISEASES[name][0] for name in groups - milder)
    return points + sum(person.age >= bound for bound in (50, 60, 70, 80))
