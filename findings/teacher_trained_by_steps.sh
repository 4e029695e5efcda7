#!/usr/bin/env bash
# stable-pretraining 0.1.8, lightning 2.6.6: with Trainer(max_steps=...), which leaves max_epochs at -1, the teacher of a
# TeacherStudentWrapper stands still in every second epoch. TeacherStudentCallback asks for the coefficient of epoch e of
# max_epochs, cosine(pi * e / -1): that is the first coefficient in even epochs and the last, by default 1, in odd ones. So half
# of the updates do nothing, the other half never slow down, and no warning says so. With as many epochs by max_epochs the
# coefficient climbs as it should. What helps: give the length in epochs. Upstream: no thread was found.
# Seen, by epoch, of 16 steps in 4 epochs: 0.996, 1.0, 0.996, 1.0 with max_steps=16; 0.996, 0.9966, 0.998, 0.9994 with max_epochs=4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 torchvision==0.28.0 numpy==2.3.5 transformers==5.24.0 timm==1.0.31 lightning==2.6.6 stable-pretraining==0.1.8
cd "$folder"
"$folder/env/bin/python" - 2> /dev/null <<'PY'
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # the index has it for CUDA alone; with a CPU build of torch two operators lack their names. None is called here.
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import lightning
import stable_pretraining
from stable_pretraining.backbone.utils import TeacherStudentWrapper
from stable_pretraining.callbacks.teacher_student import TeacherStudentCallback


class Coefficients(lightning.Callback):
    def __init__(self) -> None:
        self.by_epoch: dict[int, float] = {}

    def on_train_batch_end(self, trainer, module, *batch) -> None:
        self.by_epoch[trainer.current_epoch] = round(float(module.backbone.ema_coefficient), 4)


def forward(module, batch, stage) -> dict:
    student, teacher = module.backbone.forward_student(batch["x"]), module.backbone.forward_teacher(batch["x"])
    return {"loss": (student - teacher + 1).pow(2).mean()}


def coefficients(**length) -> list[float]:
    torch.manual_seed(0)
    settings = {"modules": ".*", "optimizer": {"type": "AdamW", "lr": 1e-3}, "scheduler": "ConstantLR", "interval": "step"}
    backbone = TeacherStudentWrapper(torch.nn.Linear(3, 3))
    module = stable_pretraining.Module(backbone=backbone, forward=forward, optim={"main": settings})
    seen = Coefficients()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(callbacks=[TeacherStudentCallback(), seen], accelerator="cpu", **quiet, **length)
    trainer.fit(module, torch.utils.data.DataLoader([{"x": torch.randn(3)} for _ in range(8)], batch_size=2))
    assert trainer.global_step == 16
    return list(seen.by_epoch.values())


by_steps, by_epochs = coefficients(max_steps=16), coefficients(max_epochs=4)
print("by steps:", by_steps, "| by epochs:", by_epochs)
assert by_epochs == sorted(by_epochs) and by_epochs[-1] < 1
assert by_steps == [0.996, 1.0, 0.996, 1.0], "the behaviour has changed"
PY
