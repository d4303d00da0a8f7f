"""A target: the images that a signal compares the pool with, a data set or all test sets at once.

What ranks rows by their likeness to test images has seen the test: the card says which
(``seen_tests``), and so does the signal's sentence.

Shapes: T images, D dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float16
from pydantic import Field

from clipcause.config import layout, unknown
from clipcause.signals.given import Given
from clipcause.signals.signal import Signal

TESTS = layout.TESTS


class Targeted(Signal):
    """A signal that compares with the images of ``target``."""

    target: str = Field(
        description="a data set, such as reference or tests/val, or tests for all test sets"
    )

    def check(self, content: Mapping[str, Any], where: str) -> None:
        """The data set exists, and is not the pool where every row would be its own nearest."""
        known = [*content["datasets"], TESTS]
        if self.target not in known:
            raise unknown("data set", self.target, known, f"{where}.target")
        if self.target == layout.POOL and self.by_nearest:
            raise ValueError(
                f"{where}.target: every row of {layout.POOL} is its own nearest image there, so "
                "that all would have the same value; name another data set"
            )

    @property
    def by_nearest(self) -> bool:
        """Whether a row's nearest image of the target alone decides."""
        return True

    def vectors(self, given: Given) -> tuple[Float16[np.ndarray, "T D"], dict[str, Any]]:
        """The vectors of the target, in the order of its data sets, and ``seen_tests`` for the
        card, where there are any."""
        names = given.tests() if self.target == TESTS else [self.target]
        if not names:
            raise ValueError("target: tests, but the section tests has none")
        found = np.concatenate([given.dataset(name).all() for name in names])
        seen = [name for name in names if layout.is_test(name)]
        return found, {"seen_tests": seen} if seen else {}

    def named(self) -> str:
        """The target in a sentence."""
        if self.target == TESTS:
            return "the images of all test sets (has seen the test)"
        seen = " (has seen the test)" if layout.is_test(self.target) else ""
        return f"the images of {self.target}{seen}"
