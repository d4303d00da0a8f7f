"""What notebooks import: it is there, under its old names too, and brings no more than it needs."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

OFFERED = {
    "clipcause.search": ("score_pool", "nearest"),
    "clipcause.captions": ("count_classes",),
    "clipcause.prune": ("split",),
    "clipcause.evaluate": ("imbalance", "neural_collapse"),
}
BEFORE = {
    "stages.similarity": ("clipcause.search", "score_pool", "nearest"),
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


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import clipcause.search", "numpy"),
        ("from clipcause.captions import count_classes", "torch"),
        ("from clipcause.prune import split", "torch"),
        ("from clipcause.evaluate import imbalance, neural_collapse", "torch"),
    ],
)
def test_importing_brings_no_more_than_is_needed(statement, absent):
    code = f"import sys; {statement}; sys.exit({absent!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
