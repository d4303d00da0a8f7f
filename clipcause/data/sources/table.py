"""`table`: captions and labels without images, in Parquet, TSV or CSV files (TSV and CSV also .gz).

LAION's metadata (URL, TEXT, …) and ImageNet-Captions are such. What can be studied without an image
(class frequencies, splits by caption) needs no more. The tables stay where they are; each is cut
into shards of 262,144 rows, so that memory holds one of these. TSV has no quotes, CSV has.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import Field

from clipcause.config import versions
from clipcause.config.datasets import NONE, Prepare
from clipcause.data import cells, kept, place, signatures
from clipcause.data.cells import NotParquetError
from clipcause.data.dataset import Drop
from clipcause.data.in_place import Part, with_columns
from clipcause.data.place import Facts
from clipcause.data.shards import Shard
from clipcause.data.source import InPlace
from clipcause.data.sources import columns, hashing
from clipcause.runtime.notices import notice
from clipcause.runtime.progress import progress

PARQUET, TSV, CSV = (".parquet",), (".tsv", ".tsv.gz"), (".csv", ".csv.gz")
ROWS = 1 << 18  # of a shard
BLOCK = 1 << 24  # bytes of a CSV file that are parsed at once; a line is no longer
JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz")
SEPARATORS = ("\t", ";", ",", "|")
SHOWN = 80  # characters of a bad line


class Table(InPlace):
    """Captions and labels without images, in Parquet, TSV or CSV (.gz) files.

    The columns; `none` for one that the files do not have. The defaults are those of LAION's
    metadata.
    """

    source: Literal["table"]
    caption: str = "TEXT"
    url: str = "URL"
    label: str = "none"
    key: str = "none"  # none: numbers in the order of the file
    width: str = "WIDTH"
    height: str = "HEIGHT"
    uid: str = "none"  # the identity that the pool itself publishes, as DataComp does
    # the columns of TSV and CSV files whose first line does not name them, in order
    header: list[str] = Field(default_factory=list)
    # what stands between the columns of these; none: tabs in TSV, commas in CSV
    separator: Literal["none", ",", ";", "|", "\t"] = NONE
    # further columns that the manifest keeps, for rules
    columns: list[str] = Field(default_factory=list)

    def parts(self, where: str, settings: Prepare, name: str) -> tuple[str, Iterator[Part]]:  # noqa: ARG002
        """The tables in the order of their names, cut."""
        versions.check("pillow")
        base, found = read_table(where, self)
        return base, progress(found, label=f"prepare {name}", unit="parts")


def read_table(where: str, options: Table, rows: int = ROWS) -> tuple[str, Iterator[Part]]:
    """The folder or URL that the tables lie in, and their shards in the order of the names.

    ``where`` is a folder, a URL, or one file. Rows without a caption, with a value that is no text
    or with another number of columns go to the ledger. Raises ``FileNotFoundError`` or
    ``ValueError`` with the file, for one that is missing or damaged and for a missing column.
    """
    base, files = _files(where)
    _tell_of_pictures(base, next(iter(files.items())), options)
    return base, _parts(base, files, options, rows)


def _tell_of_pictures(base: str, first: tuple[str, Facts], options: Table) -> None:
    """Say that a file has pictures, which are left out here."""
    name, facts = first
    path = place.join(base, name)
    if not name.endswith(PARQUET):
        return
    with suppress(NotParquetError):
        schema = cells.footer(path, facts.bytes).metadata.schema.to_arrow_schema()
        texts = {options.caption, options.url, options.label, options.key, options.uid}
        if held := [one for one in cells.pictures(schema) if one not in texts]:
            which = f"the column {held[0]!r} looks like images, which source: table leaves out"
            notice(path, f"{which}; source: parquet reads them")


def _files(where: str) -> tuple[str, dict[str, Facts]]:
    known = (*PARQUET, *TSV, *CSV)
    if where.endswith(known):
        name = PurePosixPath(where).name
        return where[: -len(name) - 1] or ".", {name: place.facts(where)}
    found = {} if where.endswith(JSON_LINES) else place.listing(where)
    if files := {name: facts for name, facts in found.items() if name.endswith(known)}:
        return where, files
    lines = next((name for name in [where, *found] if name.endswith(JSON_LINES)), "")
    hint = (
        f"; lines of JSON ({lines}) are read beside pictures, by `metadata` of source: folder; "
        "else write them as Parquet"
        if lines
        else ""
    )
    raise FileNotFoundError(f"{where}: no tables there ({', '.join(known)}){hint}")


def _parts(base: str, files: dict[str, Facts], options: Table, rows: int) -> Iterator[Part]:
    names = {
        role: getattr(options, role)
        for role in ("caption", "url", "label", "key", "width", "height", "uid")
    }
    for name, facts in files.items():
        path = place.join(base, name)
        _check_kind(path)
        sha256 = hashing.sha256(path, facts.bytes)
        start = 0
        with place.opened(path) as stream:
            for number, (table, broken) in enumerate(_tables(path, stream, options, names, rows)):
                shard = f"{name}#{number}"
                found = columns.rows(table, names, start)
                drops = [*broken, *_lacking(found, shard)]
                if options.columns:
                    held = kept.of_table(path, options.columns, table)
                    found = found._replace(table=with_columns(found.table, held))
                stay = columns.without(found, [one.place for one in found.lacking])
                yield Part(Shard(shard, sha256, facts.bytes, stay.num_rows), stay, drops)
                start += table.num_rows


def _check_kind(path: str) -> None:
    """Raise ``ValueError`` for a file that is called a table and is something else."""
    expected = b""
    if path.endswith((".parquet", ".gz")):
        expected = signatures.PARQUET if path.endswith(PARQUET) else signatures.GZIP
    if what := signatures.called(place.beginning(path), expected):
        raise ValueError(f"{path}: it is {what}")


def _lacking(found: columns.Rows, shard: str) -> list[Drop]:
    keys = found.table["key"]
    return [Drop(shard, keys[at].as_py(), reason, detail) for at, reason, detail in found.lacking]


def _tables(
    path: str, stream: Any, options: Table, names: columns.Names, rows: int
) -> Iterator[tuple[pa.Table, list[Drop]]]:
    """Tables of ``rows`` rows, the last of fewer, and the lines before them that are none."""
    broken: list[Drop] = []
    waiting: list[pa.RecordBatch] = []
    try:
        batches = (
            _parquet(path, stream, options, names, rows)
            if path.endswith(PARQUET)
            else _lines(path, stream, options, names, broken)
        )
        for batch in batches:
            waiting.append(batch)
            while sum(batch.num_rows for batch in waiting) >= rows:
                table = pa.Table.from_batches(waiting)
                yield table.slice(0, rows), list(broken)
                broken.clear()
                waiting = table.slice(rows).to_batches()
    except (pa.ArrowInvalid, EOFError, OSError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: cannot be read to its end: {error}; fetch it again") from None
    if waiting or broken:
        table = pa.Table.from_batches(waiting) if waiting else None
        if table is None:
            wanted = columns.wanted(names, options.columns)
            table = pa.table({name: pa.array([], pa.string()) for name in wanted})
        yield table, list(broken)


def _parquet(
    path: str, stream: Any, options: Table, names: columns.Names, rows: int
) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(stream)
    columns.check(path, file.schema_arrow.names, names)
    columns.check_types(path, file.schema_arrow, names)
    kept.check(path, options.columns, file.schema_arrow.names)
    yield from file.iter_batches(batch_size=rows, columns=columns.wanted(names, options.columns))


def _lines(
    path: str, stream: Any, options: Table, names: columns.Names, broken: list[Drop]
) -> Iterator[pa.RecordBatch]:
    def odd(row: pyarrow.csv.InvalidRow) -> str:
        text = row.text[:SHOWN]
        detail = f"{row.actual_columns} columns instead of {row.expected_columns}: {text}"
        broken.append(Drop(PurePosixPath(path).name, "", "broken line", detail))
        return "skip"

    tabs = path.endswith(TSV)
    separator = options.separator
    if separator == NONE:
        separator = "\t" if tabs else ","
    found = options.header or _header(path, stream, separator, tabs=tabs)
    try:
        columns.check(path, found, names)
        kept.check(path, options.columns, found)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(found, separator, options)}") from None
    parse = pyarrow.csv.ParseOptions(
        delimiter=separator,
        quote_char=False if tabs else '"',
        newlines_in_values=not tabs,
        invalid_row_handler=odd,
    )
    read = pyarrow.csv.ReadOptions(
        use_threads=False, block_size=BLOCK, column_names=options.header or None
    )
    wanted = columns.wanted(names, options.columns)
    convert = pyarrow.csv.ConvertOptions(
        # as bytes: one caption that is no UTF-8 must not end the file
        check_utf8=False,
        column_types={name: pa.binary() for name in wanted},
        include_columns=wanted,
    )
    inner = pa.PythonFile(stream, "r")
    source = pa.CompressedInputStream(inner, "gzip") if path.endswith(".gz") else inner
    yield from pyarrow.csv.open_csv(source, read, parse, convert)


def _hint(found: list[str], separator: str, options: Table) -> str:
    """What a first line may be that names no column which is asked for."""
    others = [one for one in SEPARATORS if one != separator and one in "".join(found)]
    if len(found) == 1 and others:
        return f"; with {others[0]!r} between the columns, say `separator: {others[0]!r}`"
    if not options.header:
        return "; if the first line names no columns, `header` does, in order"
    return ""


def _header(path: str, stream: Any, separator: str, *, tabs: bool) -> list[str]:
    """The names in the first line; the stream is at its start again."""
    lines = gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream
    line = lines.readline(BLOCK).decode("utf-8-sig", "replace").rstrip("\r\n")
    stream.seek(0)
    return line.split(separator) if tabs else next(csv.reader([line], delimiter=separator), [])
