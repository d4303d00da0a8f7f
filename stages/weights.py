"""weights@NAME: the hashes of a model's files that others trained.

In: the file or folder that the section `weights` names, which DVC watches. Out:
``models/weights/<name>/card.json``, SHA-256 by the name of the file. A run whose `text_from` is
``weights/<name>`` is read from there, and is made anew when a hash changes.
"""

from pathlib import Path

from clipcause.config import layout, weights
from clipcause.embed import weight_hashes
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Note the files of the entry ``name`` of the section `weights`."""
    found = weight_hashes.note(name, Path(weights.load(name)))
    told = f"{len(found)} files" if len(found) > 1 else f"SHA-256 {next(iter(found.values()))[:12]}"
    return f"{layout.weights(name)}: {told}"


if __name__ == "__main__":
    run(main)
