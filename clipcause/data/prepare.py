"""What is looked for in a data set that has just been prepared."""

import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from clipcause.config import nearest
from clipcause.data.manifest import Manifest


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
