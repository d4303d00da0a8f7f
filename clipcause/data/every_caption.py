"""Every caption of a shard's rows: most data sets have one a picture, COCO and Flickr30k five.

Shapes: M rows of a shard, T captions of them.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from clipcause.data.manifest import Manifest


class Captions(NamedTuple):
    """Captions row after row, each row's in its order. ``index_T`` counts those of a row: 0 is
    the first, which the manifest has as ``caption``."""

    texts: pa.ChunkedArray  # whose bytes Arrow has not looked at
    row_T: Int64[np.ndarray, " T"]  # of the manifest
    index_T: Int64[np.ndarray, " T"]


def of_shard(manifest: Manifest, position: int) -> Captions:
    """The captions of all rows of a shard; memory holds no others."""
    table = manifest.shard_table(position, ["caption", "captions"])
    start = manifest.starts[position]
    firsts, lists = table["caption"], table["captions"].combine_chunks()
    if lists.null_count == len(lists):
        row_T = np.arange(len(lists)) + start
        return Captions(firsts, row_T, np.zeros_like(row_T))
    alone = pa.ListArray.from_arrays(
        pa.array(np.arange(len(lists) + 1), pa.int32()), firsts.combine_chunks()
    )
    whole = pc.call_function("if_else", [lists.is_valid(), lists, alone])
    parent_T = pc.call_function("list_parent_indices", [whole]).to_numpy()
    length_M = np.bincount(parent_T, minlength=len(lists))
    first_M = np.cumsum(length_M) - length_M
    index_T = np.arange(len(parent_T)) - first_M[parent_T]
    return Captions(pa.chunked_array([whole.flatten()], pa.string()), parent_T + start, index_T)
