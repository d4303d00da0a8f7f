"""``python -m clipcause subset SPLIT FILE [BY]``: a split as a list for other tools."""

from pathlib import Path
from typing import get_args

from clipcause.config import layout, unknown
from clipcause.data import manifest
from clipcause.prune import listed, split
from clipcause.prune.listed import By


def main(name: str, file: str, by: str = "uid") -> str:
    """Write the samples of a split of the pool as FILE, a list whose ending says its form.

    NAME is a split's name, or its folder. `.npy`: uids as DataComp's resharder takes them, sorted,
    each once. `.txt`: one a line. `.parquet`: row, uid, shard and key. BY is uid, key, url or row.
    """
    kinds: dict[str, By] = {kind: kind for kind in get_args(By)}
    if by not in kinds:
        raise unknown("kind of entry", by, kinds, "BY")
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    folder = Path(name) if (Path(name) / split.ROWS).exists() else layout.split(name)
    if not folder.exists():
        # a folder may be there without the pool's split, of a study that was pulled in part
        names = (path.name for path in sorted(layout.SPLITS.glob("*")))
        known = [one for one in names if layout.split(one).exists()]
        raise unknown("split", name, known, f"{layout.SPLITS}, what was made")
    chosen = split.read_for(folder, pool.sha256)
    entries = listed.write(Path(file), chosen, pool, kinds[by])
    return f"{file}: {entries:,} entries of the {len(chosen):,} rows of {name}"
