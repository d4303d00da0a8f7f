"""What a file says, as named values, so that files whose bytes differ can be compared further.

A table is a value for each column, JSON and YAML one for each leaf, weights one for each array, a
tar one for each member, a page its text, table cells, numbers and ids. Nothing here imports the
product: both sides of a comparison are read by the same code, whatever commit they are of.
"""

import csv
import gzip
import io
import json
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml
from pyroaring import BitMap

Facts = dict[str, Any]

BYTES = "(bytes)"
LINES = "(lines)"
LONGEST = 80  # letters of a value in a report
NUMBER = re.compile(r"[-−+]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-+]?\d+)?")
# what safetensors calls types that NumPy has under another name, or not at all (bfloat16: as bits)
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
DAMAGES = (
    ValueError, KeyError, OSError, EOFError, struct.error, csv.Error, yaml.YAMLError,
    tarfile.TarError, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one type: a column of a table, an array."""

    kind: str
    values: Sequence[Any] | np.ndarray


def facts(path: Path) -> Facts:
    """The named values of a file; those of a damaged one are its bytes and the reader's error."""
    content = path.read_bytes()
    try:
        return _reader(path.name)(content)
    except DAMAGES as error:
        return {f"(not readable: {error})": content}


def difference(old: Any, new: Any) -> str | None:
    """The first difference of two values in words, None where they are the same to the last bit."""
    if isinstance(old, Column) and isinstance(new, Column):
        if old.kind != new.kind:
            return f"{old.kind} became {new.kind}"
        return _first(old.values, new.values)
    if isinstance(old, bytes) and isinstance(new, bytes):
        return _bytes(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return _first(old, new)
    return None if _same(old, new) else f"{shown(old)} became {shown(new)}"


def shown(value: Any) -> str:
    """A value in as many letters as a line of a report has room for."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _first(old: Sequence[Any] | np.ndarray, new: Sequence[Any] | np.ndarray) -> str | None:
    """Where two rows of values part, and how many do."""
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        places = np.flatnonzero((_bits(old) != _bits(new)).any(axis=1))
    elif len(old) == len(new):
        places = [at for at, pair in enumerate(zip(old, new, strict=True)) if not _same(*pair)]
    else:
        shorter = min(len(old), len(new))
        at = next((at for at in range(shorter) if not _same(old[at], new[at])), shorter)
        pair = [shown(each[at]) if at < len(each) else "nothing" for each in (old, new)]
        return f"{len(old)} values became {len(new)}, from [{at}] on: {pair[0]} became {pair[1]}"
    if not len(places):
        return None
    at = int(places[0])
    return f"[{at}]: {shown(old[at])} became {shown(new[at])} ({len(places)} of {len(old)} differ)"


def _bits(array: np.ndarray) -> np.ndarray:
    """A row of bytes for each value: -0.0 is not 0.0, and NaN is itself."""
    return np.frombuffer(array.tobytes(), np.uint8).reshape(array.size, array.itemsize)


def _bytes(old: bytes, new: bytes) -> str | None:
    if old == new:
        return None
    shorter = min(len(old), len(new))
    at = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    return f"bytes differ from {at} on, of {len(old)} and {len(new)}"


def _same(old: Any, new: Any) -> bool:
    # by their words: NaN is itself, and -0.0, 0, 0.0 and False are four different values
    return type(old) is type(new) and (old is new or repr(old) == repr(new))


def _reader(name: str) -> Callable[[bytes], Facts]:
    suffixes = [suffix for suffix in READERS if name.endswith(suffix)]
    return READERS[max(suffixes, key=len)] if suffixes else _lines


def _parquet(content: bytes) -> Facts:
    file = pq.ParquetFile(io.BytesIO(content))
    table = file.read()
    found: Facts = {
        name: Column(str(column.type), column.to_pylist())
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    groups = range(file.num_row_groups)
    found["(row groups)"] = [file.metadata.row_group(group).num_rows for group in groups]
    for name, value in (table.schema.metadata or {}).items():
        found |= leaves(_decoded(value), f"(metadata).{name.decode()}")
    return found


def _decoded(value: bytes) -> Any:
    """JSON where it is some: the metadata of a table are bytes."""
    try:
        return json.loads(value)
    except ValueError:
        return value.decode(errors="replace")


def leaves(content: Any, name: str = "") -> Facts:
    """Every value of a nested mapping by its dotted path; a list of plain values is one value."""
    if isinstance(content, list) and any(isinstance(each, dict | list) for each in content):
        content = {str(at): each for at, each in enumerate(content)}
    if not isinstance(content, dict) or not content:
        return {name or "(all)": content}
    found: Facts = {}
    for key, value in content.items():
        found |= leaves(value, f"{name}.{key}" if name else str(key))
    return found


def _json(content: bytes) -> Facts:
    return leaves(json.loads(content))


def _yaml(content: bytes) -> Facts:
    return leaves(yaml.safe_load(content))


def _array(array: np.ndarray) -> Column:
    return Column(f"{array.dtype} {array.shape}", array.reshape(-1))


def _npy(content: bytes) -> Facts:
    return {"(array)": _array(np.load(io.BytesIO(content), allow_pickle=False))}


def _npz(content: bytes) -> Facts:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: _array(arrays[name]) for name in arrays.files}


def _safetensors(content: bytes) -> Facts:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    found = leaves(header.pop("__metadata__", {}), "(metadata)")
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = DTYPES.get(entry["dtype"], "<u1")
        values = np.frombuffer(content[start:end], kind)
        found[name] = Column(f"{entry['dtype']} {entry['shape']}", values)
    return found


def _tar(content: bytes) -> Facts:
    """Members by name, a second of one name numbered, and their order; headers are passed over."""
    found: Facts = {}
    order: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            number = order.count(member.name) if member.name in found else 0
            order.append(member.name)
            stream = tar.extractfile(member) if member.isfile() else None
            name = f"{member.name}#{number + 1}" if number else member.name
            found[name] = stream.read() if stream else f"{member.type!r} {member.linkname}"
    return {**found, "(order)": order}


def _gzip(content: bytes) -> Facts:
    return _lines(gzip.decompress(content))


def _roaring(content: bytes) -> Facts:
    return {"(rows)": list(BitMap.deserialize(content))}


def _table(content: bytes, delimiter: str) -> Facts:
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))
    if not rows:
        return {"(columns)": []}
    first = rows[0]
    header = [f"{name}#{at}" if name in first[:at] else name for at, name in enumerate(first)]
    columns = zip_longest(*rows[1:], fillvalue="") if rows[1:] else ([] for _ in header)
    named = zip_longest(header, columns, fillvalue=None)
    return {str(name): list(column or ()) for name, column in named}


def _csv(content: bytes) -> Facts:
    return _table(content, ",")


def _tsv(content: bytes) -> Facts:
    return _table(content, "\t")


def _markdown(content: bytes) -> Facts:
    lines = content.decode().splitlines()
    rows = [line.strip().strip("|").split("|") for line in lines if line.startswith("|")]
    cells = [cell.strip() for row in rows for cell in row]
    return {"(cells)": cells, "(text)": [line for line in lines if not line.startswith("|")]}


class _Page(HTMLParser):
    """Text, cells and ids of a page; what is inside pictures, scripts and styles is not read."""

    SKIPPED = ("script", "style", "svg")
    CELLS = ("td", "th")

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.ids: list[str] = []
        self.text: list[str] = []
        self.cells: list[str] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in self.SKIPPED
        if self.depth:
            return
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag in self.CELLS:
            self.in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in self.SKIPPED
        self.in_cell = self.in_cell and tag not in self.CELLS

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if self.depth or not words:
            return
        self.text.append(words)
        if self.in_cell:
            self.cells[-1] = f"{self.cells[-1]} {words}".strip()


def _html(content: bytes) -> Facts:
    page = _Page()
    page.feed(content.decode())
    page.close()
    numbers = NUMBER.findall(" ".join(page.text))
    return {"text": page.text, "cells": page.cells, "numbers": numbers, "ids": page.ids}


def _lines(content: bytes) -> Facts:
    """Lines of text; the bytes of what is none."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {BYTES: content}
    return {BYTES: content} if "\0" in text else {LINES: text.split("\n")}


def _picture(content: bytes) -> Facts:
    return {BYTES: content}


READERS: dict[str, Callable[[bytes], Facts]] = {
    ".parquet": _parquet,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".tar": _tar,
    ".tgz": _tar,
    ".tar.gz": _tar,
    ".gz": _gzip,
    ".roaring": _roaring,
    ".csv": _csv,
    ".tsv": _tsv,
    ".md": _markdown,
    ".html": _html,
    ".svg": _picture,
}
