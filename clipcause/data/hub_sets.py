"""What is known of the data sets of the hub that the studies read, before any of it is fetched.

Nothing of them was downloaded by this project: each entry says where it was read and when that was
written. `python -m clipcause hub check STUDY` compares it with the hub.
"""

from dataclasses import dataclass

from clipcause.data import hub

UNKNOWN = "not found"


@dataclass(frozen=True)
class Known:
    """A data set of the hub, as public pages show it.

    ``samples`` and ``bytes`` are of what a study reads; 0 where no page was found that says so. No
    picture of any of them is shown in what is committed or shared.
    """

    what: str
    licence: str
    gated: bool
    samples: int
    bytes: int
    read: str  # where, and of when


_BENCHMARK = (
    "as CLIP_benchmark's webdataset_builder.py writes it (commit 48de38c, 2025-06-17): "
    "test/N.tar, members cls and an image, classnames.txt and nshards.txt beside them"
)

SETS = {
    "pixparse/cc3m-wds": Known(
        "Conceptual Captions, cc3m-train-0000.tar to 0575.tar; jpg, json, txt",
        "conceptual-captions (free for any purpose, attribution wished for; pictures are others')",
        gated=False,
        samples=2_905_954,
        bytes=268_000_000_000,
        read="its card at cc2542c (2023-12); discussion 4, with the commit; bytes: 576 tars of "
        "465 MB, the mean of those of the same names in xiaorui638/cc3m (2024)",
    ),
    "pixparse/cc12m-wds": Known(
        "Conceptual 12M, cc12m-train-0000.tar to 2175.tar; jpg, json, txt",
        "conceptual-12m (free for any purpose, attribution wished for; pictures are others')",
        gated=False,
        samples=10_968_539,
        bytes=1_120_000_000_000,
        read="its page and commits at 796118f (2023-12-15); number: KMasaki/cc12m-sam-parse-tree, "
        "made of it; bytes: 102 kB a picture, of the first 49,000 (Parquet branch, 2024-06-26)",
    ),
    "timm/imagenet-1k-wds": Known(
        "ILSVRC 2012, imagenet1k-train-0000.tar to 1023.tar, imagenet1k-validation-00.tar to "
        "63.tar; cls (position), jpg, json",
        "ImageNet terms of access: research and teaching, nothing commercial",
        gated=True,
        samples=1_331_167,
        bytes=152_000_000_000,
        read="its card (copy of 2026-05); public scripts name the validation tars 00 to 63, the "
        "card 0000 to 0063; bytes: 145 GB of pictures and their tars' headers",
    ),
    "clip-benchmark/wds_imagenet_sketch": Known(
        "ImageNet-Sketch; jpg",
        "none found on the hub (its authors' repository: MIT)",
        gated=False,
        samples=50_889,
        bytes=0,
        read=f"its file list and viewer at 751cf0a (2023-01-20); {_BENCHMARK}",
    ),
    "clip-benchmark/wds_imagenet-r": Known(
        "ImageNet-R; jpg",
        "none found",
        gated=False,
        samples=30_000,
        bytes=0,
        read=f"its file list at 610f29c (2023-01-20); {_BENCHMARK}",
    ),
    "clip-benchmark/wds_imagenet-a": Known(
        "ImageNet-A; jpg",
        "none found on the hub (its authors' repository: MIT)",
        gated=False,
        samples=7_500,
        bytes=696_000_000,
        read=f"its file list at 614c3a5 (2023-01-20), four tars; {_BENCHMARK}",
    ),
    "clip-benchmark/wds_imagenetv2": Known(
        "ImageNet-V2, matched frequency; webp",
        "none found on the hub (its authors' repository: MIT)",
        gated=False,
        samples=10_000,
        bytes=0,
        read=f"its file list at 98e9ba6 (2023-01-20); {_BENCHMARK}",
    ),
    "clip-benchmark/wds_objectnet": Known(
        "ObjectNet, the 113 classes of ImageNet; with the red line around each picture, as its "
        "terms ask; jpg or webp: not found",
        "none found on the hub (the set's terms: no training on it, the red line stays)",
        gated=False,
        samples=18_574,
        bytes=0,
        read=f"its Parquet branch (2024-03-07) alone, the main branch was not found; {_BENCHMARK}",
    ),
}


def is_private(url: str) -> bool:
    """Whether a path or URL is of a data set whose pictures are not to be shown on."""
    return hub.is_hub(url) and hub.repo(url) in SETS


def row(repo: str) -> str:
    """A line on a data set: licence, gating, size; what is not known is said."""
    known = SETS.get(repo)
    if known is None:
        return f"{repo}: licence and terms are not known here: look at its page before you fetch it"
    gate = "gated, with a token" if known.gated else "not gated"
    return (
        f"{repo}: licence {known.licence}; {gate}; {known.samples:,} pictures, {_size(known.bytes)}"
    )


def table() -> str:
    """All of them in Markdown, for the runbook."""
    lines = [
        "| data set | what is read | licence | gated | pictures | bytes | where that was read |"
    ]
    lines.append("|---|---|---|---|---:|---:|---|")
    for name, one in SETS.items():
        cells = [f"`{name}`", one.what, one.licence, "yes" if one.gated else "no"]
        cells += [f"{one.samples:,}", _size(one.bytes).removeprefix("size "), one.read]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _size(number: int) -> str:
    if not number:
        return f"size {UNKNOWN}"
    return f"{number / 1e9:,.0f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"
