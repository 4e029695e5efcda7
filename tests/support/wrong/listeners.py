from __future__ import annotations

import random

import torch

from jepa_core.config import ListenerConfig
from jepa_core.contracts import Listener
from wrong import fails


class HearingConfig(ListenerConfig):
    """Listens."""


class Hearing(Listener):
    def __init__(self, config, run):
        self.run = run


@fails("check_told_of_a_whole_run", "listener", HearingConfig)
class WantsEveryValue(Hearing):
    def evaluation_ended(self, name, findings):
        self.values = [float(headline.value) for headline in findings.headlines]


@fails("check_goes_on_after_a_stop", "listener", HearingConfig)
class BeginsOnce(Hearing):
    def run_started(self):
        (self.run.folder / "mine").mkdir()


@fails("check_changes_nothing", "listener", HearingConfig)
class Meddles(Hearing):
    @torch.no_grad()
    def step_ended(self, progress):
        next(progress.learner.predictor.parameters()).add_(1e-3)


@fails("check_changes_nothing", "listener", HearingConfig)
class Draws(Hearing):
    def logged(self, record):
        self.chance = random.random()


@fails("check_no_prints", "listener", HearingConfig)
class Prints(Hearing):
    def logged(self, record):
        print(record["loss"])
