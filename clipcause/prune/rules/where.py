"""`where`: rows by a column of the pool's manifest.

Published pools come with what others have computed of them (similarity of image and text,
`punsafe`, `pwatermark`, an aesthetic score, a language), and are filtered by it; so are sizes of
pictures and lengths of captions. ``clipcause.prune.columns`` has the columns.

Shapes: N pool rows, M consecutive ones of them, a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Real
from pydantic import Field, FiniteFloat, model_validator

from clipcause.config import layout
from clipcause.prune import columns, split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Keep, Sourceless
from clipcause.prune.sampling import target_size
from clipcause.prune.selection import extreme
from clipcause.prune.sentences import listed, percent


class Where(Sourceless):
    """Rows whose value in ``column`` is at least ``least``, at most ``most``, or ``among`` some; or
    exactly ``keep`` rows, those whose value ``stays``: highest or lowest, ties by row.

    A row without a value (NaN is none) goes, or stays with ``missing: keep``; of ``keep`` rows
    these are the first, then.
    """

    rule: Literal["where"]
    column: str
    least: FiniteFloat | int | None = None
    most: FiniteFloat | int | None = None
    among: list[str | int | float | bool] = Field(default_factory=list)
    keep: Keep | None = None
    stays: Literal["highest", "lowest"] | None = None
    missing: Literal["keep", "drop"] = "drop"

    @model_validator(mode="after")
    def _something(self) -> "Where":
        limits = [one for one in (self.least, self.most) if one is not None]
        if (bool(limits), bool(self.among), self.keep is not None).count(True) != 1:
            raise ValueError(
                "say what stays: least, most or both, the values among which it is, or how many "
                "rows keep"
            )
        if (self.keep is None) != (self.stays is None):
            raise ValueError("keep says how many rows and stays which, highest or lowest: say both")
        if limits != sorted(limits):
            raise ValueError(f"least is {self.least}, which is more than most, {self.most}")
        return self

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """The pool has the column, as far as the parameters say."""
        pool = (content.get("datasets") or {}).get(layout.POOL)
        if isinstance(pool, dict):
            columns.check(f"{where}.column", self.column, tuple(pool.get("columns") or ()))

    def decide(self, given: Inputs) -> Decision:
        """What the column has of every row."""
        facts = columns.facts(given.pool, self.column)
        if self.keep is not None:
            kept_N, counts = self._ranked(given, self.keep)
        else:
            kept_N, counts = self._matching(given)
        return Decision(split.from_mask(kept_N), counts, facts)

    @property
    def subject(self) -> str:
        """The column, and which of its values stay."""
        derived = columns.DERIVED.get(self.column)
        title = derived.title if derived and derived.title else self.column
        return title if self.stays is None else f"{title}, {self.stays}"

    def sentence(self) -> str:
        """The column and its limits, or how many rows."""
        missing = "" if self.missing == "drop" else ", and rows without one"
        if self.keep is not None:
            share = isinstance(self.keep, float)
            rows = f"{percent(self.keep)} of the base" if share else f"{self.keep:,} rows"
            return f"the {rows} whose {self.column} is {self.stays}{missing}"
        if self.among:
            return (
                f"rows whose {self.column} is one of {listed(list(map(str, self.among)))}{missing}"
            )
        least = "" if self.least is None else f"at least {self.least:g}"
        most = "" if self.most is None else f"at most {self.most:g}"
        limits = " and ".join(one for one in (least, most) if one)
        return f"rows whose {self.column} is {limits}{missing}"

    def _matching(self, given: Inputs) -> tuple[Bool[np.ndarray, " N"], dict[str, Any]]:
        kept_N, without = np.zeros_like(given.base_N), 0
        for start, values_M in columns.blocks(given.pool, self.column):
            part = slice(start, start + len(values_M))
            base_M = given.base_N[part]
            try:
                kept_M, missing_M = chosen(values_M, self.least, self.most, self.among)
            except (pa.ArrowException, TypeError):
                asked = self.among or [one for one in (self.least, self.most) if one is not None]
                raise ValueError(
                    f"the pool's column {self.column!r} is {values_M.type}, which cannot be "
                    f"compared with {', '.join(map(repr, asked))}"
                ) from None
            without += int(np.count_nonzero(missing_M & base_M))
            kept_N[part] = (kept_M | missing_M if self.missing == "keep" else kept_M) & base_M
        return kept_N, {"missing": without}

    def _ranked(
        self, given: Inputs, keep: float | int
    ) -> tuple[Bool[np.ndarray, " N"], dict[str, Any]]:
        size = target_size(keep, len(given.base))
        values_N, missing_N = self._numbers(given)
        missing_N &= given.base_N
        without, staying = int(np.count_nonzero(missing_N)), 0
        if self.missing == "keep":
            staying = without
        valued_N = given.base_N & ~missing_N
        inside = len(given.base) - without
        if not staying <= size <= staying + inside:
            raise ValueError(
                f"{size:,} of the base's {len(given.base):,} rows are to stay; {inside:,} have a "
                f"value in {self.column!r}, {without:,} have none, and missing is {self.missing}"
            )
        kept_N = extreme(valued_N, values_N, size - staying, highest=self.stays == "highest")
        counts = {"missing": without, **cut(values_N, valued_N, kept_N, self.stays == "highest")}
        return kept_N | missing_N if staying else kept_N, counts

    def _numbers(self, given: Inputs) -> tuple[Real[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
        """The column, 0 where it has no value, and where it has none."""
        values_N, missing_N = None, np.zeros(len(given.pool), bool)
        for start, values_M in columns.blocks(given.pool, self.column):
            if not _ordered(values_M.type):
                raise ValueError(
                    f"the pool's column {self.column!r} is {values_M.type}, of which nothing is "
                    f"{self.stays}"
                )
            missing_M = _missing(values_M)
            if values_M.null_count:
                zero = pa.scalar(0, values_M.type)
                values_M = pc.call_function("coalesce", [values_M, zero])
            numbers_M = values_M.to_numpy()
            if values_N is None:  # the type is the file's, and the same of all shards
                values_N = np.zeros(len(given.pool), numbers_M.dtype)
            values_N[start : start + len(numbers_M)] = numbers_M
            missing_N[start : start + len(numbers_M)] = missing_M
        assert values_N is not None
        return values_N, missing_N


def chosen(
    values_M: pa.Array,
    least: float | int | None,
    most: float | int | None,
    among: Sequence[Any],
) -> tuple[Bool[np.ndarray, " M"], Bool[np.ndarray, " M"]]:
    """The rows whose value is within the limits, or one of ``among``, and those without a value."""
    missing_M = _missing(values_M)
    kept_M = ~missing_M
    for stays in _conditions(values_M, least, most, among):
        filled = pc.call_function("coalesce", [stays, pa.scalar(value=False)])
        kept_M &= filled.to_numpy(zero_copy_only=False)
    return kept_M, missing_M


def _conditions(
    values_M: pa.Array,
    least: float | int | None,
    most: float | int | None,
    among: Sequence[Any],
) -> Iterator[pa.Array]:
    """Truth values of the rows, or null, that hold for what stays."""
    if among:
        wanted = pa.array(among)
        if _kind(wanted.type) != _kind(values_M.type):
            raise TypeError(f"{wanted.type} and {values_M.type}")  # Arrow would cast 1 to "1"
        wanted = pc.SetLookupOptions(wanted.cast(values_M.type))
        yield pc.call_function("is_in", [values_M], wanted)
    for limit, compare in ((least, "greater_equal"), (most, "less_equal")):
        if limit is not None:
            if pa.types.is_floating(values_M.type):
                # in the column's own precision, lest a value that reads as the limit go
                limit = pa.scalar(float(limit), values_M.type)
            yield pc.call_function(compare, [values_M, limit])


def cut(
    values_N: Real[np.ndarray, " N"],
    valued_N: Bool[np.ndarray, " N"],
    kept_N: Bool[np.ndarray, " N"],
    highest: bool,
) -> dict[str, Any]:
    """The last value that stays, and how many rows with the same value go: a threshold at that
    value would keep them too."""
    if not kept_N.any():
        return {}
    least = values_N.min if highest else values_N.max
    # by `initial` a row that does not count is never the extreme
    value = least(where=kept_N, initial=values_N[int(np.argmax(kept_N))])
    tied = np.count_nonzero((values_N == value) & valued_N & ~kept_N)
    return {"cut": value.item(), "tied_at_cut": int(tied)}


def _missing(values_M: pa.Array) -> Bool[np.ndarray, " M"]:
    if not values_M.null_count:
        return np.zeros(len(values_M), bool)
    return pc.call_function("is_null", [values_M]).to_numpy(zero_copy_only=False)


def _ordered(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _kind(kind: pa.DataType) -> str:
    return "number" if _ordered(kind) else str(kind)
