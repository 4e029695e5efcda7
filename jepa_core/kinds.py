"""The kinds of components, listed once. Imports nothing, so that the command line can name them at once."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["source", "encoder", "predictor", "phase", "objective", "optimizer", "schedule", "evaluator", "listener"]
KINDS: tuple[Kind, ...] = get_args(Kind)
