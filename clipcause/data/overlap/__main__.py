"""``python -m clipcause.data.overlap A B``, and ``… project SPLIT A B OUT``.

A and B are the folders of two data sets, or the paths of their manifests; SPLIT and OUT are folders
of splits. Nothing but OUT is written.
"""

import sys
from pathlib import Path

from clipcause.config import nearest
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.data.overlap import match, project, share
from clipcause.prune import split
from clipcause.runtime.entry import run


def _open(words: str) -> Manifest:
    """A data set by its folder or by its manifest's path; shards need not be there."""
    path = Path(words)
    folder = path.parent if path.name == manifest.MANIFEST else path
    return manifest.read(folder, shards=False)


def compare(manifest_a: str, manifest_b: str) -> str:
    """Print what two manifests have in common."""
    counts = match(_open(manifest_a), _open(manifest_b)).counts
    width = max(len(f"{count:,}") for count in counts.values())
    for name, count in counts.items():
        of = counts["rows_b"] if name in ("only_in_b", "no_source_id_b") else counts["rows_a"]
        print(f"{name:20} {count:{width},}  {share(count, of):.4%}")
    return f"{counts['by_source_id'] + counts['by_uid']:,} rows are in both"


def write_projection(command: str, folder: str, manifest_a: str, manifest_b: str, out: str) -> str:
    """Write the split in ``folder``, made on A, as a split of B, with what is lost in its card."""
    if command != "project":
        raise ValueError(f"unknown command {command!r}; {nearest(command, ['project'])}")
    a, b = _open(manifest_a), _open(manifest_b)
    chosen = split.read_for(folder, a.sha256)
    projected, card = project(chosen, a, b, match(a, b))
    split.write(out, projected, card=card)
    lost = card["projected"]["lost"]
    return (
        f"{len(projected):,} of {len(chosen):,} rows found in {manifest_b}, {lost:,} lost "
        f"({share(lost, len(chosen)):.2%})"
    )


if __name__ == "__main__":
    run(write_projection if sys.argv[1:2] == ["project"] else compare)
