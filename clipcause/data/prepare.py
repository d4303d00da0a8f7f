"""What is looked for in a data set that has just been prepared."""

import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from clipcause.config import layout, nearest
from clipcause.data import tree
from clipcause.data.manifest import Manifest
from clipcause.runtime.notices import notice


def tell_links(raw: Path, name: str) -> None:
    """Say of the data set ``name`` which links to folders there are in what DVC tracks.

    We follow them, and DVC does not: it would not see that something changed there
    (``findings/dvc_linked_folder.sh``).
    """
    if found := tree.links(raw):
        notice(
            f"prepare {name}",
            f"{raw} has links to folders, behind which DVC sees no change; name it in places, and "
            f"as raw {layout.place('NAME')}, and it is listed with what they lead to",
            found,
        )


def check_labels(made: Manifest, raw: Path, classes: Collection[str], listed: Path) -> None:
    """Raise ``ValueError``, and remove the data set, where an image of a test set has no class.

    So for one that is not among the ``classes`` of the file ``listed``: `evaluate` would fail for
    it, after all training.
    """
    labels = Counter(made.labels)
    strange = [label for label in labels if label is not None and label not in classes]
    if not strange and None not in labels:
        return
    shutil.rmtree(made.folder)
    if None in labels:
        raise ValueError(
            f"{made.folder}: {labels[None]:,} of {len(made):,} images have no class, and a "
            f"test set has one for each; name it by a sub-folder a class in {raw}, or set its task "
            "to retrieval"
        )
    shown = "; ".join(f"{one!r} ({labels[one]:,}), {nearest(one, classes)}" for one in strange[:3])
    raise ValueError(
        f"{made.folder}: {len(strange):,} of {len(labels):,} classes of its images are not in "
        f"{listed}: {shown}"
    )
