"""What the runs whose text towers others took had seen of the classes that those others' splits
trimmed.

A run on a split without the tail that takes another's tower knows what that other learnt: its
accuracy on the trimmed classes says less the more rows of them the other had.

Shapes: N pool rows, M memberships.
"""

import numpy as np
from jaxtyping import Bool

from clipcause.config import FILE, layout, read
from clipcause.config.runs import NONE
from clipcause.embed import checkpoint
from clipcause.prune import members, split
from clipcause.prune.members import Members
from clipcause.prune.rules.none import Everything
from clipcause.prune.split import Split
from clipcause.report.inputs import Inputs
from clipcause.report.study import Pair, Sources, Study, needed
from clipcause.runtime import atomic


def seen(inputs: Inputs) -> dict[Pair, int | None]:
    """Rows of the trimmed classes in the training data of the tower, by run and the run whose tower
    it takes; None: not known.

    Of runs that take one and whose split's card says what was trimmed. They are the rows of the
    other's split that are of such a class as the trimming rule takes it, by label or by mention,
    and those of the reference, by label, where it was added; what a published one saw is not known.
    Raises ``ValueError`` where the other's checkpoint is of another split than the stored one.
    """
    study, found = inputs.study, {}
    sources = study.sources
    members_of: dict[str, Members] = {}
    for run, entry in study.runs.items():
        trimmed = study.splits[entry.split].card.get("trimmed") if entry.split != NONE else None
        if entry.text_from == NONE or not trimmed:
            continue
        at = run, entry.text_from
        data = _training(study, entry.text_from)
        if data is None:
            found[at] = None
            continue
        by = study.rules[entry.split].classes_by
        assert by is not None  # a trimmed tail is one of classes
        if by not in members_of:
            members_of[by] = _members(sources, by)
        rows, has_reference = data
        found[at] = _rows(members_of[by], rows.mask(len(study.pool)), trimmed)
        if has_reference:
            every_N = np.ones(len(study.reference), bool)
            added = members.by_label(sources.reference.folder, every_N)
            found[at] += _rows(added, every_N, trimmed)
    return found


def _training(study: Study, run: str) -> tuple[Split, bool] | None:
    """The pool rows that a run learnt from, and whether it saw the reference; None: not known."""
    if run not in study.runs:  # the encoder, where no entry of `splits` has its rows: all
        path = needed(layout.model(run) / checkpoint.CARD, f"train@{run}")
        training = atomic.read_json(path)["training"]
        return split.everything(len(study.pool)), training["reference"] != NONE
    card, entry = study.cards[run], study.runs[run]
    if entry.is_published:
        return None
    own, rows = entry.split, split.from_rows([])
    if own != NONE:
        rows = study.sources.splits[own]
        # it may have learnt from the base that the split is all of
        whole = isinstance(study.rules[own], Everything)
        known = [rows.card, *([study.base_of(own).card] if whole else [])]
        if dict(card["split"]) not in map(dict, known):
            where = layout.model(run)
            raise ValueError(f"{where}: trained on another split than {own}; train it again")
    return rows, card["training"].get("reference", NONE) != NONE


def _members(sources: Sources, by: str) -> Members:
    """The classes of all rows of the pool."""
    every_N = np.ones(len(sources.pool), bool)
    if by == "label":
        return members.by_label(sources.pool.folder, every_N)
    folder = layout.frequency(str(read(FILE)["classes"]))
    return members.by_mention(folder, every_N, sources.pool.sha256)


def _rows(found: Members, chosen_N: Bool[np.ndarray, " N"], classes: list[str]) -> int:
    """The chosen rows that are of one of the classes; a row of several counts once."""
    at = [place for place, key in enumerate(found.classes) if key in set(classes)]
    row_M = found.row_M[np.isin(found.class_M, at)]
    return len(np.unique(row_M[chosen_N[row_M]]))
