"""Make `data/classes/imagenet.yaml`: the classes of ImageNet, and ObjectNet's that overlap them.

    python data/classes/make_imagenet.py

The ids and their order are timm's `imagenet_synsets.txt`, so that the position in the file is the
class index that ImageNet-V2's folders have. `name` is open_clip's class name, which its prompts
use. Further names are WordNet's lemmas of the synset, from timm.

A name that several classes have stands under `names` of at most one of them, under `shared` of the
others: of the class that WordNet and open_clip both call so first, else of the one that open_clip
calls so, else of none.

Which 200 of the classes ImageNet-A and ImageNet-R have is in `imagenet_subsets.csv`, taken from
LAION's CLIP_benchmark (clip_benchmark/datasets/builder.py at 48de38c, 2025-06-17). Where a class is
said by its position in such a set, it is that among these, in this order.

ObjectNet's 113 overlapping classes are in `objectnet.csv` (folder, label, wnids), which was taken
from the mappings of its distribution (`folder_to_objectnet_label.json`,
`objectnet_to_imagenet_1k.json`): its glosses are WordNet's lemmas, one synset each. They get the
id `objectnet-<folder>`, the label in lower case as name, and the ImageNet classes that they cover.
"""

import csv
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

FOLDER = Path(__file__).parent
HEAD = """\
# Made by `python data/classes/make_imagenet.py`; do not edit. The 1000 classes of ImageNet in the
# order of their indices (ids and WordNet lemmas: timm; name, the word for prompts: open_clip), then
# the 113 classes of ObjectNet that overlap them, which are classes of that test set alone.
"""


def content() -> str:
    """The whole file."""
    return HEAD + yaml.dump(
        imagenet() | objectnet(),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=10_000,
    )


def imagenet() -> dict[str, dict[str, Any]]:
    """The 1000 classes in the order of their indices."""
    info = resources.files("timm") / "data" / "_info"
    wnids = (info / "imagenet_synsets.txt").read_text().split()
    lines = (info / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    lemmas = {wnid: text.split(", ") for wnid, text in (line.split("\t") for line in lines)}
    prompts = dict(zip(wnids, IMAGENET_CLASSNAMES, strict=True))
    words = {wnid: list(dict.fromkeys([prompts[wnid], *lemmas[wnid]])) for wnid in wnids}
    claims = defaultdict[str, list[tuple[int, str]]](list)
    for wnid in wnids:
        for word in words[wnid]:
            claims[word].append((_rank(word, prompts[wnid], lemmas[wnid]), wnid))
    entries = {}
    for wnid in wnids:
        own = [word for word in words[wnid] if _owner(claims[word]) == wnid]
        shared = [word for word in words[wnid] if word not in own]
        entries[wnid] = {"name": prompts[wnid], "names": own} | (
            {"shared": shared} if shared else {}
        )
    for row in _rows("imagenet_subsets.csv"):
        entries[row["wnid"]].setdefault("subsets", []).append(row["subset"])
    return entries


def objectnet() -> dict[str, dict[str, Any]]:
    """ObjectNet's overlapping classes in the order of their folders."""
    return {
        f"objectnet-{row['folder']}": {
            "name": row["label"].lower(),
            "names": [row["label"].lower()],
            "test_set": "objectnet",
            "covers": row["wnids"].split(),
        }
        for row in _rows("objectnet.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def _rank(word: str, prompt: str, lemmas: list[str]) -> int:
    if word == prompt:
        return 0 if word == lemmas[0] else 1
    return 2


def _owner(claims: list[tuple[int, str]]) -> str | None:
    best = min(claims)[0]
    first = [wnid for rank, wnid in claims if rank == best]
    return first[0] if len(first) == 1 else None


class _Dumper(yaml.SafeDumper):
    """No anchors: `covers` may come twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


if __name__ == "__main__":
    (FOLDER / "imagenet.yaml").write_text(content(), encoding="utf-8")
