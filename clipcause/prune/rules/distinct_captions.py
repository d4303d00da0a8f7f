"""`distinct_captions`: copies of a caption go, the first rows that have it stay.

Shapes: B rows of the base, ascending.
"""

from hashlib import blake2b
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64, UInt64

from clipcause.prune import columns, split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Rows, Sourceless


class DistinctCaptions(Sourceless):
    """At most ``most`` rows of every caption, the first ones; the first caption of a row counts.

    ``compare`` says which captions are the same: those of the same characters (``exact``), or those
    that differ in case and white space alone (``normalised``). A row without a caption stays, for
    it is no copy.
    """

    rule: Literal["distinct_captions"]
    most: Rows = 1
    compare: Literal["exact", "normalised"] = "exact"

    def decide(self, given: Inputs) -> Decision:
        """The card has how many captions there are, how many of them have more rows than stay, and
        how many rows have none."""
        digest_B2, blank_B = self._digests(given)
        first_B, rank_B = ranks(digest_B2)
        kept_B = (rank_B < self.most) | blank_B
        beyond_B = (rank_B == self.most) & ~blank_B  # one row of each caption that is cut
        numbers = {
            "captions": int(np.count_nonzero(first_B & ~blank_B)),
            "captions_cut": int(np.count_nonzero(beyond_B)),
            "missing": int(np.count_nonzero(blank_B)),
        }
        kept_N = np.zeros_like(given.base_N)
        kept_N[given.base_N] = kept_B
        return Decision(split.from_mask(kept_N), numbers)

    def sentence(self) -> str:
        """How many rows of a caption, and which captions are the same."""
        rows = "the first row" if self.most == 1 else f"the first {self.most:,} rows"
        same = "" if self.compare == "exact" else ", case and white space aside"
        return f"{rows} of every caption{same}"

    def _digests(self, given: Inputs) -> tuple[UInt64[np.ndarray, "B 2"], Bool[np.ndarray, " B"]]:
        """128-bit hashes of captions, which take the captions' place, and which are blank."""
        same = normalised if self.compare == "normalised" else str
        digest_B2 = np.empty((len(given.base), 2), "<u8")
        blank_B = np.empty(len(given.base), bool)
        stop = 0
        for start, caption_M in columns.blocks(given.pool, "caption"):
            base_M = pa.array(given.base_N[start : start + len(caption_M)])
            texts = [same(one or "") for one in caption_M.filter(base_M).to_pylist()]
            first, stop = stop, stop + len(texts)
            found = b"".join(blake2b(text.encode(), digest_size=16).digest() for text in texts)
            digest_B2[first:stop] = np.frombuffer(found, "<u8").reshape(-1, 2)
            blank_B[first:stop] = [not text or text.isspace() for text in texts]
        return digest_B2, blank_B


def normalised(caption: str) -> str:
    """A caption without what case and white space say: folded (Unicode's full case folding), its
    words one blank apart."""
    return " ".join(caption.casefold().split())


def ranks(
    digest_B2: UInt64[np.ndarray, "B 2"],
) -> tuple[Bool[np.ndarray, " B"], Int64[np.ndarray, " B"]]:
    """Which rows are the first of their digest, and how many rows before each have the same."""
    order_B = np.lexsort(digest_B2.T)  # stable: rows of one digest ascend
    sorted_B2 = digest_B2[order_B]
    new_B = np.ones(len(order_B), bool)
    new_B[1:] = (sorted_B2[1:] != sorted_B2[:-1]).any(axis=1)
    del sorted_B2  # 16 bytes a row, while more are to come
    position_B = np.arange(len(order_B))
    start_B = np.maximum.accumulate(np.where(new_B, position_B, 0))
    rank_B = np.empty(len(order_B), np.int64)
    rank_B[order_B] = position_B - start_B
    return rank_B == 0, rank_B
