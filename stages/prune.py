"""``prune NAME``: choose the pool rows of one split.

In: the pool's manifest (its hash and number of rows), the base split, the splits that the rule
names, and the scores of the test sets. Out: ``splits/<name>/`` and ``metrics/prune/<name>.json``.
The rules are those of "Does CLIP's Generalization Performance Mainly Stem from High Train-Test
Similarity?" (ICLR 2024, arXiv 2310.09562): hull, near, far and random pruning and the core set;
``stages.rules`` defines them. Every result is a subset of the base. Scores are read block by block,
one test set after the other: memory is some bytes a pool row, whatever the number of test sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from stages import rules
from stages.artifacts import layout, manifest, metrics, scores, split
from stages.artifacts.manifest import Manifest
from stages.artifacts.scores import Scores
from stages.artifacts.split import Split
from stages.entry import run
from stages.parameters import FILE, read, splits

DIGITS = 6
BLOCK_ROWS = 1 << 20


@dataclass(frozen=True)
class Pruned:
    """The rows that a rule keeps, the rows that each test set removes, the scores' sources."""

    split: Split
    removed_per_test: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


def by_hull(base_N: Bool[np.ndarray, " N"], rule: splits.Hull, found: dict[str, Scores]) -> Pruned:
    """Hull pruning: the union over the test sets is removed."""
    margins = {test: column(one, "margin") for test, one in found.items()}
    kept_N, per_test = rules.hull(base_N, margins, rule.delta)
    return Pruned(split.from_mask(kept_N), per_test, sources(found))


def by_rank(
    base_N: Bool[np.ndarray, " N"], rule: splits.Ranked, found: dict[str, Scores]
) -> Pruned:
    """Near and far pruning and the core set: by similarity to the nearest image of any test set."""
    size = rules.target_size(rule.keep, int(np.count_nonzero(base_N)))
    columns = (column(one, "max_sim") for one in found.values())
    similarity_N = rules.similarity_to_any(len(base_N), columns)
    choose = rules.near if rule.rule == "near" else rules.far
    return Pruned(split.from_mask(choose(base_N, similarity_N, size)), {}, sources(found))


def by_chance(base_N: Bool[np.ndarray, " N"], rule: splits.Random, of: Split | None) -> Pruned:
    """A uniform sample, of ``keep`` rows or as large as the split ``of``."""
    keep = rule.keep if of is None else len(of)
    if keep is None:
        raise ValueError("a random split needs keep, or the split of whose size it is")
    size = rules.target_size(keep, int(np.count_nonzero(base_N)))
    return Pruned(split.from_mask(rules.random(base_N, size, rule.seed)))


def by_operation(base: Split, rule: splits.Combined, of: Split, other: Split) -> Pruned:
    """A set operation on two splits, as far as the base reaches."""
    operation = {
        "union": split.union,
        "intersection": split.intersection,
        "difference": split.difference,
    }[rule.rule]
    return Pruned(split.intersection(operation(of, other), base))


def column(one: Scores, name: str) -> Iterator[tuple[int, Float32[np.ndarray, " _M"]]]:
    """A column of a test set's pool scores in blocks."""
    for start, columns in one.pool_blocks([name], rows=BLOCK_ROWS):
        yield start, columns[name]


def sources(found: dict[str, Scores]) -> dict[str, str]:
    """The encoder's fingerprint and the reference's manifest hash, which all scores share."""
    card = next(iter(found.values())).card
    return {"encoder": card["encoder"], "reference": card["reference"]}


def make_card(rule: splits.Rule, pool: Manifest, base: Split, pruned: Pruned) -> dict[str, Any]:
    """What a split is: pool, rule, parameters, counts and shares (of the base and of the pool)."""
    kept = len(pruned.split)
    card = {
        "pool": pool.sha256,
        "pool_rows": len(pool),
        "rule": rule.rule,
        "parameters": rule.model_dump(by_alias=True, exclude_none=True),
        "base": rule.base,
        "base_rows": len(base),
        "kept": kept,
        "removed": len(base) - kept,
        "share_of_base": round(kept / len(base), DIGITS),
        "share_of_pool": round(kept / len(pool), DIGITS),
        **pruned.sources,
    }
    if pruned.removed_per_test:
        card["removed_per_test"] = pruned.removed_per_test
    return card


def numbers(card: dict[str, Any]) -> dict[str, Any]:
    """The card's counts and shares, as metrics."""
    names = ("kept", "removed", "share_of_base", "share_of_pool", "removed_per_test")
    return {name: card[name] for name in names if name in card}


def read_split(name: str, pool: Manifest) -> Split:
    """A split of this very pool; one that was made from another pool is an error."""
    return split.read_for(layout.split(name), pool.sha256)


def read_scores(tests: list[str], pool: Manifest, path: Path) -> dict[str, Scores]:
    """The scores of ``tests`` for this pool, under the parameters' encoder and reference."""
    content = read(path)
    try:
        root = layout.similarities(content["encoder"]["name"], content["reference"])
    except (KeyError, TypeError):
        raise ValueError(f"{path}: encoder.name or reference is missing") from None
    found = scores.read_all(root, tests, pool=pool.sha256)
    for one in found.values():
        # a row without a score would stay in the pool as if nothing were near it
        if len(one.pool) != len(pool):
            raise ValueError(f"{one.folder}: {len(one.pool)} pool rows, the pool has {len(pool)}")
    return found


def prune(rule: splits.Rule, pool: Manifest, base: Split, path: Path = FILE) -> Pruned:
    """Read what ``rule`` refers to and apply it to ``base``."""
    if isinstance(rule, splits.Everything):
        return Pruned(base)
    if isinstance(rule, splits.Combined):
        return by_operation(base, rule, read_split(rule.of, pool), read_split(rule.with_, pool))
    base_N = base.mask(len(pool))
    if isinstance(rule, splits.Hull):
        return by_hull(base_N, rule, read_scores(rule.tests, pool, path))
    if isinstance(rule, splits.Ranked):
        return by_rank(base_N, rule, read_scores(rule.tests, pool, path))
    return by_chance(base_N, rule, None if rule.of == splits.NONE else read_split(rule.of, pool))


def main(name: str) -> str:
    """Write the split ``name`` and its metrics."""
    rule = splits.load(name)
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    base = read_split(rule.base, pool)
    try:
        pruned = prune(rule, pool, base)
    except ValueError as error:
        raise ValueError(f"splits.{name}: {error}") from None
    if not len(pruned.split):
        raise ValueError(f"splits.{name}: {rule.rule} keeps none of the base's {len(base)} rows")
    card = make_card(rule, pool, base, pruned)
    split.write(layout.split(name), pruned.split, card=card)
    metrics.write(layout.metrics("prune", name), numbers(card))
    return f"{card['kept']} of {len(base)} rows kept ({card['share_of_base']:.1%} of {rule.base})"


if __name__ == "__main__":
    run(main)
