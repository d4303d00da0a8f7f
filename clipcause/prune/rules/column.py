"""`column`: rows by a column of the pool's own metadata that the manifest keeps.

Published pools come with what others have computed of them (similarity of image and text,
`punsafe`, `pwatermark`, an aesthetic score, a language), and are filtered by it.

Shapes: N pool rows.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool
from pydantic import Field, model_validator

from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Sourceless
from clipcause.prune.sentences import listed


class Column(Sourceless):
    """Rows whose value in ``column`` is at least ``least``, at most ``most``, or ``among`` some.

    The data set `pool` names the column in its ``columns``. A row without a value does not stay.
    """

    rule: Literal["column"]
    column: str
    least: float | int | None = None
    most: float | int | None = None
    among: list[str | int | float | bool] = Field(default_factory=list)

    @model_validator(mode="after")
    def _something(self) -> "Column":
        limits = [one for one in (self.least, self.most) if one is not None]
        if bool(limits) == bool(self.among):
            raise ValueError("say what stays: least, most or both, or the values among which it is")
        if limits != sorted(limits):
            raise ValueError(f"least is {self.least}, which is more than most, {self.most}")
        return self

    def decide(self, given: Inputs) -> Decision:
        """What the column has of every row."""
        values = given.pool.kept(self.column)
        try:
            kept_N, missing_N = chosen(values, self.least, self.most, self.among)
        except (pa.ArrowException, TypeError):
            asked = self.among or [one for one in (self.least, self.most) if one is not None]
            raise ValueError(
                f"the pool's column {self.column!r} is {values.type}, which cannot be compared with"
                f" {', '.join(map(repr, asked))}"
            ) from None
        missing = {"missing": int(np.count_nonzero(missing_N & given.base_N))}
        return Decision(split.from_mask(kept_N & given.base_N), missing)

    @property
    def subject(self) -> str:
        """The column."""
        return f"column {self.column}"

    def sentence(self) -> str:
        """The column and its limits."""
        if self.among:
            return f"rows whose {self.column} is one of {listed(list(map(str, self.among)))}"
        least = "" if self.least is None else f"at least {self.least:g}"
        most = "" if self.most is None else f"at most {self.most:g}"
        return f"rows whose {self.column} is {' and '.join(one for one in (least, most) if one)}"


def chosen(
    values: pa.ChunkedArray,
    least: float | int | None,
    most: float | int | None,
    among: Sequence[Any],
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The rows whose value is within the limits, or one of ``among``, and those without a value."""
    if among:
        wanted = pa.array(among)
        if _kind(wanted.type) != _kind(values.type):
            raise TypeError(f"{wanted.type} and {values.type}")  # Arrow would cast 1 to "1"
        stays = pc.call_function("is_in", [values], pc.SetLookupOptions(wanted.cast(values.type)))
    else:
        stays = pa.chunked_array([np.ones(len(values), bool)])
    for limit, compare in ((least, "greater_equal"), (most, "less_equal")):
        if limit is not None:
            stays = pc.call_function("and", [stays, pc.call_function(compare, [values, limit])])
    missing_N = pc.call_function("is_null", [values]).to_numpy()
    kept = pc.call_function("coalesce", [stays, pa.scalar(value=False)])
    return kept.to_numpy() & ~missing_N, missing_N


def _kind(kind: pa.DataType) -> str:
    number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    return "number" if number else str(kind)
