from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE, REPOSITORY, install
from jepa_core.config import PhaseConfig
from jepa_core.errors import PluginError
from jepa_core.plugin import Component, discover

Jepa = Callable[..., subprocess.CompletedProcess[str]]

PAGE = (REPOSITORY / "docs" / "write-a-phase.md").read_text()


def block(name: str) -> str:
    """The file that the page on writing a phase shows under its name."""
    return re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def cautious(tmp_path: Path) -> Path:
    folder = install(tmp_path / "cautious", "jepa-cautious", "cautious = cautious")
    (folder / "cautious.py").write_text(block("cautious.py"))
    (folder / "cautious_phase.py").write_text(block("cautious_phase.py"))
    return folder


def test_a_third_party_phase_is_listed_validated_and_runs_between_others(
    jepa: Jepa, cautious: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        RECIPE.replace("  - {use: toy_fit, name: sync}", "  - {use: cautious, steps: 5, batch_size: 4, noise: 0.2}")
    )
    assert "Trains the predictor on slightly noisy latents." in jepa("ls", "phases", packages=(cautious,)).stdout
    shown = jepa("show", "phase/cautious", packages=(cautious,)).stdout
    assert "standard deviation of the noise" in shown and "in Python: from cautious import CautiousConfig" in shown
    refused = jepa("validate", recipe, "curriculum.cautious.noise=-1", packages=(cautious,))
    assert refused.returncode == 2 and "noise" in refused.stderr
    ran = jepa("run", recipe, "--out", tmp_path / "run", packages=(cautious,))
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    phases = list(dict.fromkeys(line["phase"] for line in lines))
    assert phases == ["warm", "joint", "cautious", "last"]
    assert all(line["terms"].keys() == {"cautious"} for line in lines if line["phase"] == "cautious")


def test_a_study_of_a_third_party_phase_is_a_yaml_file_and_no_more(jepa: Jepa, cautious: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("- {use: toy_fit, name: sync}", "- {use: cautious, steps: 5}"))
    (tmp_path / "noise.yaml").write_text(
        "base: mine.yaml\nvariants:\n  noisy: {}\n  quiet: {change: {curriculum: {cautious: {noise: 0.0}}}}\n"
        "  without: {change: {curriculum: {cautious: null}}}\n"
    )
    done = jepa("study", "noise.yaml", packages=(cautious,))
    assert done.returncode == 0, done.stderr
    assert "Without cautious (without)" in done.stderr
    table = (tmp_path / "studies" / "noise" / "tables" / "seeds.csv").read_text()
    values = [line.rpartition(",")[2] for line in table.splitlines()[1:]]
    assert len(values) == 3 == len(set(values))


def test_a_recipe_that_names_an_absent_plugin_says_what_there_is(jepa: Jepa, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("use: toy_train", "use: toy_trian"))
    refused = jepa("validate", tmp_path / "mine.yaml")
    assert refused.returncode == 2 and "toy_train" in refused.stderr


def test_a_broken_plugin_is_listed_as_broken_and_takes_nothing_down(
    jepa: Jepa, tmp_path: Path, recipe_file: Path
) -> None:
    folder = install(tmp_path / "broken", "jepa-broken", "broken = broken_plugin")
    (folder / "broken_plugin.py").write_text("import a_module_that_is_not_there\n")
    listed = json.loads(jepa("plugins", "--json", packages=(folder,)).stdout)["plugins"]
    statuses = {plugin["package"]: plugin["status"] for plugin in listed}
    assert statuses["jepa-broken"] == "broken" and statuses["toy-plugin"] == "ok"
    assert jepa("validate", recipe_file, packages=(folder,)).returncode == 0
    assert "a_module_that_is_not_there" in jepa("plugins", "--traceback", packages=(folder,)).stdout


def test_a_misspelt_hook_makes_a_plugin_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "misspelt.py").write_text(
        "from jepa_core.plugin import hookimpl\n\n@hookimpl\ndef jepa_listenres(run):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (plugin,) = discover([importlib.metadata.EntryPoint("misspelt", "misspelt", "jepa")]).plugins
    assert plugin.status == "broken" and "jepa_listenres" in plugin.error


def test_two_packages_with_one_name_are_refused_naming_both(jepa: Jepa, cautious: Path, tmp_path: Path) -> None:
    twin = install(tmp_path / "twin", "jepa-twin", "twin = twin_phase")
    (twin / "twin_phase.py").write_text(block("cautious.py"))
    refused = jepa("ls", packages=(cautious, twin))
    assert refused.returncode == 4
    assert "jepa-cautious" in refused.stderr and "jepa-twin" in refused.stderr and "Traceback" not in refused.stderr


def test_a_component_that_cannot_be_imported_is_one_clear_error() -> None:
    component = Component("phase", "lost", PhaseConfig, "nowhere_to_be_found:Lost")
    with pytest.raises(PluginError, match="phase 'lost' cannot be imported from nowhere_to_be_found:Lost"):
        component.load()


@pytest.mark.parametrize(("kind", "name"), [("fase", "a"), ("phase", "a b"), ("phase", "os.system")])
def test_a_component_needs_a_known_kind_and_a_plain_name(kind: str, name: str) -> None:
    with pytest.raises(PluginError):
        Component(kind, name, PhaseConfig, "x:Y")


def test_the_config_of_a_component_must_be_of_its_kind() -> None:
    with pytest.raises(PluginError, match="config of encoder 'mine' must derive from jepa_core.config.EncoderConfig"):
        Component("encoder", "mine", PhaseConfig, "x:Y")


def test_a_plugin_takes_part_in_a_run_if_it_brings_a_component_of_it_or_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listener.py").write_text(
        "from jepa_core.plugin import hookimpl\n\n@hookimpl\ndef jepa_listeners(run):\n    return []\n"
    )
    (tmp_path / "reader.py").write_text(
        "from jepa_core.plugin import hookimpl\n\n@hookimpl\ndef jepa_describe_file(path):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    names = ("listener", "oscillators", "reader", "toy")
    modules = {"oscillators": "jepa_core.testing.oscillators"}
    registry = discover([importlib.metadata.EntryPoint(name, modules.get(name, name), "jepa") for name in names])
    taking_part = registry.taking_part([registry.component("source", "toy")])
    assert [plugin.name for plugin in taking_part] == ["listener", "toy"]
