"""``python -m clipcause diff A B``: what changed between two splits.

A and B are names of splits, or ``REV:name`` for a split as it was at a git revision, whose bytes
are read from git and the DVC cache without touching the workspace.
"""

from pathlib import Path
from typing import Any

from clipcause.config import layout, unknown
from clipcause.data import manifest
from clipcause.prune import members, split
from clipcause.runtime import revisions
from clipcause.runtime.columns import aligned


def main(a: str, b: str) -> str:
    """Print rows in A and B, added, removed, Jaccard, and the classes whose numbers changed."""
    before, after = load(a), load(b)
    check_comparable(a, before, b, after)
    added = after.bitmap.difference_cardinality(before.bitmap)
    removed = before.bitmap.difference_cardinality(after.bitmap)
    similarity = split.jaccard(before, after)
    rows = [
        ("rows in A", len(before)),
        ("rows in B", len(after)),
        ("added", added),
        ("removed", removed),
        ("Jaccard", f"{similarity:.4f}"),
    ]
    print(f"A = {a}\nB = {b}\n")
    print(aligned([(name, str(value)) for name, value in rows]))
    print("\n" + class_table(before, after))
    return f"{added} rows added, {removed} removed, Jaccard {similarity:.4f}"


def load(words: str) -> split.Split:
    """The split called ``name`` or ``REV:name``; an unknown one is an error with the nearest."""
    revision, name = revisions.parse(words, "split")
    if revision is not None:
        return load_revision(revision, name)
    folder = layout.split(name)
    if not (folder / split.ROWS).exists():
        made = layout.SPLITS.glob(f"*/{layout.POOL}/{split.ROWS}")
        known = [path.parent.parent.name for path in made]
        raise unknown("split", name, known, f"{layout.SPLITS}/")
    return split.read(folder)


def load_revision(revision: str, name: str) -> split.Split:
    """The split ``name`` at a git revision, through DVC's file system."""
    where = f"{revision}:{layout.split(name)}"
    try:
        files = revisions.Revision(revision)
        # splits had no folder of their data set once
        for folder in (layout.split(name), layout.SPLITS / name):
            try:
                rows, card = (files.read(folder / file) for file in (split.ROWS, split.CARD))
            except KeyError:
                continue
            return split.decode(Path(files.where(folder)), rows, _card(files.where(folder), card))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    known = files.names(layout.SPLITS)
    if name in known:  # an output of the graph that is in no lock
        raise ValueError(
            f"{where}: the study has this split at that revision, and its dvc.lock records no such "
            f"output: it was not made there, or by a graph of before; `dvc repro prune@{name}` "
            "makes it"
        )
    raise unknown("split", name, known, f"{revision}:{layout.SPLITS}/")


def check_comparable(a: str, before: split.Split, b: str, after: split.Split) -> None:
    """Raise where the cards state different pools: their rows are different samples then."""
    pools = before.card.get("pool"), after.card.get("pool")
    if pools[0] != pools[1]:
        stated = [f"{pool[:12]}…" if pool else "none" for pool in pools]
        raise ValueError(
            f"rows of {a} and {b} are not comparable: their cards state different pool manifests "
            f"({stated[0]} and {stated[1]})"
        )


def class_table(before: split.Split, after: split.Split) -> str:
    """The classes whose numbers of rows differ, or one line that says why there is no table."""
    folder = layout.dataset(layout.POOL)
    if not (folder / manifest.MANIFEST).exists():
        return f"classes: not compared, {folder / manifest.MANIFEST} is not there"
    pool_manifest = manifest.read(folder, shards=False)
    pool = before.card.get("pool")
    if pool is not None and pool != pool_manifest.sha256:
        return f"classes: not compared, {folder / manifest.MANIFEST} is not the splits' pool"
    if not any(column.null_count < len(column) for _, column in members.labels(folder)):
        return "classes: not compared, no row of the pool has a label"
    changes = split.class_change(before, after, members.labels(folder))
    if not changes:
        return "classes: none changed"
    head = ("class", "in A", "in B", "change")
    rows = [(name, str(x), str(y), f"{y - x:+d}") for name, (x, y) in changes.items()]
    return aligned([head, *rows])


def _card(where: str, content: bytes) -> dict[str, Any]:
    import json

    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"{where}/{split.CARD}: not valid JSON: {error}") from None
