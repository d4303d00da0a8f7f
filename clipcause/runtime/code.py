"""Which code a stage runs, and the folder of links by which DVC watches it.

A stage's code is the file that is run and all of ours that it imports, transitively
(`clipcause.runtime.imports`). `code/<stage>` has a relative symbolic link to each of these files
and is one of the stage's `deps`, so that `dvc status` and `dvc repro`, of one stage too, see every
edit at once: DVC hashes what a link leads to. `python -m clipcause code` writes the folders; a
stage whose folder is out of date stops at its start (`clipcause.runtime.unchanged`).

(Listed one by one in `dvc.yaml`, a hundred modules a stage made `dvc.lock` so long that DVC took
five seconds a stage to rewrite it. A list with fingerprints that another stage writes re-runs
nothing for a comment, but is stale until that stage has run.)
"""

import ast
import functools
import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clipcause.runtime.imports import Source, direct, files, module_file

PROJECT = "stages"
FOLDER = Path("code")
ENTRY = "clipcause.runtime.entry"  # how a stage starts
COMMAND = "python -m clipcause code"
ROOT = Path(__file__).parents[2]
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# These decide no value, so that an edit of theirs loses no finished shard. All others count, new
# ones too. They are a stage's code as all are.
SILENT = frozenset(
    f"clipcause.runtime.{name}"
    for name in (
        "atomic",
        "cache_folder",
        "code",
        "entry",
        "imports",
        "notices",
        "progress",
        "unchanged",
    )
)


def stages(root: Path = Path()) -> list[str]:
    """The modules that are run as stages: those of the project's first level that use the entry."""
    folder = root / PROJECT
    names = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    names += [path.parent.name for path in folder.glob("*/__main__.py")]
    return sorted(
        f"{PROJECT}.{name}"
        for name in names
        if ENTRY in direct(_run(f"{PROJECT}.{name}", root), root)
    )


def _run(module: str, root: Path) -> Path:
    """The file that ``python -m`` runs."""
    found = module_file(f"{module}.__main__", root) or module_file(module, root)
    assert found is not None
    return found


def folder(module: str) -> Path:
    """Where the links to a stage's code lie."""
    return FOLDER / module.removeprefix(f"{PROJECT}.")


def link(path: Path) -> str:
    """What the link to a file of the repository leads to, seen from a stage's folder."""
    return f"../../{path.as_posix()}"


def outdated(module: str, wanted: Mapping[str, Path], root: Path = Path()) -> str | None:
    """What is wrong with the folder of a stage's code, and what mends it; None where it is right.

    ``wanted`` are the stage's `files`.
    """
    where = folder(module)
    found = _found(root / where)
    for name, path in wanted.items():
        if found.get(name) != link(path):
            return f"{where}: no link to {path}, which {module} imports; run `{COMMAND}`"
    for name in found:
        if name not in wanted:
            return f"{where}: {name} is there, which {module} does not import; run `{COMMAND}`"
    return None


def _found(folder: Path) -> dict[str, str | None]:
    """What the links in a folder lead to; None for what is no link."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.readlink().as_posix() if path.is_symlink() else None
        for path in sorted(folder.iterdir())
    }


def every_stage(root: Path = Path()) -> dict[str, dict[str, Path]]:
    """The `files` of all stages; each file is read once."""
    known: dict[Path, Source] = {}
    return {module: files(module, root, known=known) for module in stages(root)}


def write(root: Path = Path()) -> list[str]:
    """Bring the folders of all stages up to date; the stages whose folders were not.

    Links that are right stay as they are. What is of no stage is removed.
    """
    changed, every = [], every_stage(root)
    for module, paths in every.items():
        where = root / folder(module)
        found, wanted = _found(where), {name: link(path) for name, path in paths.items()}
        if found == wanted:
            continue
        changed.append(where.name)
        where.mkdir(parents=True, exist_ok=True)
        for name in found:
            if found[name] != wanted.get(name):
                _remove(where / name)
        for name, target in wanted.items():
            if found.get(name) != target:
                (where / name).symlink_to(target)
    for where in sorted((root / FOLDER).iterdir()):
        if where not in (root / folder(module) for module in every):
            changed.append(where.name)
            _remove(where)
    return changed


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@functools.cache
def of(module: str) -> str:
    """What the module of this name does, all of ours that it imports included: a hash.

    Comments, docstrings and layout do not count, nor do modules that decide no value (`SILENT`).
    It names kept work (``shard_cache``) and stands in no artifact: moving a function would change
    it. `__name__` is a module's own, `__main__` too. Raises ``ValueError`` for what has no source.
    """
    if module == "__main__" and (spec := sys.modules["__main__"].__spec__):
        module = spec.name
    lines = set[str]()
    waiting = [module]
    if module_file(module, ROOT) is None:  # a notebook's own
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            raise ValueError(f"{module}: no module with a source")
        lines.add(fingerprint(Path(file)))
        waiting = sorted(direct(Path(file), ROOT))
    for name in waiting:
        known: dict[Path, Source] = {}  # parsed for their imports, which takes most of the time
        for path in files(name, ROOT, SILENT, known=known).values():
            file = ROOT / path
            lines.add(f"{fingerprint(file, known.get(file))}  {path.as_posix()}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def fingerprint(path: Path, source: Source | None = None) -> str:
    """SHA-256 of what a file means: of Python its syntax tree without docstrings, else its bytes.

    ``source`` is the file's, where it has been read.

    The same for every version of Python that the project supports: fields without content, of
    which later versions have more, are left out.
    """
    content = path.read_bytes()
    if path.suffix == ".py":
        tokens: list[str] = []
        _spell(ast.parse(content) if source is None else source.tree, tokens.append)
        content = "\n".join(tokens).encode()
    return hashlib.sha256(content).hexdigest()


def _spell(node: Any, put: Callable[[str], None]) -> None:
    """The tree in one fixed order, with its nesting."""
    if isinstance(node, ast.Constant):
        put(f"{type(node.value).__name__} {node.value!r}")
    elif isinstance(node, ast.AST):
        put(f"({type(node).__name__}")
        for name in node._fields:
            value: Any = getattr(node, name, None)
            if name == "body" and isinstance(node, DOCUMENTED) and ast.get_docstring(node, False):
                value = value[1:]
            if value is not None and value != []:
                put(f".{name}")
                _spell(value, put)
        put(")")
    elif isinstance(node, list):
        put("[")
        for one in node:
            _spell(one, put)
        put("]")
    else:  # a name, or a number of an f-string's conversion
        put(repr(node))


def main() -> str:
    """Write the folders of links; say which stages' were out of date."""
    changed = write()
    return f"{', '.join(changed) or 'nothing'} to change; all are up to date"
