"""What notebooks import: it is there, under its old names too, and brings no more than it needs."""

import site
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]

OFFERED = {
    "clipcause.search": ("score_pool", "nearest"),
    "clipcause.captions": ("count_classes",),
    "clipcause.data.deduplicate": ("keep_first",),
    "clipcause.prune": ("split",),
    "clipcause.evaluate": ("imbalance", "neural_collapse"),
}
BEFORE = {
    "stages.similarity": ("clipcause.search", "score_pool", "nearest"),
    "stages.deduplicate": ("clipcause.data.deduplicate", "keep_first"),
    "stages.frequency": ("clipcause.captions", "count_classes"),
    "stages.evaluate": ("clipcause.evaluate", "imbalance", "neural_collapse"),
}


@pytest.mark.parametrize("room", OFFERED)
def test_a_room_offers_its_names_and_no_others(room):
    module = import_module(room)
    namespace: dict[str, object] = {}
    exec(f"from {room} import {', '.join(OFFERED[room])}", namespace)
    assert namespace.keys() >= set(OFFERED[room])
    assert all(getattr(module, name) is namespace[name] for name in OFFERED[room])
    with pytest.raises(ImportError, match="no_such_name"):
        exec(f"from {room} import no_such_name")


@pytest.mark.parametrize("stage", BEFORE)
def test_a_stage_offers_what_notebooks_imported_from_it(stage):
    room, *names = BEFORE[stage]
    module = import_module(stage)
    assert all(getattr(module, name) is getattr(import_module(room), name) for name in names)
    with pytest.raises(AttributeError, match=f"module '{stage}' has no attribute 'scored'"):
        _ = module.scored


def test_importing_brings_no_more_than_is_needed():
    code = """
import sys
import clipcause.search
assert "numpy" not in sys.modules
from clipcause.captions import count_classes
from clipcause.prune import split
from clipcause.evaluate import imbalance, neural_collapse
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_everything_is_installed():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set(find_packages(str(ROOT), include=setup["packages"]["find"]["include"]))
    folders = {"stages": [ROOT / "stages"], "clipcause": [ROOT / "clipcause"]}
    folders["clipcause"] += [path.parent for path in (ROOT / "clipcause").rglob("*.py")]
    assert found == {
        ".".join(folder.relative_to(ROOT).parts) for every in folders.values() for folder in every
    }
    data = {
        path
        for pattern in setup["package-data"]["clipcause"]
        for path in (ROOT / "clipcause").glob(pattern)
    }
    files = {path for path in (ROOT / "clipcause").rglob("*.*") if path.is_file()}
    assert {path for path in files - data if path.suffix not in (".py", ".pyc")} == set()


@pytest.mark.skipif(
    not any(metadata.distributions(name="clipcause", path=site.getsitepackages())),
    reason="`make .venv/.test` installs it",
)
def test_it_can_be_imported_from_any_folder(tmp_path):
    code = "; ".join(f"from {room} import {', '.join(names)}" for room, names in OFFERED.items())
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
