"""The main job, as a user starts it: `jepa run clin_jepa`, small, on synthetic and on real tables."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

from commands import command, environment
from jepa_core.data.store import Store
from jepa_core.data.trajectories import SPLITS
from warm import WarmProcess

SMALL = (
    "source.synthetic.stays=40",
    "encoder.random.hidden_size=32",
    "encoder.random.heads=2",
    "encoder.random.kv_heads=1",
    "encoder.random.intermediate_size=64",
    "predictor.width=32",
    "predictor.heads=2",
    "predictor.feedforward=64",
    "curriculum.predictor_warmup.steps=2",
    "curriculum.joint_refinement.steps=3",
    "curriculum.ema_alignment.steps=1",
    "curriculum.predictor_finalization.steps=3",
    *(
        f"curriculum.{phase}.batch_size=2"
        for phase in ("predictor_warmup", "joint_refinement", "ema_alignment", "predictor_finalization")
    ),
    "evaluators.rollout_drift.contexts=[6, 12]",
    "evaluators.rollout_drift.horizon=12",
    "evaluators.rollout_drift.bootstrap=100",
    "evaluators.latent_collapse.bootstrap=100",
    "evaluators.latent_displacement.bootstrap=100",
    "evaluators.decoded_forecast.bootstrap=100",
    "evaluators.decoded_forecast.context=6",
    "evaluators.risk_tasks.bootstrap=100",
    "evaluators.risk_tasks.baselines=[linear]",
    "evaluators.risk_tasks.decoded_components=16",
    "evaluators.early_events=null",
)
FEWER = "evaluators.risk_tasks.methods=[latents, untrained_latents, train_mean]"
"""Of what is scored, where the data or the weights are other ones and the scores matter no more."""
PHASES = ["predictor_warmup", "joint_refinement", "ema_alignment", "hard_sync", "predictor_finalization"]
WRITTEN = ("*.json", "*.jsonl", "*.html", "*.yaml", "*.csv")
LIBRARIES = ("transformers.models.qwen3.modeling_qwen3", "peft", "sklearn.linear_model", "lightgbm", "tokenizers")
"""What the flagship imports besides what every run does."""

Jepa = Callable[..., subprocess.CompletedProcess[str]]


def inherited(*packages: Path) -> dict[str, str]:
    return {name: value for name, value in environment(*packages).items() if name not in ("MIMIC_IV", "QWEN3")}


@pytest.fixture(scope="module")
def jepa() -> Iterator[Jepa]:
    """Run the command in a process of its own, which has its libraries imported, in a folder."""
    with WarmProcess(LIBRARIES) as process:
        yield lambda *arguments, folder, **variables: process.run([*arguments], inherited() | variables, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jepa: Jepa) -> Path:
    """Two runs of the flagship with one seed; the second in a process from nothing, with every socket refused."""
    folder = tmp_path_factory.mktemp("flagship")
    (folder / "blocked").mkdir()
    (folder / "blocked" / "sitecustomize.py").write_text(
        "import socket\ndef refuse(*a, **k):\n    raise OSError('the network was used')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
    )
    first = jepa("run", "clin_jepa", *SMALL, "--out", "runs/first", folder=folder)
    assert first.returncode == 0, first.stderr
    (folder / "first.log").write_text(first.stdout + first.stderr)
    asked = command("run", "clin_jepa", *SMALL, "--out", "runs/second")
    second = subprocess.run(asked, env=inherited(folder / "blocked"), cwd=folder, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    return folder


def test_the_flagship_ends_in_a_report_with_every_phase_and_control(folder: Path) -> None:
    run = folder / "runs" / "first"
    report = (run / "report.html").read_text()
    for phase in PHASES:
        assert phase.replace("_", " ") in report.lower()
    for control in ("persistence", "mean latent", "shuffled actions", "untrained"):
        assert control in report
    attrition = json.loads((run / "data.json").read_text())["attrition"]
    assert attrition[0]["trajectories"] == 40 > attrition[-1]["trajectories"]
    logged = [json.loads(line)["phase"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(logged)) == [phase for phase in PHASES if phase != "hard_sync"]


def test_two_runs_with_one_seed_find_the_same_byte_for_byte_with_sockets_blocked(folder: Path) -> None:
    first, second = (
        {path.name: path.read_bytes() for path in (folder / "runs" / one / "findings").iterdir()}
        for one in ("first", "second")
    )
    assert first == second and len(first) > 2


def test_the_split_is_by_subject_as_the_recipe_says(folder: Path) -> None:
    (path,) = (one for one in (folder / "runs" / "stores").iterdir() if (one / "zarr.json").is_file())
    store = Store(path)
    subjects = {name: set(store.subject[store.split == number]) for number, name in enumerate(SPLITS)}
    assert (
        not subjects["train"] & (subjects["tuning"] | subjects["held_out"])
        and not subjects["tuning"] & subjects["held_out"]
    )
    shares = np.array([len(subjects[name]) for name in SPLITS]) / len(np.unique(store.subject))
    assert np.allclose(shares, (0.55, 0.10, 0.35), atol=0.05)


def leaked(folder: Path, run: Path, log: str) -> set[str]:
    """Identifiers of the store that stand in anything a run shows or writes besides the store."""
    (path,) = (one for one in (folder / "runs" / "stores").iterdir() if (one / "zarr.json").is_file())
    store = Store(path)
    identifiers = {str(value) for value in np.concatenate([store.identifier, store.subject])}
    written = log + "".join(path.read_text() for pattern in WRITTEN for path in run.rglob(pattern))
    return identifiers & set(re.findall(r"(?<![\d.])\d+(?!\d)", written))  # decimals hold any eight digits by chance


def test_no_identifier_reaches_a_log_a_report_or_a_finding(folder: Path) -> None:
    assert leaked(folder, folder / "runs" / "first", (folder / "first.log").read_text()) == set()


def test_no_text_of_a_record_reaches_a_log_a_report_or_a_finding(folder: Path) -> None:
    run = folder / "runs" / "first"
    written = (folder / "first.log").read_text() + "".join(
        path.read_text() for pattern in WRITTEN for path in run.rglob(pattern) if path.name != "fitted.json"
    )
    assert "Heart rate:" not in written and "h | " not in written


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as one of Qwen3 is distributed: config, bf16 weights with a head, tokenizer; only far smaller."""
    folder = tmp_path_factory.mktemp("Qwen3-small")
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64,
    }  # fmt: skip
    Qwen3ForCausalLM(Qwen3Config(**sizes)).to(torch.bfloat16).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=257, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_pretrained_weights_stay_frozen_under_adapters(folder: Path, pretrained: Path, jepa: Jepa) -> None:
    short = ("encoder.max_tokens=24", "encoder.precision=fp32")  # a byte is a token here
    done = jepa("run", "clin_jepa", *SMALL, FEWER, *short, "--out", "runs/lora", folder=folder, QWEN3=str(pretrained))
    assert done.returncode == 0, done.stderr
    with safe_open(folder / "runs" / "lora" / "model.safetensors", "pt") as model:
        encoder = [name for name in model.keys() if name.startswith("encoder.")]  # noqa: SIM118 - not a mapping
        assert encoder and all("lora_" in name for name in encoder)
        moved = [model.get_tensor(name).abs().max() > 0 for name in encoder if "lora_B" in name]
        assert moved and all(moved)
        differs = [
            (model.get_tensor(name) != model.get_tensor(name.replace("encoder.", "target.", 1))).any()
            for name in encoder
        ]
        assert not any(differs), "after the hard sync the target is the encoder"


def test_the_real_demo_ends_in_a_report(real_data: Path, tmp_path: Path, jepa: Jepa) -> None:
    done = jepa(
        "run",
        "clin_jepa",
        *SMALL,
        FEWER,
        "--out",
        "runs/demo",
        folder=tmp_path,
        MIMIC_IV=str(real_data / "mimic-iv-demo"),
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / "runs" / "demo" / "data.json").read_text())
    assert counts["attrition"][0]["trajectories"] == 140
    assert sum(split["subjects"] for split in counts["splits"]) <= 100
    assert leaked(tmp_path, tmp_path / "runs" / "demo", done.stdout + done.stderr) == set()


def test_a_missing_table_is_one_clear_error(tmp_path: Path, jepa: Jepa) -> None:
    (tmp_path / "tables" / "icu").mkdir(parents=True)
    done = jepa("run", "clin_jepa", folder=tmp_path, MIMIC_IV="tables")
    assert done.returncode == 3
    assert "icu/chartevents" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
