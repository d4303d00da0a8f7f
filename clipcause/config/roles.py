"""What data sets and splits cannot be for, though their names are right."""

from collections.abc import Mapping
from typing import Any

from clipcause.config import domains, layout, other_scores

ALIKE = (
    "then every threshold is the similarity to the pool's own nearest image, and hull pruning "
    "removes nothing; name a data set that is not pruned"
)
LABELLED = (
    "then all its rows count as labelled; name a data set with rows of that domain alone, a few "
    "hundred are enough"
)


def check_pool(content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where the pool, which is pruned, is what its rows are judged by."""
    found = {"reference": (content["reference"], ALIKE)}
    for name, entry in other_scores.items(content).items():
        found[f"{other_scores.SECTION}.{name}.reference"] = (entry["reference"], ALIKE)
    for name, entry in (content.get(domains.SECTION) or {}).items():
        for slot in ("first", "second"):
            found[f"{domains.SECTION}.{name}.{slot}"] = (entry[slot], LABELLED)
    for key, (data, problem) in found.items():
        if data == layout.POOL:
            raise ValueError(f"{where}: {key} is {data}: {problem}")


def check_split(name: str, content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where a run learns from a base of which no split is the whole.

    How near its rows are to the test images is measured for splits: the report takes that one's.
    """
    rules = content["splits"].values()
    if name in layout.BASES and not any(
        (one["rule"], one["base"]) == (layout.NONE, name) for one in rules
    ):
        raise ValueError(
            f"{where}.split: how near {name} is to the test images is measured for an entry of "
            f"splits alone; add one of the same rows, `full: {{rule: none, base: {name}, of: none, "
            "with: none}`"
        )
