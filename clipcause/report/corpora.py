"""Class frequencies side by side: counts of several corpora over the same classes.

A corpus is a vector of counts with its class ids; corpora are joined by id, never by position.

Shapes: C classes, M matches.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from scipy import stats

from clipcause.captions import frequency
from clipcause.captions.frequency import Frequency
from clipcause.data.manifest import Manifest
from clipcause.prune.split import Split

Corpora = dict[str, Frequency]
LEAST = 3  # two classes always have a rank correlation of one


def by_label(
    manifest: Manifest, known: Frequency, splits: Mapping[str, Split]
) -> tuple[Corpora, int]:
    """Counts of a data set's labels over the classes of ``known``: of all its rows (under the
    empty name) and of those of each split, and the number of rows whose label is no such class.

    One pass over the manifest, shard by shard.
    """
    place = {key: at for at, key in enumerate(known.classes)}
    count = {name: np.zeros(len(place), np.int64) for name in ("", *splits)}
    unlisted = 0
    for shard in range(len(manifest.shards)):
        column = manifest.shard_table(shard, ["label"])["label"]
        label = column.combine_chunks().dictionary_encode()
        # the last entry is that of rows without a label
        at_D = np.array([*(place.get(key, -1) for key in label.dictionary.to_pylist()), -1])
        index_N = at_D[label.indices.fill_null(len(at_D) - 1).to_numpy()]
        unlisted += int((index_N < 0).sum()) - label.null_count
        start, stop = manifest.starts[shard : shard + 2]
        for name, one in count.items():
            chosen_N = index_N[splits[name].within(start, stop)] if name else index_N
            one += np.bincount(chosen_N[chosen_N >= 0], minlength=len(place))
    return {name: _like(known, one) for name, one in count.items()}, unlisted


def by_mention(folder: Path, known: Frequency, splits: Mapping[str, Split]) -> Corpora:
    """Counts of the captions that mention each class, among the rows of each split: one pass over
    the matches, of which memory holds a part."""
    count = {name: np.zeros(len(known.classes), np.int64) for name in splits}
    for row_M, class_M in frequency.matches(folder).parts() if splits else ():
        if not len(row_M):
            continue
        first = int(row_M[0])
        for name, one in splits.items():
            inside_M = one.within(first, int(row_M[-1]) + 1)[row_M - first]
            count[name] += np.bincount(class_M[inside_M], minlength=len(known.classes))
    return {name: _like(known, one) for name, one in count.items()}


def empty(found: Frequency) -> int:
    """How many classes have no row at all; a logarithmic axis cannot show them."""
    return int((found.count_C == 0).sum())


def is_constant(found: Frequency) -> bool:
    """Whether all classes have one count: such a corpus has no order to agree with."""
    return len(found.count_C) < LEAST or bool(np.ptp(found.count_C) == 0)


def correlation(count_C: Int64[np.ndarray, " C"], values: list[float]) -> float | None:
    """Spearman's coefficient of counts and some value of the same classes, in their order; None
    where it is not defined: fewer than three classes, or all counts or values equal."""
    if len(values) < LEAST or np.ptp(count_C) == 0 or np.ptp(np.array(values)) == 0:
        return None
    return float(stats.spearmanr(count_C, values).statistic)


def _like(known: Frequency, count_C: Int64[np.ndarray, " C"]) -> Frequency:
    return Frequency(known.classes, known.names, count_C.astype(np.int64))
