"""``python -m clipcause overlap A B`` and ``python -m clipcause project SPLIT A B OUT``.

A and B are the folders of two data sets, or the paths of their manifests; SPLIT and OUT are folders
of splits. Nothing but OUT is written.
"""

from pathlib import Path

from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.data.overlap import match, project, share
from clipcause.prune import split


def _open(words: str) -> Manifest:
    """A data set by its folder or by its manifest's path; shards need not be there."""
    path = Path(words)
    folder = path.parent if path.name == manifest.MANIFEST else path
    return manifest.read(folder, shards=False)


def compare(a: str, b: str) -> str:
    """Print what two data sets have in common."""
    counts = match(_open(a), _open(b)).counts
    width = max(len(f"{count:,}") for count in counts.values())
    for name, count in counts.items():
        of = counts["rows_b"] if name in ("only_in_b", "no_source_id_b") else counts["rows_a"]
        print(f"{name:20} {count:{width},}  {share(count, of):.4%}")
    return f"{counts['by_source_id'] + counts['by_uid']:,} rows are in both"


def write_projection(folder: str, a: str, b: str, out: str) -> str:
    """Write the split in FOLDER, made on A, as a split of B, with what is lost in its card."""
    before, after = _open(a), _open(b)
    chosen = split.read_for(folder, before.sha256)
    projected, card = project(chosen, before, after, match(before, after))
    split.write(out, projected, card=card)
    lost = card["projected"]["lost"]
    return (
        f"{len(projected):,} of {len(chosen):,} rows found in {b}, {lost:,} lost "
        f"({share(lost, len(chosen)):.2%})"
    )
