"""Which glyphs does a simple classifier get wrong? ImageNet-A was made in this way.

The classifier is five nearest neighbours on grey thumbnails in whole numbers: there is nothing to
train, and no rounding that could differ between machines.
"""

import numpy as np
from jaxtyping import Bool, Int64, UInt8

NEIGHBOURS = 5
THUMBNAIL = 16


def thumbnail(rgb: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, " pixels"]:
    """Mean grey of ``THUMBNAIL`` x ``THUMBNAIL`` boxes, flat. ``size`` is a multiple of it."""
    size = rgb.shape[0]
    if size % THUMBNAIL:
        raise ValueError(f"images of {size} pixels do not divide into {THUMBNAIL} boxes")
    box = size // THUMBNAIL
    boxes = rgb.astype(np.int64).reshape(THUMBNAIL, box, THUMBNAIL, box, 3)
    return (boxes.sum(axis=(1, 3, 4)) // (box * box * 3)).astype(np.uint8).reshape(-1)


def misclassified(
    query_QP: UInt8[np.ndarray, "Q P"],
    query_label_Q: Int64[np.ndarray, " Q"],
    base_NP: UInt8[np.ndarray, "N P"],
    base_label_N: Int64[np.ndarray, " N"],
) -> Bool[np.ndarray, " Q"]:
    """Where the vote of the nearest base thumbnails is not the query's label.

    Squared distances are whole numbers; equal ones go by row. A tied vote goes to the class whose
    nearest neighbour comes first.
    """
    if len(base_NP) < NEIGHBOURS:
        raise ValueError(f"{len(base_NP)} thumbnails are too few for {NEIGHBOURS} neighbours")
    query, base = query_QP.astype(np.float64), base_NP.astype(np.float64)
    # 256 pixels of at most 255² stay far below 2⁵³: the products are exact in any order
    distance_QN = (
        (query**2).sum(1)[:, None] - 2.0 * (query @ base.T) + (base**2).sum(1)[None, :]
    ).astype(np.int64)
    wrong = np.empty(len(query), dtype=bool)
    for row, distance_N in enumerate(distance_QN):
        nearest = np.argsort(distance_N, kind="stable")[:NEIGHBOURS]
        votes = base_label_N[nearest]
        classes, first, counts = np.unique(votes, return_index=True, return_counts=True)
        winner = classes[np.lexsort((first, -counts))[0]]
        wrong[row] = winner != query_label_Q[row]
    return wrong
