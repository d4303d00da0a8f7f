"""What is looked for in a data set that has just been prepared."""

import shutil
from pathlib import Path

from clipcause.data.manifest import Manifest


def check_labels(made: Manifest, raw: Path) -> None:
    """Raise ``ValueError``, and remove the data set, where an image of a test set has no class."""
    if None not in (labels := made.labels):
        return
    shutil.rmtree(made.folder)
    raise ValueError(
        f"{made.folder}: {labels.count(None):,} of {len(labels):,} images have no class, and a "
        f"test set has one for each; name it by a sub-folder a class in {raw}, or set its task to "
        "retrieval"
    )
