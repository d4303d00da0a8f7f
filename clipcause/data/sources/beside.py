"""What files beside the pictures of a folder say of them: texts, JSON, tables.

`photo.txt` (or another extension) has the captions of `photo.jpg`, and so has `photo.jpg.txt`;
`photo.json` has them and more, as img2dataset writes it. A table has a line a picture: Hugging
Face's `metadata.csv`, `.jsonl` or `.parquet` with `file_name`, its path from the table; open_clip's
CSV, blanks or tabs between, with `filepath` and `title`. Paths are looked up among the files that
the folder has, so that none leads out of it.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from clipcause.config import nearest
from clipcause.config.datasets import NONE
from clipcause.data import kept, signatures, tree, values
from clipcause.data.dataset import Drop
from clipcause.data.tree import Found
from clipcause.data.values import Captions, Lines

TEXT, JSON, STATS = ".txt", ".json", "_stats.json"
TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # Hugging Face's names
LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet",)
BESIDE = "beside"
FILES = ("file_name", "filepath")  # columns of paths, and all that end in _file_name
CAPTIONS = ("caption", "captions", "text", "title")
SEPARATORS = "\t,;|"
LARGEST_JSON = 1 << 20  # bytes

NOT_THERE = "a line without a picture"
BROKEN = "broken line"
UNREADABLE_JSON = "unreadable json"


class Words(NamedTuple):
    """How what is beside pictures is read; the options of the source `folder`."""

    lines: Lines = "join"
    caption: str = NONE
    label: str = "label"
    metadata: str = BESIDE
    file: str = NONE
    columns: tuple[str, ...] = ()


class Said(NamedTuple):
    """What is said of a picture. ``is_class`` is whether the folder that it is in is its class,
    where nothing else says one; ``lacking`` says, for an error, where a caption would stand."""

    captions: Captions | None = None
    label: str | None = None
    url: str | None = None
    uid: str | None = None
    columns: Mapping[str, Any] | None = None
    is_class: bool = True
    lacking: str = ""


class Line(NamedTuple):
    """What tables say of one picture: the table, and its lines of it."""

    table: Path
    rows: list[dict[str, Any]]


class Beside:
    """What is said of the pictures of ``folder``, whose files are ``found``.

    ``drops`` are the ledger's lines of what names no picture or cannot be read. Raises
    ``ValueError`` for a table that is not there or lacks a column that is named.
    """

    def __init__(self, folder: Path, found: Iterable[Found], read: Words) -> None:
        self.drops: list[Drop] = []
        self._folder, self._read = folder, read
        self._names = {one.name for one in found}
        usable = [one.name for one in found if not one.why]
        self._texts = _by_stem(usable, TEXT if read.caption == NONE else f".{read.caption.lower()}")
        self._jsons = _by_stem(usable, JSON)
        # what img2dataset writes beside a folder when it has filled it
        self._shards = {
            name.with_name(name.name.removesuffix(STATS))
            for name in usable
            if name.name.endswith(STATS)
        }
        self.used: set[Path] = set()
        self._lines = self._tables(usable)
        self._keys: set[str] = set()
        self.pictures = {name for name in usable if tree.is_picture(folder / name)}
        lost = {one.name for one in found if one.why and one.name.suffix.lower() in tree.PICTURES}
        for name in self.pictures | lost:
            self.used |= {path for path in (self._text(name), self._json(name)) if path}
        # texts that are of no picture
        self.lone = sorted(set(self._texts.values()) - self.used)

    def of(self, name: Path) -> Said:
        """What is said of one picture. Raises ``NotTextError`` for what is no text."""
        read, text, line = self._read, self._text(name), self._lines.get(name)
        facts = line.rows[0] if line else self._facts(name)
        said = self._captions(line.rows) if line else None
        if said is None and text is not None:
            content = values.decoded((self._folder / text).read_bytes())
            said = values.of_lines(content, read.lines)
        if said is None and line is None:
            said = self._captions([facts])
        self._keys |= facts.keys()
        label = values.text(facts.get(read.label)) if read.label != NONE else None
        url, uid = facts.get("url"), facts.get("uid")
        written = facts.get("key") == name.stem or name.parent in self._shards
        return Said(
            said,
            label,
            url if isinstance(url, str) and url else None,
            uid if isinstance(uid, str) and uid else None,
            {one: facts.get(one) for one in read.columns} if read.columns else None,
            is_class=not self._lines and not written,
            lacking=self._lacking(name, line, facts),
        )

    def check(self) -> None:
        """All pictures were seen: raise where none has a column that is to be kept."""
        kept.check(f"{self._folder}: what is said of its pictures", self._read.columns, self._keys)

    def _lacking(self, name: Path, line: Line | None, facts: Mapping[str, Any]) -> str:
        keys = ", ".join(sorted(values.shown(key) for key in facts))
        if line is not None:
            return f"{line.table} has none among {keys}"
        if self._lines:
            return f"no table names it, and no {name.stem}{TEXT} is there"
        if facts:
            return f"its JSON has {keys}; say which has the caption by `caption`"
        return f"neither {name.stem}{TEXT} nor a folder"

    def _text(self, name: Path) -> Path | None:
        return self._texts.get(name) or self._texts.get(name.with_suffix(""))

    def _json(self, name: Path) -> Path | None:
        return self._jsons.get(name) or self._jsons.get(name.with_suffix(""))

    def _facts(self, name: Path) -> dict[str, Any]:
        path = self._json(name)
        if path is None:
            return {}
        try:
            if (size := (self._folder / path).stat().st_size) > LARGEST_JSON:
                raise ValueError(f"{size:,} bytes")  # noqa: TRY301 - one line of the ledger
            facts = json.loads((self._folder / path).read_bytes())
            if not isinstance(facts, dict):
                raise ValueError("not an object")  # noqa: TRY301, TRY004
        except (OSError, ValueError, RecursionError) as error:
            detail = f"{path.name}: {error}; it is not used"
            self.drops.append(Drop(str(path.parent), str(path), UNREADABLE_JSON, detail, False))
            return {}
        return facts

    def _captions(self, rows: Sequence[Mapping[str, Any]]) -> Captions | None:
        """Those of the first column that has any; of several lines all, each once."""
        names = CAPTIONS if self._read.caption == NONE else (self._read.caption,)
        for name in names:
            given = [values.captions(row.get(name)) for row in rows]
            found = [one for said in given if said for one in (said.all or [said.first])]
            if found:
                return values.several(list(dict.fromkeys(found)))
        return None

    def _tables(self, usable: list[Path]) -> dict[Path, Line]:
        """The lines of all tables by the pictures that they name."""
        named = self._read.metadata
        if named == NONE:
            return {}
        if named != BESIDE:
            if Path(named) not in usable:
                known = [str(one) for one in usable if one.suffix.lower() not in tree.PICTURES]
                raise FileNotFoundError(
                    f"{self._folder}: no {named!r} for metadata; {nearest(named, known[:1000])}"
                )
            tables = [Path(named)]
        else:
            tables = [one for one in usable if one.name in TABLES]
        found: dict[Path, Line] = {}
        for table in tables:
            header, rows = _rows(self._folder, table, self._read.columns, self.drops)
            column = self._file_column(table, header)
            if column is None:
                continue
            self.used.add(table)
            self._check_columns(table, header)
            for number, row in enumerate(rows, 1):
                self._add(found, table, number, row, column)
        return found

    def _file_column(self, table: Path, header: Sequence[str]) -> str | None:
        """The column of paths; None where a table that nobody named has none."""
        named = self._read.file
        if named != NONE and named in header:
            return named
        ends = [one for one in header if one.endswith("_file_name")]
        known = next((one for one in (*FILES, *ends) if one in header), None)
        if named == NONE and (known or self._read.metadata == BESIDE):
            return known
        wanted = "of paths" if named == NONE else repr(named)
        raise ValueError(
            f"{self._folder / table}: no column {wanted} for `file`; "
            f"{nearest(named, header)} (the columns are {', '.join(header)})"
        )

    def _check_columns(self, table: Path, header: Sequence[str]) -> None:
        path, read = self._folder / table, self._read
        kept.check(str(path), read.columns, header)
        if read.caption != NONE and read.caption not in header:
            raise ValueError(f"{path}: no {read.caption!r}; {nearest(read.caption, header)}")
        if read.caption == NONE and not {*CAPTIONS, read.label} & {*header} and not self._texts:
            raise ValueError(
                f"{path}: which column has the captions? say it by `caption`; the columns are "
                f"{', '.join(header)}"
            )

    def _add(
        self, found: dict[Path, Line], table: Path, number: int, row: dict[str, Any], column: str
    ) -> None:
        try:
            said = values.text(row.get(column)) or ""
        except values.NotTextError as error:
            self.drops.append(Drop(str(table), f"line {number}", BROKEN, f"{column}: {error}"))
            return
        name = self._found(table, said)
        if name is None:
            detail = f"{said!r} is not in the folder" if said else f"no {column}"
            self.drops.append(Drop(str(table), f"line {number}", NOT_THERE, detail))
            return
        line = found.setdefault(name, Line(table, []))
        if line.table != table:
            raise ValueError(
                f"{self._folder}: {line.table} and {table} both say something of {name}; name one "
                "by `metadata`"
            )
        line.rows.append(row)

    def _found(self, table: Path, said: str) -> Path | None:
        """The file of the folder that a path names: from the table, or from where we are."""
        said = said.replace("\\", "/")
        if PurePosixPath(said).is_absolute():
            tried = [os.path.relpath(said, self._folder.absolute())]
        else:
            tried = [str(table.parent / said), os.path.relpath(said, self._folder)]
        for one in tried:
            name = Path(os.path.normpath(one))
            if name in self._names:
                return name
        return None


def _by_stem(names: Iterable[Path], end: str) -> dict[Path, Path]:
    """Files with an extension by their names without it."""
    return {name.with_suffix(""): name for name in names if name.suffix.lower() == end}


def _rows(
    folder: Path, table: Path, columns: Sequence[str], drops: list[Drop]
) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of a table and its lines, ``columns`` with their types; those that are none go to
    ``drops``."""
    path = folder / table
    end = path.suffix.lower()
    if end in PARQUET:
        try:
            found = pq.read_table(path, partitioning=None)
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(_unreadable(path, error)) from None
        return found.column_names, found.to_pylist()
    content = path.read_bytes()
    if content.startswith((b"version https://git-lfs", b"PK\x03\x04")):
        raise ValueError(_unreadable(path, ""))
    if end in LINES:
        rows = list(_json_lines(table, content, drops))
        return list(dict.fromkeys(name for row in rows for name in row)), rows
    return _csv(table, content, columns, drops)


def _unreadable(path: Path, error: object) -> str:
    with path.open("rb") as stream:
        what = signatures.called(stream.read(signatures.FIRST))
    return f"{path}: it is {what}" if what else f"{path}: cannot be read: {error}"


def _json_lines(table: Path, content: bytes, drops: list[Drop]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")  # noqa: TRY301, TRY004 - one line of the ledger
        except (ValueError, RecursionError) as error:
            drops.append(Drop(str(table), f"line {number}", BROKEN, str(error)))
            continue
        yield row


def _csv(
    table: Path, content: bytes, columns: Sequence[str], drops: list[Drop]
) -> tuple[list[str], list[dict[str, Any]]]:
    # Latin-1's bytes as what they are: a caption that is no UTF-8 is told of by itself
    text = content.decode("utf-8-sig", "surrogateescape")
    first = text.partition("\n")[0]
    counts = Counter({one: first.count(one) for one in SEPARATORS})
    # the mark that the first line has most, tabs first: open_clip's files are so, whatever called
    separator = max(SEPARATORS, key=lambda one: counts[one])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = [name.strip() for name in next(reader, [])]
    lines: list[list[str]] = []
    for line in reader:
        if not line:
            continue
        if len(line) != len(header):
            detail = f"{len(line)} columns instead of {len(header)}: {' '.join(line)[:80]}"
            detail = detail.encode("utf-8", "backslashreplace").decode()
            drops.append(Drop(str(table), f"line {reader.line_num}", BROKEN, detail))
            continue
        lines.append(line)
    rows: list[dict[str, Any]] = [dict(zip(header, line, strict=True)) for line in lines]
    for name in columns:  # a CSV file has no types
        if name not in header:
            continue
        for row, value in zip(
            rows, kept.of_texts(row[name] for row in rows).to_pylist(), strict=True
        ):
            row[name] = value
    return header, rows
