"""The blocks of the documentation: what a reader copies from README.md and docs/*.md."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from clipcause.runtime.imports import module_file

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>\w*)[ ]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
INLINE = re.compile(r"`((?:\.venv/bin/)?(?:python -m|dvc|make|source|git) [^`\n]*[^`\n ])`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its file, kind (`sh`, `yaml`, `python`, empty), line and text."""

    path: str
    line: int
    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block belongs in, if its first line is a comment that names one."""
        first = self.text.split("\n", 1)[0]
        found = re.fullmatch(r"# ([\w./-]+\.(?:yaml|py|md))", first)
        return found[1] if found else None

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, comments off, continued lines joined."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        lines = (re.sub(r"\s+#( |$).*", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def pages() -> list[Path]:
    """README.md and all of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text, name = path.read_text(), str(path.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, m.start()) + 1, m["kind"], m["text"])
        for m in FENCE.finditer(text)
    ]


def inline(path: Path) -> list[str]:
    """Commands that stand in a sentence or a table, in backquotes."""
    return [" ".join(words.split()) for words in INLINE.findall(FENCE.sub("", path.read_text()))]


def exists(name: str) -> bool:
    """Whether a dotted name is a module of ours, or is defined or imported at the top of one.

    The source is read and not run: models take seconds to import.
    """
    if module_file(name, ROOT) or (ROOT / name.replace(".", "/")).is_dir():
        return True
    module, _, last = name.rpartition(".")
    path = module_file(module, ROOT)
    return path is not None and last in _names(path)


def _names(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign():
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=target)):
                found.add(target)
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name for alias in node.names}
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):  # what a room offers lazily
                for late in node.body:
                    if isinstance(late, ast.ImportFrom):
                        found |= {alias.name for alias in late.names}
    return found
