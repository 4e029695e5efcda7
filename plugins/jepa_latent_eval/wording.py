"""Sentences that more than one evaluator says."""

NO_UNTRAINED = "No untrained encoder to compare with: no phase of the curriculum could train a predictor for it."
