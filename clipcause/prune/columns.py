"""The columns of a pool by which its rows can be chosen, read some shards at a time.

Three kinds have one name space: what the manifest keeps of the pool's own metadata (the option
``columns`` of its data set), which goes first where names are the same; the manifest's own; and
what follows from them (``DERIVED``), which ``docs/definitions.md`` defines.

Shapes: M consecutive rows of the pool, a block.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipcause.config import nearest
from clipcause.data.manifest import COLUMNS, SCHEMA, Manifest
from clipcause.prune import languages, words

# shards of less are read and looked at together: a call costs more than the rows of one
BLOCK_ROWS = 1 << 14
# a list has no order, and the number of a row is what ties go by
OWN = tuple(name for name in SCHEMA.names if name not in ("row", "captions"))


@dataclass(frozen=True)
class Derived:
    """A column that follows from others of the manifest, a value a row or null."""

    of: tuple[str, ...]
    make: Callable[..., pa.Array]
    facts: Callable[[], Mapping[str, Any]] = dict  # by what it was made, for a split's card
    title: str = ""  # in tables and figures; by default its name


def aspect(width_M: pa.Array, height_M: pa.Array) -> pa.Array:
    """The long side by the short one: 1 of a square, never less."""
    longer = pc.call_function("max_element_wise", [width_M, height_M], _NULLS)
    shorter = pc.call_function("min_element_wise", [width_M, height_M], _NULLS)
    return pc.call_function("divide", [longer.cast(pa.float64()), shorter.cast(pa.float64())])


def short_side(width_M: pa.Array, height_M: pa.Array) -> pa.Array:
    """The short side in pixels."""
    return pc.call_function("min_element_wise", [width_M, height_M], _NULLS)


def pixels(width_M: pa.Array, height_M: pa.Array) -> pa.Array:
    """Width times height."""
    return pc.call_function("multiply", [width_M.cast(pa.int64()), height_M.cast(pa.int64())])


def caption_words(caption_M: pa.Array) -> pa.Array:
    """Pieces of the caption between white space, as ``str.split`` has them."""
    missing_M = caption_M.is_null().to_numpy(zero_copy_only=False)
    return pa.array(words.count(caption_M), pa.int32(), mask=missing_M)


def caption_characters(caption_M: pa.Array) -> pa.Array:
    """Unicode code points of the caption, as ``len`` counts."""
    return pc.call_function("utf8_length", [caption_M])


_NULLS = pc.ElementWiseAggregateOptions(skip_nulls=False)
SIDES = ("width", "height")
ORIGINAL = ("original_width", "original_height")  # img2dataset's and DataComp's names
DERIVED = {
    "aspect": Derived(SIDES, aspect, title="aspect ratio"),
    "short_side": Derived(SIDES, short_side, title="short side in pixels"),
    "pixels": Derived(SIDES, pixels, title="number of pixels"),
    "caption_words": Derived(("caption",), caption_words, title="words of the caption"),
    "caption_characters": Derived(
        ("caption",), caption_characters, title="characters of the caption"
    ),
    "language": Derived(("caption",), languages.of, languages.facts),
}
KNOWN = (*OWN, *DERIVED)


def check(where: str, name: str, kept: tuple[str, ...]) -> None:
    """Raise ``ValueError`` for a column that a pool does not have, with the nearest that it has;
    ``kept`` are those of its own metadata."""
    if name not in (known := {*kept, *KNOWN}):
        raise ValueError(
            f"{where}: no column {name!r}; {nearest(name, known)} (the option `columns` of the "
            "pool's data set names what is kept of its own metadata)"
        )


def facts(pool: Manifest, name: str) -> dict[str, Any]:
    """Of what a column is made, and by what, for a split's card."""
    if name in pool.kept_names:
        return {"column_of": "the pool's own metadata"}
    derived = DERIVED.get(name)
    if derived is None:
        return {"column_of": "the manifest"}
    return {"column_of": list(_sources(pool, derived)), **derived.facts()}


def blocks(pool: Manifest, name: str) -> Iterator[tuple[int, pa.Array]]:
    """First row and values of consecutive blocks of rows; NaN is null. A block is a shard, or as
    many small ones as reach ``BLOCK_ROWS``: memory holds one.

    Raises ``ValueError`` for a column that the pool does not have.
    """
    check(str(pool.folder), name, pool.kept_names)
    derived = None if name in pool.kept_names else DERIVED.get(name)
    sources = (name,) if derived is None else _sources(pool, derived)
    kept = (derived is None and name in pool.kept_names) or sources == ORIGINAL
    read = [f"{COLUMNS}.{one}" if kept else one for one in sources]
    for start, table in _tables(pool, read):
        own = table[COLUMNS].combine_chunks() if kept else None
        arrays = [
            table[one].combine_chunks() if own is None else _without_nan(own.field(one))
            for one in sources
        ]
        yield start, arrays[0] if derived is None else _without_nan(derived.make(*arrays))


def _tables(pool: Manifest, names: list[str]) -> Iterator[tuple[int, pa.Table]]:
    """First row and rows of consecutive shards, of small ones together."""
    first, held = 0, []
    for position, stop in enumerate(pool.starts[1:]):
        held.append(pool.shard_table(position, names))
        if stop - first >= BLOCK_ROWS or stop == len(pool):
            yield first, pa.concat_tables(held)
            first, held = stop, []


def _sources(pool: Manifest, derived: Derived) -> tuple[str, ...]:
    """Of what a column is made: of the sizes that pictures had, where the pool keeps them."""
    known = derived.of == SIDES and set(ORIGINAL) <= set(pool.kept_names)
    return ORIGINAL if known else derived.of


def _without_nan(values_M: pa.Array) -> pa.Array:
    if not pa.types.is_floating(values_M.type):
        return values_M
    nan_M = pc.call_function("is_nan", [values_M])
    if not pc.call_function("any", [nan_M]).as_py():
        return values_M
    return pc.call_function("if_else", [nan_M, pa.scalar(None, values_M.type), values_M])
