"""`signal`: the rows with the highest, or the lowest, values of an entry of `signals`.

What curators cut data by: the similarity of picture and caption, NormSim, negCLIPLoss, clusters, or
how near an earlier copy is. The values are made once, by the stage `signal`; here their order is
cut, exactly, or at a threshold.

Shapes: N pool rows.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32
from pydantic import FiniteFloat, model_validator

from clipcause.config import unknown
from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import DIGITS, Decision, Keep, Sourceless
from clipcause.prune.sampling import target_size
from clipcause.prune.selection import extreme
from clipcause.prune.sentences import percent
from clipcause.signals.artifact import Values

SECTION = "signals"


class BySignal(Sourceless):
    """``keep`` rows, those whose value is ``stays``; or all whose value is at least (highest) or
    at most (lowest) the ``threshold``. Rows without a value go, or with ``missing: keep`` stay.
    """

    rule: Literal["signal"]
    signal: str
    stays: Literal["highest", "lowest"]
    keep: Keep | None = None
    threshold: FiniteFloat | None = None
    missing: Literal["drop", "keep"] = "drop"

    @model_validator(mode="after")
    def _one_way(self) -> "BySignal":
        if (self.keep is None) == (self.threshold is None):
            raise ValueError("say how many rows stay: keep, or a threshold, and not both")
        return self

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """The signal exists."""
        if self.signal not in (known := content.get(SECTION) or {}):
            raise unknown("signal", self.signal, known, f"{where}.signal")

    def decide(self, given: Inputs) -> Decision:
        """The card has the signal's kind and parameters, and the value at which it was cut."""
        found = given.signal(self.signal)
        value_N = found.all()
        missing_N = np.isnan(value_N) & given.base_N
        missing = int(np.count_nonzero(missing_N))
        valued_N = given.base_N & ~missing_N
        if self.threshold is not None:
            kept_N = valued_N & beyond(value_N, self.threshold, self.stays)
        else:
            size = target_size(self.keep or 0, len(given.base))
            size -= missing if self.missing == "keep" else 0
            rows = int(np.count_nonzero(valued_N))
            if not 0 <= size <= rows:
                raise ValueError(
                    f"keep {self.keep} are {size:,} rows by value, and {rows:,} of the base's "
                    f"{len(given.base):,} rows have a value in the signal {self.signal!r}, "
                    f"{missing:,} have none, and missing is {self.missing}; the signal's own base "
                    f"is {found.card['parameters'].get('base')}"
                )
            # only rows with a value are ranked, and the order takes no NaN
            value_N = np.nan_to_num(value_N)
            kept_N = extreme(valued_N, value_N, size, highest=self.stays == "highest")
        numbers: dict[str, Any] = {"missing": missing}
        if kept_N.any():
            ends = {"least": value_N[kept_N].min(), "most": value_N[kept_N].max()}
            numbers |= {key: round(float(value), DIGITS) for key, value in ends.items()}
        if self.missing == "keep":
            kept_N = kept_N | missing_N
        return Decision(split.from_mask(kept_N), numbers, stated(found))

    @property
    def subject(self) -> str:
        """The signal, whose kind the card has, and which of its values stay."""
        return self.chosen_by(f"{self.signal}, {self.stays}")

    def chosen_by(self, words: str) -> str:
        """The property, where that of the signal's rows is told in other words."""
        return words

    def sentence(self) -> str:
        """How many, and by what."""
        of = f"the {self.stays} values of the signal “{self.signal}”"
        if self.threshold is not None:
            side = "least" if self.stays == "highest" else "most"
            return f"rows whose value of the signal “{self.signal}” is at {side} {self.threshold:g}"
        if isinstance(self.keep, int):
            return f"{self.keep:,} rows with {of}"
        return f"{percent(self.keep or 0)} of the base with {of}"


def stated(found: Values) -> dict[str, Any]:
    """What a split's card has of the signal that it was cut by: what it is of, and test sets that
    it has seen."""
    known = ("kind", "encoder", "parameters", "seen_tests")
    return {"signal": {key: found.card[key] for key in known if key in found.card}}


def beyond(
    value_N: Float32[np.ndarray, " N"], threshold: float, stays: Literal["highest", "lowest"]
) -> Bool[np.ndarray, " N"]:
    """Rows whose value is the threshold or beyond it. The threshold is compared as float32, as the
    values are stored, so that one written as it is shown means the same row."""
    limit = np.float32(threshold)
    return value_N >= limit if stays == "highest" else value_N <= limit
