"""What a module imports of ours, transitively: read from the source, not run."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("stages", "clipcause")
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements stand
FINDS = ("__file__", "__path__", "PackageLoader", "resources")  # files beside itself
LISTS = ("iter_modules", "walk_packages")  # and imports all modules of its folder


@dataclass(frozen=True)
class Source:
    """What one file imports of ours, and what others may import from it.

    ``late`` are the names that it offers when they are asked for: their modules by name.
    ``finds`` files beside itself, ``lists`` the modules of its folder, to import them all.
    """

    text: str
    tree: ast.Module
    imports: frozenset[str]
    bound: frozenset[str]
    late: dict[str, str]
    is_late: bool
    finds: bool
    lists: bool


def module_file(name: str, root: Path = Path()) -> Path | None:
    """The file of a dotted module name below ``root``, or None where it is no module."""
    path = root.joinpath(*name.split("."))
    # in this order Python looks
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None


def direct(path: Path, root: Path = Path()) -> set[str]:
    """The modules of ours that the file at ``path`` imports, anywhere in it.

    What stands under `if TYPE_CHECKING:` is not imported. Of a package that offers names when they
    are asked for (`__getattr__`), the module that has the name is imported as well. Raises
    ``ValueError`` for a relative import, and for such a name that no `if TYPE_CHECKING:` of the
    package traces to its module.
    """
    return _direct(path, root, {})


def _direct(path: Path, root: Path, known: dict[Path, Source]) -> set[str]:
    found = {name for name in _source(path, known).imports if name.split(".")[0] in PACKAGES}
    modules = {name for name in found if module_file(name, root)}
    for name in found - modules:
        package, _, last = name.rpartition(".")
        file = module_file(package, root)
        if file is None:
            continue
        source = _source(file, known)
        if last in source.late:
            modules.add(source.late[last])
        elif source.is_late and last not in source.bound:
            raise ValueError(f"{path}: {last} comes late from {package}; name the module it is in")
    return modules


def _source(path: Path, known: dict[Path, Source]) -> Source:
    if path not in known:
        known[path] = _read(path)
    return known[path]


def _read(path: Path) -> Source:
    text = path.read_text()
    tree = ast.parse(text)
    imports, bound, late = set[str](), set[str](), dict[str, str]()
    for node, checked in _statements(tree.body):
        if isinstance(node, ast.Import) and not checked:
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; name the module in full")
            module = node.module or ""
            if checked:
                late |= {alias.asname or alias.name: module for alias in node.names}
            else:
                # `from package import module` imports the module as well
                imports |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    for node in tree.body:
        bound |= set(_binds(node))
    is_late = "__getattr__" in bound
    return Source(
        text,
        tree,
        imports=frozenset(imports),
        bound=frozenset(bound),
        late=late if is_late else {},
        is_late=is_late,
        finds=_uses(tree, FINDS, text),
        lists=_uses(tree, LISTS, text),
    )


def _uses(tree: ast.AST, names: Sequence[str], text: str) -> bool:
    """Whether code has one of the names; the text is looked at first, which is fast."""
    if not any(name in text for name in names):
        return False
    return any(
        getattr(node, field, "") in names
        for node in ast.walk(tree)
        for field in ("id", "attr", "name", "module")
    )


def _statements(
    body: Sequence[ast.AST], *, checked: bool = False
) -> Iterator[tuple[ast.AST, bool]]:
    """All statements at any depth, and whether only a type checker reads them."""
    for node in body:
        yield node, checked
        typing = isinstance(node, ast.If) and _is_for_types(node.test)
        for block in BLOCKS:
            inner = checked or (typing and block == "body")
            yield from _statements(getattr(node, block, ()), checked=inner)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that a statement at the top of a module gives a value to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    else:
        yield from (one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def transitive(module: str, root: Path = Path()) -> set[Path]:
    """The files of ``module`` and of all it imports, packages' `__init__` included.

    A file of another kind (a template, a table) belongs to it where a module of its folder, or of
    one above, finds files beside itself (`__file__`) and one of the modules states its name.
    """
    return set(files(module, root).values())


def files(
    module: str,
    root: Path = Path(),
    without: frozenset[str] = frozenset(),
    known: dict[Path, Source] | None = None,
) -> dict[str, Path]:
    """The files of `transitive` by their paths with dots for slashes, the names of links to them.

    Modules of the names ``without``, and what they alone import, are left out. ``known`` is filled
    with what was read, for a caller that asks about several modules of the same files.
    """
    known = {} if known is None else known
    waiting, seen, modules = [module], set[str](without), dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        path = module_file(name, root)
        if path is None:
            raise ValueError(f"{name}: no such module in {' or '.join(PACKAGES)}")
        modules[name] = path
        if path.name == "__init__.py" and name == module:
            # `python -m package` runs its __main__
            main = module_file(f"{name}.__main__", root)
            if main is not None:
                waiting.append(f"{name}.__main__")
        waiting += _direct(path, root, known)
        if _source(path, known).lists:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _modules_of(package, path.parent)
    sources = {path: known[path] for path in modules.values()}
    paths = sorted({path.relative_to(root) for path in (*sources, *_beside(sources))})
    return {".".join(path.parts): path for path in paths}


def _modules_of(package: str, folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.suffix == ".py" and path.stem not in ("__init__", "__main__"):
            yield f"{package}.{path.stem}"
        elif (path / "__init__.py").is_file():
            yield f"{package}.{path.name}"


def _beside(sources: Mapping[Path, Source]) -> Iterator[Path]:
    """The files of other kinds that modules read."""
    whole = "\n".join(source.text for source in sources.values())
    for module, source in sources.items():
        if not source.finds:
            continue
        for path in data(module.parent):
            above = path.relative_to(module.parent).parts[:-1]
            if _states(whole, path.name) or any(_states(source.text, name) for name in above):
                yield path


def data(folder: Path) -> Iterator[Path]:
    """The files below a package's folder that are no code, and in no package of their own."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from data(path)
        elif path.is_file() and path.suffix != ".py":
            yield path


def _states(text: str, name: str) -> bool:
    """Whether a text in quotes ends or begins with a file's or folder's name."""
    return re.search(rf"""["'/]{re.escape(name)}["'/]""", text) is not None
