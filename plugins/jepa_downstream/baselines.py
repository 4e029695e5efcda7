"""The supervised baselines by the names that a recipe gives them."""

from __future__ import annotations

from jepa_downstream.baseline_tabular import LightGBM, LinearBaseline
from jepa_downstream.event_sequences import EventSequences
from jepa_downstream.methods import Maker
from jepa_downstream.sequence_training import GRUDBaseline, LSTMBaseline, TCNBaseline

BASELINES: dict[str, Maker] = {
    "linear": LinearBaseline,
    "lightgbm": LightGBM,
    "lstm": LSTMBaseline,
    "gru_d": GRUDBaseline,
    "tcn": TCNBaseline,
    "event_sequences": EventSequences,
}
