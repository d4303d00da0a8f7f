"""What donors of text towers had seen of the classes that a run's split trimmed.

A run on a split without the tail that takes another's tower knows what that other learnt: its
accuracy on the trimmed classes says less the more rows of them the donor had.
"""

import numpy as np

from clipcause.config import FILE, layout, read
from clipcause.config.runs import NONE
from clipcause.config.splits import Everything
from clipcause.embed import checkpoint
from clipcause.prune import members, split
from clipcause.prune.members import Members
from clipcause.prune.split import Split
from clipcause.report import classwise
from clipcause.report.study import Study
from clipcause.runtime import atomic

Seen = dict[tuple[str, str], int | None]  # run and donor to rows; None: not known


def seen(study: Study) -> Seen:
    """Rows of the trimmed classes in the training data of the donor, by run and donor.

    Of runs that have a donor and whose split's card says what was trimmed. They are the rows of the
    donor's split that are of such a class as the trimming rule takes it, by label or by mention,
    and those of the reference, by label, where it was added; what a published one saw is not known.
    Raises ``ValueError`` where a donor's checkpoint is of another split than the stored one.
    """
    found: Seen = {}
    members_of: dict[str, Members] = {}
    for run, entry in study.runs.items():
        trimmed = study.splits[entry.split].card.get("trimmed") if entry.split != NONE else None
        if entry.text_from == NONE or not trimmed:
            continue
        data = _training(study, entry.text_from)
        if data is None:
            found[run, entry.text_from] = None
            continue
        by = classwise.by(study.rules[entry.split])
        if by not in members_of:
            members_of[by] = _members(study, by)
        rows, has_reference = data
        count = _rows(members_of[by], rows.mask(len(study.pool)), trimmed)
        if has_reference:
            every_N = np.ones(len(study.reference), bool)
            added = members.by_label(study.reference.folder, every_N)
            count += _rows(added, every_N, trimmed)
        found[run, entry.text_from] = count
    return found


def _training(study: Study, donor: str) -> tuple[Split, bool] | None:
    """The pool rows that a donor learnt from, and whether it saw the reference; None: not known."""
    if donor not in study.runs:  # the encoder, where no entry of `splits` has its rows: all
        path = layout.model(donor) / checkpoint.CARD
        if not path.exists():
            raise FileNotFoundError(f"{path}: not found; `dvc repro train@{donor}` makes it")
        training = atomic.read_json(path)["training"]
        return split.everything(len(study.pool)), training["reference"] != NONE
    card, entry = study.cards[donor], study.runs[donor]
    if entry.is_published:
        return None
    own, rows = entry.split, split.from_rows([])
    if own != NONE:
        rows = study.splits[own]
        # it may have learnt from the base that the split is all of
        whole = isinstance(study.rules[own], Everything)
        known = [rows.card, *([study.base_of(own).card] if whole else [])]
        if dict(card["split"]) not in map(dict, known):
            where = layout.model(donor)
            raise ValueError(f"{where}: trained on another split than {own}; train it again")
    return rows, card["training"].get("reference", NONE) != NONE


def _members(study: Study, by: str) -> Members:
    """The classes of all rows of the pool."""
    every_N = np.ones(len(study.pool), bool)
    if by == "label":
        return members.by_label(study.pool.folder, every_N)
    folder = layout.frequency(str(read(FILE)["classes"]))
    return members.by_mention(folder, every_N, study.pool.sha256)


def _rows(found: Members, chosen_N: np.ndarray, classes: list[str]) -> int:
    """The chosen rows that are of one of the classes; a row of several counts once."""
    at = [place for place, key in enumerate(found.classes) if key in set(classes)]
    row_M = found.row_M[np.isin(found.class_M, at)]
    return len(np.unique(row_M[chosen_N[row_M]]))
