"""What the laboratory measures on a specimen, given the patient's hidden and slow quantities at the draw."""

from __future__ import annotations

import numpy as np

from .grid import Cells, Chunk
from .physiology import HAEMODYNAMIC, INFLAMMATION, PHENOTYPES, RENAL, Array

HABITS = 8


class Sample:
    """The patients at the moments of the draws; every array `(N,)` unless said otherwise.

    `habitus (8, n)` is standard normal and differs between stays, `ill (N, 5)` holds the positive parts of the latent
    dimensions.
    """

    def __init__(self, rng: np.random.Generator, chunk: Chunk, cells: Cells, habitus: Array) -> None:
        self._rng, self._cells, self._series = rng, cells, chunk.course.series
        self.person = habitus[:, cells.stay]
        self.ill = np.maximum(chunk.course.latent[cells.hour, cells.stay].astype(np.float64), 0)
        self.cardiac = chunk.traits.phenotype[cells.stay] == PHENOTYPES.index("cardiac")

    def at(self, name: str) -> Array:
        return self._cells.of(self._series[name])

    def noise(self, spread: float) -> Array:
        return self._rng.normal(0, spread, len(self._cells))

    def ratio(self, spread: float) -> Array:
        return self._rng.lognormal(0, spread, len(self._cells))

    @property
    def injury(self) -> Array:
        """Factor on the enzymes that leak from tissue."""
        return np.exp(0.45 * np.maximum(self.ill[:, HAEMODYNAMIC] - 0.8, 0) + 0.7 * self.person[2])


def chemistry(s: Sample) -> dict[int, Array]:
    """Electrolytes, kidney function and glucose by item id."""
    sodium, bicarbonate, kidney = s.at("sodium"), s.at("bicarbonate"), s.ill[:, RENAL]
    chloride = sodium - bicarbonate - 11 - 0.8 * s.at("lactate") + s.noise(1.2)
    return {
        50912: s.at("creatinine") * s.ratio(0.04),
        51006: s.at("urea") * s.ratio(0.04),
        50882: bicarbonate + s.noise(1.0),
        50902: chloride,
        50868: sodium - bicarbonate - chloride + 3 + s.noise(0.8),
        50931: s.at("glucose") + s.noise(6),
        50983: sodium + s.noise(1.0),
        50971: s.at("potassium") + s.noise(0.15),
        50960: 2.0 + 0.2 * s.person[5] + 0.08 * kidney + s.noise(0.15),
        50970: 3.4 + 0.5 * s.person[6] + 0.7 * kidney + s.noise(0.4),
        50893: 8.6 + 0.4 * s.person[4] - 0.12 * s.ill[:, INFLAMMATION] + s.noise(0.25),
    }


def blood_count(s: Sample) -> dict[int, Array]:
    """Cells of the blood and the red cell indices by item id."""
    haemoglobin = s.at("haemoglobin")
    per_cell = 30 + 1.8 * s.person[0] + 0.4 * s.person[1]
    return {
        51301: s.at("white_cells") * s.ratio(0.08),
        51222: haemoglobin + s.noise(0.25),
        51221: haemoglobin * 3.05 + s.noise(0.7),
        51265: s.at("platelets") * s.ratio(0.05),
        51279: 10 * haemoglobin / per_cell + s.noise(0.06),
        51248: per_cell + s.noise(0.3),
        51249: 32.7 + 1.1 * s.person[1] + s.noise(0.4),
        51250: 90 + 5 * s.person[0] + s.noise(0.8),
        51277: 15.2 + 1.9 * np.maximum(s.person[7], -1.6) + s.noise(0.2),
    }


def clotting(s: Sample) -> dict[int, Array]:
    """Clotting times and fibrinogen by item id."""
    inflamed = s.ill[:, INFLAMMATION]
    prothrombin = 13 * np.exp(0.08 * inflamed + 0.24 * np.maximum(s.person[3], 0))
    return {
        51237: prothrombin / 11.8 * s.ratio(0.04),
        51274: prothrombin * s.ratio(0.04),
        51275: 33 * np.exp(0.06 * inflamed) * s.ratio(0.18),
        51214: 270 + 60 * inflamed + s.noise(60),
    }


def liver(s: Sample) -> dict[int, Array]:
    """Liver enzymes, bilirubin and albumin by item id."""
    injury = s.injury
    return {
        50861: 26 * injury * s.ratio(0.1),
        50878: 34 * injury * s.ratio(0.1),
        50863: 90 * np.exp(0.3 * s.person[6]) * s.ratio(0.06),
        50885: s.at("bilirubin") * s.ratio(0.06),
        50954: 250 * np.sqrt(injury) * s.ratio(0.1),
        50862: s.at("albumin") + s.noise(0.12),
    }


def heart(s: Sample) -> dict[int, Array]:
    """Markers of injured muscle by item id."""
    strain = 0.8 * np.maximum(s.person[2], 0) + 1.4 * s.cardiac + 0.3 * s.ill[:, RENAL]
    return {51003: 0.012 * np.exp(strain) * s.ratio(0.2), 50910: 120 * s.injury * s.ratio(0.3)}


def blood_gas(s: Sample) -> dict[int, Array]:
    """The blood gas analyser's readings by item id; base excess after Van Slyke, without haemoglobin."""
    bicarbonate, ph, haemoglobin = s.at("bicarbonate"), s.at("ph"), s.at("haemoglobin")
    return {
        50820: ph + s.noise(0.012),
        50821: s.at("pao2") * s.ratio(0.07),
        50818: s.at("paco2") + s.noise(1.5),
        50804: bicarbonate + 1.2 + s.noise(0.8),
        50803: bicarbonate + s.noise(0.8),
        50802: bicarbonate - 24.4 + 14.8 * (ph - 7.4) + s.noise(0.6),
        50813: s.at("lactate") * s.ratio(0.08),
        50816: 100 * s.at("given_fio2"),
        50817: np.clip(s.at("spo2") + s.noise(1.0), 40, 99),
        50808: 1.12 + 0.06 * s.person[4] - 0.02 * s.ill[:, INFLAMMATION] + s.noise(0.03),
        50809: s.at("glucose") + s.noise(6),
        50810: haemoglobin * 3.05 + s.noise(0.9),
        50811: haemoglobin + s.noise(0.3),
        50822: s.at("potassium") + s.noise(0.12),
        50824: s.at("sodium") + s.noise(1.2),
    }
