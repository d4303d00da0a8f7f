"""How often a run saw each class: the frequency that its bias is measured against.

A run's training rows are those of its split and, where it was added, the reference. They are
counted by their labels, or the split's by the captions that mention a class (the matches of the
stage `frequency`); the reference's rows count by label either way. A class of one test set alone
counts the rows of the classes that it covers. Class ids travel with every count.

Shapes: M matches, B rows of a shard.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from clipcause.captions import classes, frequency
from clipcause.captions.classes import ClassNames
from clipcause.config import layout, study
from clipcause.config.runs import NONE, Run
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import atomic

Kind = Literal["label", "mention"]
NOT_COUNTED = "none"


def seen(
    kind: Kind,
    names: Iterable[str],
    known: Mapping[str, ClassNames],
    pool: Manifest,
    rows: Split,
    reference: Manifest | None,
    matches: Path,
) -> dict[str, int]:
    """Training rows of each of the class ids ``names``; of those whose frequency is known.

    Not known is that of a class of one test set that covers none, and of one that is not in the
    list that ``matches``, a folder of the stage `frequency`, are of. ``known`` is that list. A
    caption that mentions two of the classes that one covers counts once.

    Raises ``ValueError`` where the matches are of another pool or of other classes.
    """
    added = labels(reference) if reference is not None else Counter[str]()
    wanted = {name: _meant(name, known) for name in names}
    if kind == "label":
        count = labels(pool, rows) + added
        return {
            name: sum(count[one] for one in meant)
            for name, meant in wanted.items()
            if len(meant) > 1 or name in count or name not in known or not known[name].test_set
        }
    _check_matches(matches, list(classes.own(known)), pool.sha256)
    found = frequency.matches(matches)
    # positions are those of the counts' file, whatever the order of the list is
    place = {name: at for at, name in enumerate(found.classes)}
    here = {
        name: sorted(place[one] for one in meant & place.keys()) for name, meant in wanted.items()
    }
    total = {name: sum(added[one] for one in wanted[name]) for name, at in here.items() if at}
    for row_M, class_M in _within(found.parts(), rows):
        count_C = np.bincount(class_M, minlength=len(place))
        for name in total:
            if len(here[name]) == 1:
                total[name] += int(count_C[here[name][0]])
            else:
                total[name] += len(np.unique(row_M[np.isin(class_M, here[name])]))
    return total


def of_run(
    kind: Kind | Literal["none"],
    entry: Run,
    card: Mapping[str, Any],
    names: Iterable[str],
    where: Path,
) -> dict[str, int]:
    """As ``seen``, for a run of the study whose checkpoint in ``where`` has the ``card``; nothing
    where ``kind`` is none.

    Raises ``ValueError`` where the run was trained on another pool, split or reference.
    """
    if kind == NOT_COUNTED:
        return {}
    training, added = card["training"], card["training"].get("reference", NONE) != NONE
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    rows = split.from_rows([])
    if entry.split != NONE:
        rows = split.read_for(layout.split(entry.split), pool.sha256)
        if training.get("pool") != pool.sha256 or dict(rows.card) != card["split"]:
            raise ValueError(f"{where}: trained on another split than {entry.split}; train again")
    reference = None
    if added:
        reference = manifest.read(layout.dataset(study.name("reference")), shards=False)
        if training["reference"] != reference.sha256:
            raise ValueError(f"{where}: trained with another {reference.folder}; train again")
    listed = study.name("classes")
    known = classes.read(layout.classes(listed))
    return seen(kind, names, known, pool, rows, reference, layout.frequency(listed))


def labels(data: Manifest, rows: Split | None = None) -> Counter[str]:
    """The number of rows of each label, of those in ``rows`` or of all; shard by shard."""
    count = Counter[str]()
    for number in range(len(data.shards) if rows is None or len(rows) else 0):
        column = data.shard_table(number, ["label"])["label"]
        if rows is not None:
            column = column.filter(pa.array(rows.within(*data.starts[number : number + 2])))
        for entry in column.drop_null().value_counts().to_pylist():
            count[entry["values"]] += entry["counts"]
    return count


def _meant(name: str, known: Mapping[str, ClassNames]) -> set[str]:
    """The classes whose rows are of a class: itself, and those that it covers."""
    return {name, *known[name].covers} if name in known else {name}


def _within(
    parts: Iterable[tuple[np.ndarray, np.ndarray]], rows: Split
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The matches of the split's rows, part by part."""
    for row_M, class_M in parts:
        if len(row_M):
            first = int(row_M[0])
            inside_M = rows.within(first, int(row_M[-1]) + 1)[row_M - first]
            yield row_M[inside_M], class_M[inside_M]


def _check_matches(folder: Path, listed: list[str], pool: str) -> None:
    if atomic.read_json(folder / frequency.CARD).get("pool") != pool:
        raise ValueError(f"{folder}: made from another pool; run the stage frequency again")
    try:
        frequency.read(folder).of(listed)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}; run the stage frequency again") from None
