"""Lists of samples, as other tools keep them: the pool rows that they name, and writing one.

A list is a NumPy file (DataComp's subsets: uids as pairs of 64-bit numbers, dtype ``u8,u8``; or
whole numbers, which are rows), a Parquet file with a column of the entries, or a text file with one
a line. What an entry is, ``by`` says:

* ``uid``: the identity that the pool publishes (``pool_uid``), of a row without one the hash of
  its picture (``uid``), as in exports. Case and leading zeros of hexadecimal uids are nothing.
* ``key``: of the sample. Downloads repeat keys: every row that has one is named by it.
* ``url``: with the caption, in a Parquet file with both columns, by the manifest's ``source_id``;
  alone, by the JSON in the pool's shards, which are read for it.
* ``row``: of this very pool.

Shapes: K entries, N rows of a block.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64, UInt64

from clipcause.config import nearest
from clipcause.data import place, shards
from clipcause.data.dataset import source_id
from clipcause.data.manifest import Manifest
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import atomic

By = Literal["uid", "key", "url", "row"]
PAIR = np.dtype("u8,u8")
BLOCK_ROWS = 1 << 22
# a uid in hexadecimal, of which a tool may have cut the zeros in front off
HEXADECIMAL = "^[0-9a-fA-F]{24,32}$"
DIGITS = 32
CAPTIONS = ("caption", "text", "TEXT")  # the column beside a url
KINDS = (".npy", ".parquet", ".txt")


class Found(NamedTuple):
    """The rows that a list names, and how many entries it has, distinct ones, and of those how many
    the pool has."""

    rows: Split
    entries: int
    distinct: int
    found: int


@dataclass(frozen=True)
class Pairs:
    """Entries of 128 bits: distinct, ascending."""

    pair_K: np.ndarray

    def __len__(self) -> int:
        return len(self.pair_K)

    @cached_property
    def high_K(self) -> UInt64[np.ndarray, " K"]:  # noqa: N802 - the suffix is the shape
        """The first halves, by which entries are looked up."""
        return np.ascontiguousarray(self.pair_K["f0"])

    def at(self, number_N2: UInt64[np.ndarray, "N 2"]) -> Int64[np.ndarray, " N"]:
        """The position of each number among the entries, -1 where it is none."""
        found_N = np.full(len(number_N2), -1)
        at_N = np.searchsorted(self.high_K, number_N2[:, 0])
        open_N = np.arange(len(number_N2))
        while len(open_N):  # entries of one first half follow one another
            here = at_N[open_N]
            open_N = open_N[here < len(self)]
            here = at_N[open_N]
            open_N = open_N[self.high_K[here] == number_N2[open_N, 0]]
            here = at_N[open_N]
            same = self.pair_K["f1"][here] == number_N2[open_N, 1]
            found_N[open_N[same]] = here[same]
            open_N = open_N[~same]
            at_N[open_N] += 1
        return found_N


@dataclass(frozen=True)
class Entries:
    """What a list names: numbers of 128 bits, other texts, or rows; all distinct."""

    entries: int
    pairs: Pairs
    texts: pa.Array
    rows: Int64[np.ndarray, " K"] | None = None

    @property
    def distinct(self) -> int:
        """How many there are of all kinds."""
        rows = 0 if self.rows is None else len(self.rows)
        return len(self.pairs) + len(self.texts) + rows


def find(path: Path, by: By, column: str | None, pool: Manifest) -> Found:
    """The rows of ``pool`` that the list at ``path`` names; a split's folder is a list of its rows.

    ``column`` is that of a Parquet file; by default it is called as ``by`` says. Raises
    ``ValueError`` for a file that is none of the kinds, and where the pool has none of its entries.
    """
    if path.is_dir():
        made = _of_split(path, pool)
        return Found(made, len(made), len(made), len(made))
    listed, name = _read(path, by, column)
    if listed.rows is not None:
        inside = listed.rows[(listed.rows >= 0) & (listed.rows < len(pool))]
        found = Found(split.from_rows(inside), listed.entries, listed.distinct, len(inside))
    else:
        found = _matched(listed, name, pool)
    if not found.found:
        raise ValueError(
            f"{path}: the pool has none of its {listed.entries:,} entries by {by}; is it of this "
            "pool? `by` says what an entry is: uid, key, url or row"
        )
    return found


def _of_split(folder: Path, pool: Manifest) -> Split:
    made = split.read(folder)
    if made.card.get("pool") != pool.sha256:
        raise ValueError(
            f"{folder}: a split of another pool; `python -m clipcause project {folder} A B OUT` "
            "carries it from its pool's manifest A to this one's, B"
        )
    return made


def _matched(listed: Entries, name: str, pool: Manifest) -> Found:
    """The rows whose identity ``name`` is among the entries."""
    mask_N = np.zeros(len(pool), bool)
    pair_K, text_K = np.zeros(len(listed.pairs), bool), np.zeros(len(listed.texts), bool)
    for start, identity_N in _blocks(pool, name):
        hexadecimal_N, number_M2 = numbers(identity_N)
        rows_M = start + np.flatnonzero(hexadecimal_N)
        at_M = listed.pairs.at(number_M2)
        mask_N[rows_M[at_M >= 0]] = True
        pair_K[at_M[at_M >= 0]] = True
        if len(listed.texts):
            options = pc.SetLookupOptions(listed.texts)
            at = pc.call_function("index_in", [identity_N], options)
            mask_N[start : start + len(identity_N)] |= at.is_valid().to_numpy(False)
            text_K[at.drop_null().to_numpy(False)] = True
    both = int(pair_K.sum()) + int(text_K.sum())
    return Found(split.from_mask(mask_N), listed.entries, listed.distinct, both)


def _blocks(pool: Manifest, name: str) -> Iterator[tuple[int, pa.Array]]:
    """The identity ``name`` of all rows, some millions of them at a time."""
    start, held = 0, []
    for position in range(len(pool.shards)):
        held.append(identities(pool, position, name))
        count = sum(map(len, held))
        if count >= BLOCK_ROWS or position == len(pool.shards) - 1:
            yield start, pa.concat_arrays(held)
            start, held = start + count, []


def identities(pool: Manifest, position: int, name: str) -> pa.Array:
    """What a shard's rows are called: ``uid`` (the pool's own before ours), ``key``, ``source_id``,
    or ``url``, for which the shard's JSON is read."""
    if name == "url":
        return pa.array(_urls(pool, position), pa.string())
    if name != "uid":
        return pool.shard_table(position, [name])[name].combine_chunks()
    table = pool.shard_table(position, ["pool_uid", "uid"])
    return pc.call_function("coalesce", [table["pool_uid"], table["uid"]]).combine_chunks()


def _urls(pool: Manifest, position: int) -> Iterator[str | None]:
    path = pool.place(position)
    shards.check_facts(path, pool.shards[position], place.facts(path))
    members = pool.members(position)
    there_N = members["json_offset"].is_valid().to_numpy()
    offset_M, size_M = (
        members[name].drop_null().to_numpy() for name in ("json_offset", "json_size")
    )
    spans = [(int(a), int(a + size)) for a, size in zip(offset_M, size_M, strict=True)]
    content = iter(place.pieces(path, spans))
    for there in there_N:
        yield _url(next(content)) if there else None


def _url(content: bytes) -> str | None:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return None
    stated = facts.get("url") if isinstance(facts, dict) else None
    return stated if isinstance(stated, str) and stated else None


def numbers(
    identity_N: pa.Array,
) -> tuple[Bool[np.ndarray, " N"], UInt64[np.ndarray, "M 2"]]:
    """Which identities are numbers in hexadecimal, and these M as two halves each."""
    options = pc.MatchSubstringOptions(HEXADECIMAL)
    is_number = pc.call_function("match_substring_regex", [identity_N], options).fill_null(False)
    digits = "".join(one.zfill(DIGITS) for one in identity_N.filter(is_number).to_pylist())
    halves_M2 = np.frombuffer(bytes.fromhex(digits), ">u8").reshape(-1, 2).astype(np.uint64)
    return is_number.to_numpy(False), halves_M2


def _read(path: Path, by: By, column: str | None) -> tuple[Entries, str]:
    """The entries of a file, and the identity of rows that they are compared with."""
    if path.suffix == ".npy":
        return _of_array(path, by)
    if path.suffix == ".parquet":
        texts, name = _of_parquet(path, by, column)
    elif path.suffix == ".txt":
        lines = path.read_text("utf-8-sig").split("\n")
        texts, name = pa.array([line.strip() for line in lines if line.strip()], pa.string()), by
    else:
        raise ValueError(f"{path}: a list is one of {', '.join(KINDS)}, or a split's folder")
    if by == "row":
        try:
            row_K = pc.cast(texts, pa.int64()).to_numpy(False)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: rows are whole numbers: {error}") from None
        return Entries(len(texts), _pairs([]), pa.array([], pa.string()), np.unique(row_K)), by
    if by == "key":  # a key of digits is no number
        return Entries(len(texts), _pairs([]), texts.unique()), name
    is_number, number_M2 = numbers(texts)
    others = texts.filter(pa.array(~is_number)).unique()
    return Entries(len(texts), _pairs(number_M2), others), name


def _pairs(number_M2: Iterable) -> Pairs:
    return sorted_pairs(number_M2)[0]


def sorted_pairs(number_M2: Iterable) -> tuple[Pairs, Int64[np.ndarray, " K"]]:
    """Numbers of two halves each, distinct, ascending; and where each came first."""
    number_M2 = np.asarray(number_M2, np.uint64).reshape(-1, 2)
    order = np.lexsort((number_M2[:, 1], number_M2[:, 0]))
    sorted_M2 = number_M2[order]
    first_M = np.ones(len(sorted_M2), bool)
    first_M[1:] = (sorted_M2[1:] != sorted_M2[:-1]).any(axis=1)
    pair_K = np.ascontiguousarray(sorted_M2[first_M]).view(PAIR).reshape(-1)
    return Pairs(pair_K), order[first_M]


def _of_array(path: Path, by: By) -> tuple[Entries, str]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a readable array: {error}") from None
    none = pa.array([], pa.string())
    if array.ndim == 1 and array.dtype == PAIR and by == "uid":
        halves = np.ascontiguousarray(array).view(np.uint64).reshape(-1, 2)
        return Entries(len(array), _pairs(halves), none), by
    if array.ndim == 1 and array.dtype.kind in "iu" and by == "row":
        return Entries(len(array), _pairs([]), none, np.unique(array.astype(np.int64))), by
    raise ValueError(
        f"{path}: {array.dtype} of shape {array.shape}; an array has uids, dtype u8,u8 (by: uid), "
        "or whole numbers (by: row)"
    )


def _of_parquet(path: Path, by: By, column: str | None) -> tuple[pa.Array, str]:
    file = atomic.open_parquet(path)
    there, wanted = file.schema_arrow.names, column or by
    if wanted not in there:
        raise ValueError(
            f"{path}: no column {wanted!r}; {nearest(wanted, there)}; `column` names it"
        )
    caption = next((name for name in CAPTIONS if name in there), None)
    columns = [wanted] if by != "url" or caption is None else [wanted, caption]
    table = pq.read_table(path, columns=columns, partitioning=None)
    try:
        texts = table[wanted].cast(pa.int64() if by == "row" else pa.string()).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{path}: column {wanted!r}: {error}") from None
    if len(columns) == 1:
        return texts.drop_null().combine_chunks(), by
    pairs = zip(texts.to_pylist(), table[caption].to_pylist(), strict=True)
    # `prepare` strips a caption before it is hashed
    ids = [source_id(url, str(said).strip()) for url, said in pairs if url and said]
    return pa.array(ids, pa.string()), "source_id"


def write(path: Path, chosen: Split, pool: Manifest, by: By) -> int:
    """Write the rows of a split as a list; how many entries it has.

    ``.npy``: distinct uids as DataComp's resharder wants them, pairs of 64-bit numbers ascending,
    or rows. ``.txt``: uids (distinct, ascending), or keys, URLs or rows in the pool's order.
    ``.parquet``: row, uid, shard and key, and url where it is by URL. Raises ``ValueError`` for
    uids that are no numbers, where numbers are written.
    """
    if path.suffix not in KINDS:
        raise ValueError(f"{path}: a list is one of {', '.join(KINDS)}")
    if path.suffix == ".parquet":
        return _write_parquet(path, chosen, pool, by)
    if path.suffix == ".npy" and by not in ("uid", "row"):
        raise ValueError(f"{path}: an array has uids or rows; write {by}s as .txt or .parquet")
    if by in ("uid", "row"):
        entries = _uids(path, chosen, pool) if by == "uid" else chosen.rows
        lines = (
            [f"{high:016x}{low:016x}" for high, low in entries.tolist()] if by == "uid" else entries
        )
    else:
        parts = (texts.drop_null().to_pylist() for _, texts in _chosen(chosen, pool, by))
        entries = lines = [text for part in parts for text in part]
    with atomic.file(path) as temporary, temporary.open("wb") as stream:
        if path.suffix == ".npy":
            np.save(stream, entries)
        else:
            stream.writelines(f"{line}\n".encode() for line in lines)
    return len(entries)


def _uids(path: Path, chosen: Split, pool: Manifest) -> np.ndarray:
    found = [np.empty((0, 2), np.uint64)]
    for position, texts in _chosen(chosen, pool, "uid"):
        is_number, halves = numbers(texts)
        if not is_number.all():
            odd = texts[int(np.flatnonzero(~is_number)[0])].as_py()
            raise ValueError(
                f"{pool.place(position)}: uid {odd!r} is no number of 32 hexadecimal digits, as "
                f"DataComp has them; write {path.with_suffix('.parquet')}"
            )
        found.append(halves)
    return _pairs(np.concatenate(found)).pair_K


def _chosen(chosen: Split, pool: Manifest, name: str) -> Iterator[tuple[int, pa.Array]]:
    """The identities of a split's rows, shard by shard."""
    for position in range(len(pool.shards)):
        mask_M = chosen.within(*pool.starts[position : position + 2])
        if mask_M.any():
            yield position, identities(pool, position, name).filter(pa.array(mask_M))


def _write_parquet(path: Path, chosen: Split, pool: Manifest, by: By) -> int:
    names = ["row", "uid", "shard", "key", *(["url"] if by == "url" else [])]
    types = [pa.int64(), *[pa.string()] * (len(names) - 1)]
    schema = pa.schema(zip(names, types, strict=True))
    with atomic.file(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for position in range(len(pool.shards)):
            mask_M = pa.array(chosen.within(*pool.starts[position : position + 2]))
            if not mask_M.true_count:
                continue
            table = pool.shard_table(position, ["row", "shard", "key"])
            columns = {name: table[name] for name in table.column_names}
            columns |= {
                name: identities(pool, position, name) for name in names if name not in columns
            }
            writer.write_table(pa.table(columns).select(names).cast(schema).filter(mask_M))
    return len(chosen)


def digest(path: Path) -> str:
    """SHA-256 of a list's file, or of a split's rows."""
    return shards.digest(path / split.ROWS if path.is_dir() else path)
