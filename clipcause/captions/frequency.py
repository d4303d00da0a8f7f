"""Class frequency: how many captions of the pool mention each class, and which ones do.

``frequency/<list>/`` holds ``counts.parquet`` (class id, name, count; in the order of the class
list), ``matches.parquet`` (pool row, class id; sorted) and ``card.json``: the pool's manifest hash,
the matcher and what it was made with. Class ids travel with every count, so that vectors are
joined by them and never by position.

Shapes: C classes, M matches.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from clipcause.runtime import atomic

COUNTS = "counts.parquet"
MATCHES = "matches.parquet"
CARD = "card.json"
COUNTS_SCHEMA = pa.schema([("class", pa.string()), ("name", pa.string()), ("count", pa.int64())])
MATCHES_SCHEMA = pa.schema([("row", pa.int64()), ("class", pa.dictionary(pa.int32(), pa.string()))])


@dataclass(frozen=True)
class Frequency:
    """Counts by class id."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    count_C: Int64[np.ndarray, " C"]

    def of(self, classes: Sequence[str]) -> Int64[np.ndarray, " C"]:
        """The counts of these class ids, in their order.

        Raises ``ValueError`` unless they are the same classes: a frequency of others says nothing.
        """
        count = dict(zip(self.classes, self.count_C.tolist(), strict=True))
        lacking = [key for key in classes if key not in count]
        extra = sorted(count.keys() - set(classes))
        if lacking or extra or len(set(classes)) != len(classes):
            raise ValueError(
                f"the frequency is of {len(count)} classes, {len(classes)} are asked for: "
                f"{len(lacking)} have no count (first {lacking[:1]}), {len(extra)} are not asked "
                f"for (first {extra[:1]})"
            )
        return np.array([count[key] for key in classes], np.int64)


def write(
    folder: Path,
    found: Frequency,
    matches: Iterable[tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]],
    card: Mapping[str, Any],
) -> None:
    """Write counts, and matches part by part: pool rows and positions in ``found.classes``.

    Raises ``ValueError`` where the matches do not ascend or do not add up to the counts.
    """
    classes = pa.array(found.classes, pa.string())
    total_C = np.zeros(len(classes), np.int64)
    last = -1
    with atomic.folder(folder) as out:
        with pq.ParquetWriter(out / MATCHES, MATCHES_SCHEMA, compression="zstd") as writer:
            for row_M, class_M in matches:
                order_M = row_M * len(classes) + class_M
                if len(order_M) and np.diff(order_M, prepend=last).min() < 1:
                    raise ValueError(f"{folder}: matches do not ascend by row and class")
                last = int(order_M[-1]) if len(order_M) else last
                total_C += np.bincount(class_M, minlength=len(classes))
                named = pa.DictionaryArray.from_arrays(pa.array(class_M, pa.int32()), classes)
                writer.write_table(pa.table([row_M, named], schema=MATCHES_SCHEMA))
        if not np.array_equal(total_C, found.count_C):
            raise ValueError(f"{folder}: {total_C.sum()} matches, counts of {found.count_C.sum()}")
        columns = [list(found.classes), list(found.names), found.count_C]
        atomic.write_parquet(out / COUNTS, pa.table(columns, schema=COUNTS_SCHEMA))
        (out / CARD).write_bytes(atomic.encode_json(dict(card)))


def read(folder: Path) -> Frequency:
    """The counts. Raises ``ValueError`` for a class that comes twice or a negative count."""
    table = atomic.read_parquet(folder / COUNTS, COUNTS_SCHEMA)
    classes, names = table["class"].to_pylist(), table["name"].to_pylist()
    return _checked(str(folder / COUNTS), classes, names, table["count"].to_numpy())


@dataclass(frozen=True)
class Matches:
    """The matches on disk, of which a range of pool rows is read at a time."""

    folder: Path
    classes: tuple[str, ...]  # those of the counts, which `class_M` counts in

    def __len__(self) -> int:
        return self._parquet.metadata.num_rows

    def __reduce__(self) -> tuple[Any, ...]:
        # an open file is not for other processes
        return (Matches, (self.folder, self.classes))

    def between(
        self, start: int, stop: int
    ) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]:
        """Pool rows from ``start`` to ``stop - 1`` and positions of classes, sorted.

        Memory holds the parts of the file that have such rows, a part being a shard of the pool.
        """
        least_P, most_P = self._bounds
        parts = np.flatnonzero((least_P < stop) & (most_P >= start)).tolist()
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        row_M, class_M = self._columns(self._parquet.read_row_groups(parts))
        inside = slice(*np.searchsorted(row_M, (start, stop)))
        return row_M[inside], class_M[inside]

    def sha256(self) -> str:
        """The hash of the file, which decides what is made of it."""
        with (self.folder / MATCHES).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def parts(self) -> Iterator[tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]]:
        """All matches in order, part by part."""
        for number in range(self._parquet.num_row_groups):
            yield self._columns(self._parquet.read_row_group(number))

    def _columns(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        column = table["class"].unify_dictionaries().combine_chunks()
        at_D = np.array([self._place[key] for key in column.dictionary.to_pylist()], np.int64)
        row_M, code_M = table["row"].to_numpy(), column.indices.to_numpy()
        return row_M, at_D[code_M] if len(code_M) else np.empty(0, np.int64)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {key: at for at, key in enumerate(self.classes)}

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        return atomic.open_parquet(self.folder / MATCHES)

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest row of every part; a part without rows has none within.

        Of a part whose file says no bounds, which a rewrite may leave out, any row may be in it.
        """
        footer = self._parquet.metadata
        pairs = []
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            known = group.column(0).statistics
            if known is not None and known.has_min_max:
                pairs.append((known.min, known.max))
            else:
                pairs.append((0, np.iinfo(np.int64).max if group.num_rows else -1))
        return np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int64)


def matches(folder: Path) -> Matches:
    """Open the matches. Raises ``FileNotFoundError`` or ``ValueError`` naming the file."""
    opened = Matches(folder, read(folder).classes)
    path = folder / MATCHES
    atomic.check_schema(path, atomic.open_parquet(path).schema_arrow, MATCHES_SCHEMA)
    return opened


def of_rows(folder: Path, row_K: Int64[np.ndarray, " K"]) -> Frequency:
    """How many of these pool rows (ascending, such as a split's) mention each class.

    In the order of the class list, a class that none mentions with 0. Memory holds a part.
    """
    whole = read(folder)
    count_C = np.zeros(len(whole.classes), np.int64)
    for row_M, class_M in matches(folder).parts():
        if len(row_M):
            inside_K = row_K[slice(*np.searchsorted(row_K, (row_M[0], row_M[-1] + 1)))]
            count_C += np.bincount(class_M[np.isin(row_M, inside_K)], minlength=len(count_C))
    return Frequency(whole.classes, whole.names, count_C)


def read_card(folder: Path) -> dict[str, Any]:
    """What the counts are of: pool, class list, matcher, WordNet and its version."""
    return atomic.read_json(folder / CARD)


def read_lines(path: Path) -> list[tuple[str, int]]:
    """The names, or class ids, of a published file and their counts, in the order of its lines.

    Raises ``ValueError`` naming the line that is not `name<TAB>count`.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        name, tab, text = line.rpartition("\t")
        if not tab or not text.strip().isdecimal():
            raise ValueError(f"{path}: line {number}: {line!r} is not a name, a tab and a count")
        found.append((name, int(text)))
    return found


def read_published(path: Path, classes: Mapping[str, str]) -> Frequency:
    """A published ``name<TAB>count`` file, a line a class, joined by name, or by id where more of
    its lines have one.

    ``classes`` maps class ids to names. Published files are in the order of their classes: names
    that several classes have (ImageNet's two missiles) are theirs in turn, if the file has the
    order of ``classes``. Raises ``ValueError`` naming line and name where the two do not have the
    same names, or a name could be either class's.
    """
    lines = read_lines(path)
    names = set(classes.values())
    is_by_id = sum(name in classes for name, _ in lines) > sum(name in names for name, _ in lines)
    owners: dict[str, list[str]] = {}
    for key, name in classes.items():
        owners.setdefault(key if is_by_id else name, []).append(key)
    is_ordered = [name for name, _ in lines] == list(classes.values())
    left = {name: list(keys) for name, keys in owners.items()}
    count: dict[str, int] = {}
    for number, (name, value) in enumerate(lines, 1):
        if name not in owners:
            raise ValueError(f"{path}: line {number}: {name!r} is no class of the list")
        if len(owners[name]) > 1 and not is_ordered:
            raise ValueError(
                f"{path}: line {number}: {name!r} is the name of {' and of '.join(owners[name])}, "
                "and the file has not the list's names in the list's order, which would tell them "
                "apart; put class ids in place of names"
            )
        if not left[name]:
            raise ValueError(f"{path}: line {number}: {name!r} comes twice")
        count[left[name].pop(0)] = value
    if lacking := [name for name, keys in left.items() if keys]:
        raise ValueError(f"{path}: no count for {len(lacking)} classes, first {lacking[0]!r}")
    counts = np.array([count[key] for key in classes], np.int64)
    return _checked(str(path), list(classes), list(classes.values()), counts)


def _checked(
    where: str, classes: list[str], names: list[str], count_C: Int64[np.ndarray, " C"]
) -> Frequency:
    if len(set(classes)) != len(classes):
        raise ValueError(f"{where}: a class comes twice")
    if len(count_C) and count_C.min() < 0:
        raise ValueError(f"{where}: {classes[int(count_C.argmin())]} has a negative count")
    return Frequency(tuple(classes), tuple(names), count_C)
