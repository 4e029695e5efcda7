"""Drug orders, what was administered, which orders are systemic antibiotics. MIMIC Code Repository,
concepts/medication/antibiotic."""

from __future__ import annotations

import math

from published.stay import Entry, Order, Stay

WORDS = """
adoxa ala-tet alodox amikacin amikin amoxicill amphotericin anidulafungin ancef clavulanate ampicillin augmentin avelox
avidoxy azactam azithromycin aztreonam axetil bactocill bactrim bactroban bethkis biaxin cayston cefazolin cedax
cefoxitin ceftazidime cefaclor cefadroxil cefdinir cefditoren cefepime cefotan cefotetan cefotaxime ceftaroline
cefpodoxime cefpirome cefprozil ceftibuten ceftin ceftriaxone cefuroxime cephalexin cephalothin cephapririn
chloramphenicol cipro claforan clarithromycin cleocin clindamycin cubicin dicloxacillin dirithromycin doryx doxycy
duricef dynacin ery-tab eryped eryc erythrocin erythromycin factive flagyl fortaz furadantin garamycin gentamicin
kanamycin keflex kefzol ketek levaquin levofloxacin lincocin linezolid macrobid macrodantin maxipime mefoxin
metronidazole meropenem methicillin minocin minocycline monodox monurol morgidox moxatag moxifloxacin mupirocin myrac
nafcillin neomycin nitrofurantoin norfloxacin noroxin ocudox ofloxacin omnicef oracea oraxyl oxacillin panixine
pediazole penicillin periostat pfizerpen piperacillin tazobactam primsol proquin raniclor rifadin rifampin rocephin
smz-tmp septra solodyn spectracef streptomycin sulfadiazine sulfamethoxazole trimethoprim sulfatrim sulfisoxazole suprax
synercid tazicef tetracycline timentin tobramycin unasyn vancocin vancomycin vantin vibativ vibra-tabs vibramycin
zinacef zithromax zosyn zyvox
"""
NAMES = (*WORDS.split(), "bicillin l-a", "nicazel doxy 30", "pc pen vk", "pce dispertab")
ON_THE_SURFACE = {"OU", "OS", "OD", "AU", "AS", "AD", "TP"}
NOT_SYSTEMIC = ("cream", "desensitization", "ophth oint", "gel")


def is_antibiotic(order: Order) -> bool:
    """By name and route; an order without a kind or a route is none."""
    name, route = order.drug.lower(), order.route.lower()
    local = order.route in ON_THE_SURFACE or "ear" in route or "eye" in route
    local |= any(word in name for word in NOT_SYSTEMIC)
    return (
        order.kind not in ("BASE", "") and bool(route) and not local and any(local_name in name for local_name in NAMES)
    )


def antibiotics(stay: Stay) -> set[tuple[float, int]]:
    """When systemic antibiotics were ordered: hour and day."""
    return {(order.begins, order.day) for order in stay.orders if is_antibiotic(order)}


def prescribed(order: Order) -> tuple[str, Entry]:
    """Channel of an order and what it says: its dose, or the words of it, and strength and route."""
    try:
        value = float(order.dose.replace(",", "")) if order.dose else None
    except ValueError:
        value = None
    words = [f"{order.dose} {order.unit}" if order.dose and value is None else "", order.strength, order.route]
    unit = f" [{order.unit}]" if order.unit else ""
    shown = value if value is not None and value > 0 else math.nan
    return f"prescriptions/{order.drug}{unit}", (shown, " ".join(" ".join(words).split()))
