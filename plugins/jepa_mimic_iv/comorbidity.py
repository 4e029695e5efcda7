"""Which codes of diagnosis count for the Charlson comorbidity index, and how much.

Codes: Quan et al., Med Care 2005 (doi 10.1097/01.mlr.0000182534.19832.83); weights: Charlson et al. 1987; both as the
MIMIC Code Repository has them in concepts/comorbidity/charlson. A code counts if it begins with one of the prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grade:
    """A disease in one of its grades. icd9, icd10: prefixes of codes, without the point."""

    disease: str
    weight: int
    icd9: tuple[str, ...]
    icd10: tuple[str, ...]


def _codes(written: str) -> tuple[str, ...]:
    """Prefixes, written with blanks between; `I60-I69` stands for all that differ in the trailing digits."""
    codes: list[str] = []
    for word in written.split():
        first, _, last = word.partition("-")
        digits = len(first) if not last else len(first) - len(first.rstrip("0123456789"))
        head = first[: len(first) - digits]
        numbers = range(int(first[len(head) :]), int(last[len(head) :]) + 1) if last else ()
        codes += [f"{head}{number:0{digits}d}" for number in numbers] or [first]
    return tuple(codes)


def _grade(disease: str, weight: int, icd9: str, icd10: str) -> Grade:
    return Grade(disease, weight, _codes(icd9), _codes(icd10))


GRADES: tuple[Grade, ...] = (
    _grade("myocardial infarct", 1, "410 412", "I21 I22 I252"),
    _grade(
        "congestive heart failure", 1,
        "428 39891 40201 40211 40291 40401 40403 40411 40413 40491 40493 4254-4259",
        "I43 I50 I099 I110 I130 I132 I255 I420 I425-I429 P290",
    ),
    _grade(
        "peripheral vascular disease", 1, "440 441 0930 4373 4471 5571 5579 V434 4431-4439",
        "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959",
    ),
    _grade("cerebrovascular disease", 1, "430-438 36234", "G45 G46 I60-I69 H340"),
    _grade("dementia", 1, "290 2941 3312", "F00-F03 G30 F051 G311"),
    _grade(
        "chronic pulmonary disease", 1, "490-505 4168 4169 5064 5081 5088",
        "J40-J47 J60-J67 I278 I279 J684 J701 J703",
    ),
    _grade(
        "rheumatic disease", 1, "725 4465 7100-7104 7140-7142 7148", "M05 M06 M32-M34 M315 M351 M353 M360"
    ),
    _grade("peptic ulcer disease", 1, "531-534", "K25-K28"),
    _grade(
        "liver disease", 1,
        "570 571 0706 0709 5733 5734 5738 5739 V427 07022 07023 07032 07033 07044 07054",
        "B18 K73 K74 K700-K703 K709 K713-K715 K717 K760 K762-K764 K768 K769 Z944",
    ),
    _grade(
        "liver disease", 3, "4560-4562 5722-5728",
        "I850 I859 I864 I982 K704 K711 K721 K729 K765-K767",
    ),
    _grade(
        "diabetes", 1, "2500-2503 2508 2509",
        "E100 E101 E106 E108 E109 E110 E111 E116 E118 E119 E120 E121 E126 E128 E129 E130 E131 E136 E138 E139 "
        "E140 E141 E146 E148 E149",
    ),
    _grade(
        "diabetes", 2, "2504-2507", "E102-E105 E107 E112-E115 E117 E122-E125 E127 E132-E135 E137 E142-E145 E147"
    ),
    _grade(
        "paraplegia", 2, "342 343 3341 3440-3446 3449", "G81 G82 G041 G114 G801 G802 G830-G834 G839"
    ),
    _grade(
        "renal disease", 2,
        "582 585 586 V56 5880 V420 V451 5830-5837 40301 40311 40391 40402 40403 40412 40413 40492 40493",
        "N18 N19 I120 I131 N032-N037 N052-N057 N250 Z490-Z492 Z940 Z992",
    ),
    _grade(
        "cancer", 2, "140-172 174-194 1950-1958 200-208 2386",
        "C43 C88 C00-C26 C30-C34 C37-C41 C45-C49 C50-C58 C60-C76 C81-C85 C90-C97",
    ),
    _grade("cancer", 6, "196-199", "C77-C80"),
    _grade("aids", 6, "042-044", "B20-B22 B24"),
)  # fmt: skip


def prefix_rows() -> list[tuple[str, int, int, str]]:
    """(disease, weight, version of the codes, prefix) of every prefix."""
    return [
        (grade.disease, grade.weight, version, prefix)
        for grade in GRADES
        for version, prefixes in ((9, grade.icd9), (10, grade.icd10))
        for prefix in prefixes
    ]
