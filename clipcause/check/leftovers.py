"""What lies in the folders of items and is no item any more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.config import layout, other_scores, weights

# folders of items; what lies in them without being in params.yaml is a leftover
FOLDERS = {
    "tests": ("data/tests",),
    "splits": ("splits", "gap"),
    "runs": ("models", "predictions", "features"),
    "probes": ("probes",),
    "intraclass": ("intraclass",),
    "domains": ("domains",),
    "signals": ("signals",),
    other_scores.SECTION: ("scores", "embeddings/by"),
}


def find(content: Mapping[str, Any]) -> list[Path]:
    """Folders of items that the parameters no longer name; stages that read all would see them."""
    kept = {layout.NONE, *layout.BASES, weights.SECTION}
    named = {kind: {*content.get(kind, ()), *kept} for kind in FOLDERS}
    return [
        folder
        for kind, parents in FOLDERS.items()
        for parent in parents
        for folder in sorted(Path(parent).glob("*/"))
        if folder.name not in named[kind] and not folder.name.startswith(".")
    ]
