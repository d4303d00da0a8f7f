"""The arrows between rooms: which one imports which, and by which doors; read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from clipcause import lazy
from clipcause.runtime.imports import module_file

ROOT = Path(__file__).parents[1]

# What a room may import; all may import `config` and `runtime`, which import no room, not even one
# another. An arrow that is not here is a question: would what is imported lie better in a room that
# both know?
ARROWS = {
    "config": set(),
    "runtime": set(),
    "stats": set(),
    "captions": {"data", "embed"},
    "icons": {"captions"},
    "data": {"captions", "embed", "icons", "prune", "search"},
    "embed": {"data"},
    "search": {"captions", "data", "embed", "prune"},
    "prune": {"captions", "data", "embed", "evaluate", "search", "signals", "stats"},
    "signals": {"data", "embed", "prune", "search"},
    "train": {"captions", "data", "embed", "evaluate", "prune"},
    "evaluate": {"captions", "data", "embed", "prune", "stats", "train"},
    "check": {"data", "embed", "prune", "signals"},
    "report": {
        "captions",
        "data",
        "embed",
        "evaluate",
        "icons",
        "prune",
        "search",
        "signals",
        "stats",
    },
}
FREE = {"config", "runtime"}

# The doors of these rooms: file formats, and functions on arrays. The rest is nobody else's.
DOORS = {
    "captions": {"classes", "frequency", "relevance"},
    "data": {
        "dataset", "duplicates", "every_caption", "exports", "manifest", "overlap", "picture",
        "place", "samples", "shards", "signatures", "tar",
    },
    "search": {
        "centres", "density", "device", "diversity", "earlier", "gap", "neighbour", "pool",
        "scores", "vectors",
    },
    "stats": {
        "comparison", "decomposition", "logistic", "regression", "replication", "robustness",
        "statistics",
    },
}  # fmt: skip


class Arrow(NamedTuple):
    """An import: the file and line that has it, and the module that it is of."""

    path: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def arrows(path: Path) -> Iterator[Arrow]:
    """The project's modules that a file imports, at whatever depth, also for type checkers."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if module_file(name, ROOT) else str(node.module) for name in whole]
        else:
            continue
        for module in modules:
            if module.split(".")[0] in ("clipcause", "stages"):
                yield Arrow(path, node.lineno, module)


def files(room: str) -> list[Path]:
    return sorted((ROOT / "clipcause" / room).rglob("*.py"))


def between(room: str) -> list[tuple[Arrow, str, str]]:
    """The arrows out of a room, with the room and the module of it that they lead to."""
    found = []
    for path in files(room):
        for arrow in arrows(path):
            package, _, rest = arrow.module.partition(".")
            other, _, door = rest.partition(".")
            if package == "clipcause" and other not in ("", room, lazy.__name__.split(".")[1]):
                found.append((arrow, other, door))
    return found


def test_every_room_is_listed():
    folders = {path.parent.name for path in (ROOT / "clipcause").glob("*/__init__.py")}
    assert folders == ARROWS.keys()


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_those_that_are_listed(room):
    allowed = ARROWS[room] | (FREE if room not in FREE else set())
    assert [str(arrow) for arrow, other, _ in between(room) if other not in allowed] == []


@pytest.mark.parametrize("room", [room for room in ARROWS if room not in FREE])
def test_an_arrow_that_is_listed_is_there(room):
    assert ARROWS[room] - {other for _, other, _ in between(room)} == set()


@pytest.mark.parametrize("room", DOORS)
def test_a_room_is_entered_by_its_doors(room):
    inside = [
        str(arrow)
        for other in DOORS
        if other != room
        for arrow, entered, door in between(other)
        if entered == room and door.split(".")[0] not in DOORS[room]
    ]
    assert inside == []
    assert {
        door for door in DOORS[room] if not module_file(f"clipcause.{room}.{door}", ROOT)
    } == set()


def test_nothing_imports_a_stage():
    everywhere = [*(ROOT / "clipcause").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    assert [
        str(arrow)
        for path in everywhere
        for arrow in arrows(path)
        if arrow.module.split(".")[0] == "stages"
    ] == []


def test_nothing_but_the_reports_own_stages_imports_the_report():
    others = [path for room in ARROWS if room != "report" for path in files(room)]
    stages = [path for path in (ROOT / "stages").glob("*.py") if path.stem not in REPORTS]
    assert [
        str(arrow)
        for path in [*others, *stages]
        for arrow in arrows(path)
        if arrow.module.startswith("clipcause.report")
    ] == []


REPORTS = {"analyse", "report"}


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py")))
def test_stages_are_thin(stage):
    """They read, call and write: some functions of a few lines, and no class."""
    path = ROOT / f"stages/{stage}.py"
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 60
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
