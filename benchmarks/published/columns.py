"""Every column of a store, recomputed for one stay: what each hour shows, its labels, the outcomes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from published import charted, labels
from published.bedside import coma_scale, ventilation
from published.comorbidity import charlson
from published.dialysis import signs
from published.drips import blockers, equivalent, vasoactive
from published.infused import done, infused
from published.kidney import kidney_stages, urine, urine_rates
from published.labs import differential, gases, plain_results
from published.orders import is_antibiotic, prescribed
from published.severity import sepsis_onset, sofa
from published.stay import Entry, Stay, hours_of, plain

Cell = dict[int, list[Entry]]
"""What the hours of a stay show of one channel."""
TARGETS: dict[str, tuple[str, ...]] = {
    "hr": ("vitalsign/heart_rate",), "map": ("vitalsign/mbp",), "sbp": ("vitalsign/sbp",), "dbp": ("vitalsign/dbp",),
    "rr": ("vitalsign/resp_rate",), "spo2": ("vitalsign/spo2",), "temperature": ("vitalsign/temperature",),
    "pao2fio2_ratio": ("bg/pao2fio2ratio",), "lactate": ("bg/lactate",), "ph": ("bg/ph",),
    "glucose": ("vitalsign/glucose", "chemistry/glucose", "bg/glucose"), "creatinine": ("chemistry/creatinine",),
    "sodium": ("chemistry/sodium",), "potassium": ("chemistry/potassium",), "magnesium": ("chemistry/magnesium",),
    "bicarbonate": ("chemistry/bicarbonate",), "albumin": ("chemistry/albumin",),
    "hemoglobin": ("complete_blood_count/hemoglobin",), "platelet": ("complete_blood_count/platelet",),
    "wbc": ("complete_blood_count/wbc",), "inr": ("coagulation/inr",), "total_bilirubin": ("enzyme/bilirubin_total",),
    "ast": ("enzyme/ast",), "alt": ("enzyme/alt",), "gcs_total": ("gcs/gcs",), "sofa_total": ("sofa/sofa_24hours",),
}  # fmt: skip
"""Means of an hour; urine is a sum, and not below 0."""


class Columns:
    """What a stay shows. cells: by channel. carried: channels whose hour 0 has a reading from before admission only."""

    def __init__(self, stay: Stay, end: labels.End, by_saturation: bool) -> None:
        self.stay, self.end, self._by_saturation = stay, end, by_saturation
        self.cells: dict[str, Cell] = defaultdict(dict)
        self.before: dict[str, list[Entry]] = defaultdict(list)
        self._score = sofa(stay)
        self._onset = sepsis_onset(stay, self._score["sofa"])
        self._add_observed()
        self._add_scores()
        self._add_treatments()
        self._add_orders()

    def _add(self, channel: str, hour: int, entry: Entry) -> None:
        self.cells[channel].setdefault(hour, []).append(entry)

    def _show(self, channel: str, series: Iterable[tuple[float, float | str]]) -> None:
        """Events at their times; those from before admission in hour 0."""
        for at, told in series:
            entry = (math.nan, told) if isinstance(told, str) else (float(told), "")
            hour = min(max(math.floor(plain(at)), 0), self.stay.steps - 1)
            self._add(channel, hour, entry)
            if at < 0:
                self.before[channel].append(entry)

    def _add_observed(self) -> None:
        stay = self.stay
        for channel, reading in charted.NUMBERS.items():
            self._show(channel, charted.shown(charted.numbers(stay, channel), reading.lasts))
        for channel, (_, lasts) in charted.WORDS.items():
            self._show(channel, charted.shown(charted.words(stay, channel), lasts))
        self._show("weight/weight_type", charted.shown(charted.weight_types(stay), charted.MONTH))
        for name, series in coma_scale(stay).items():
            self._show(f"gcs/{name}", charted.shown(series, charted.DAY))
        for channel, values in merged(plain_results(stay), gases(stay), differential(stay)):
            self._show(channel, charted.shown(values, -1))
        self._show("urine_output/urineoutput", urine(stay))
        alone = [(at, -value) for at, value in urine(stay) if value < 0]
        self._show("urine_output/irrigant_alone", alone)

    def _add_scores(self) -> None:
        for name, values in urine_rates(self.stay).items():
            if name != "hours":
                self._show(f"urine_output_rate/{name}", values)
        for name, values in kidney_stages(self.stay).items():
            self._show(f"kdigo_stages/{name}", charted.shown(values, -1))
        for part, points in self._score.items():
            for hour, value in points.items():
                self._add(f"sofa/{part}_24hours", hour, (float(value), ""))

    def _add_treatments(self) -> None:
        stay = self.stay
        doses = {f"vasoactive_agent/{drug}": spans for drug, spans in vasoactive(stay).items()}
        doses["norepinephrine_equivalent_dose/norepinephrine_equivalent_dose"] = equivalent(stay)
        doses["neuroblock/drug_rate"] = [(bag.began, bag.stop, bag.dose) for bag in blockers(stay)]
        for channel, spans in doses.items():
            self._last(channel, [(start, stop, (rate, "")) for start, stop, rate in spans])
            self._average(f"mean_rate/{channel.split('/')[1]}", spans)
        statuses = [(a, b, (math.nan, status)) for a, b, status, _ in ventilation(stay) if b > 0]
        self._last("ventilation/ventilation_status", statuses)
        amounts: dict[int, float] = defaultdict(float)
        for bag in blockers(stay):
            for hour in hours_of(bag.began, bag.stop) if not math.isnan(bag.weight) else ():
                length = min(bag.stop, hour + 1) - max(bag.began, hour)
                amounts[hour] += bag.dose * bag.weight * 60 / 1000 * length
        for hour, amount in amounts.items():
            self._add("neuroblock/drug_amount", hour, (amount, ""))
        self._add_dialysis()
        for channel, cell in done(stay).items():
            for hour, entries in cell.items():
                self.cells[channel][hour] = list(entries)

    def _add_dialysis(self) -> None:
        for hour, told in signs(self.stay).items():
            self._add("rrt/dialysis_present", hour, (1.0, ""))
            self._add("rrt/dialysis_active", hour, (float(any(runs for runs, _ in told)), ""))
            for kind in {kind for _, kind in told if kind}:
                self._add("rrt/dialysis_type", hour, (math.nan, kind))
        for channel, series in charted.integrity(self.stay).items():
            self._show(channel, series)

    def _last(self, channel: str, spans: Sequence[tuple[float, float, Entry]]) -> None:
        """Each distinct thing once in every hour that it lasts in."""
        for start, stop, entry in spans:
            for hour in hours_of(max(start, 0), stop):
                if entry not in self.cells[channel].get(hour, ()):
                    self._add(channel, hour, entry)

    def _average(self, channel: str, spans: Sequence[tuple[float, float, float]]) -> None:
        """Rates weighted by the time that each ran in the hour."""
        parts: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for start, stop, rate in spans:
            for hour in hours_of(start, stop):
                parts[hour].append((rate, min(stop, hour + 1) - max(start, hour)))
        for hour, channels_of in parts.items():
            length = sum(hours for _, hours in channels_of)
            if length > 0:
                self._add(channel, hour, (sum(rate * hours for rate, hours in channels_of) / length, ""))

    def _add_orders(self) -> None:
        for hour, channel, entry in infused(self.stay):
            self._add(channel, hour, entry)
        distinct: set[tuple[float, str, Entry]] = set()
        for order in self.stay.orders:
            distinct.add((order.hour, *prescribed(order)))
            if is_antibiotic(order):
                self._show("antibiotic/antibiotic", [(order.hour, order.drug)])
                self._show("antibiotic/route", [(order.hour, order.route)])
        distinct |= {(at, f"emar/{drug}", (math.nan, event)) for at, drug, event in self.stay.administered}
        for at, channel, entry in distinct:
            self._add(channel, hours_of(at, at)[0], entry)

    def means(self, *channels: str) -> dict[int, float]:
        """Mean by hour of what some channels show; what is carried counts where hour 0 has nothing of its own."""
        cells_at = {}
        for hour in range(self.stay.steps):
            values = [value for channel in channels for value, _ in self.cells.get(channel, {}).get(hour, ())]
            old = [value for channel in channels for value, _ in self.before.get(channel, ())] if hour == 0 else []
            if len(values) > len(old):
                for value in old:
                    values.remove(value)
            if values:
                cells_at[hour] = sum(values) / len(values)
        return cells_at

    def labels(self) -> dict[str, list[labels.Told]]:
        """The seven event series and the 27 targets, for every hour."""
        stay, hours = self.stay, range(self.stay.steps)
        fraction = self.means("bg/fio2", "ventilator_setting/fio2")
        saturation = self.means("bg/so2") if self._by_saturation else {}
        meld = ("enzyme/bilirubin_total", "coagulation/inr", "chemistry/creatinine")
        events = {
            "circulatory_failure": labels.circulatory(stay),
            "respiratory_failure": labels.respiratory(stay, self.means("bg/po2"), fraction, saturation),
            "kidney_failure": labels.kidney(stay),
            "liver_failure": labels.liver(stay, *map(self.means, meld)),
            "decompensation": labels.decompensation(stay, self.end),
            "hyperglycaemia": labels.hyperglycaemia(stay, self.means(*TARGETS["glucose"])),
            "sepsis": [float(self._onset is not None and hour >= self._onset) for hour in hours],
        }
        targets = {name: self.means(*channels) for name, channels in TARGETS.items()}
        volumes = self.cells["urine_output/urineoutput"]
        targets["urine_output"] = {hour: max(sum(v for v, _ in told), 0.0) for hour, told in volumes.items()}
        columns_of: dict[str, list[labels.Told]] = {f"event_{name}": told for name, told in events.items()}
        return columns_of | {name: [told.get(hour) for hour in hours] for name, told in targets.items()}

    def outcomes(self) -> dict[str, labels.Told]:
        return labels.outcomes(self.end) | {"sepsis": float(self._onset is not None)}

    def static(self) -> dict[str, Entry]:
        person = self.stay.person
        entries: dict[str, Entry] = {"demographics/age": (float(person.age), "")}
        index = charlson(person)
        if index is not None:
            entries["demographics/charlson"] = (float(index), "")
        told = {"gender": person.gender, "race": person.race}
        return entries | {f"demographics/{name}": (math.nan, words) for name, words in told.items() if words}


def merged(*groups: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for group in groups:
        yield from group.items()
