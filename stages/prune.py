"""``prune NAME``: choose the pool rows of one split.

In: the pool's manifest (its hash and number of rows), the base split, the splits that the rule
names, and the scores of the test sets; for rules that look at classes, the manifest's labels or
the frequency's matches. Out: ``splits/<name>/`` and ``metrics/prune/<name>.json``.
The rules are those of "Does CLIP's Generalization Performance Mainly Stem from High Train-Test
Similarity?" (ICLR 2024, arXiv 2310.09562): hull, near, far and random pruning and the core set,
which ``prune.rules`` defines; and those of the imbalance study, in ``prune.classwise``. Every
result is a subset of the base. Scores are read block by block, one test set after the other: memory
is some bytes a pool row, whatever the number of test sets, and some a match of row and class.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from clipcause.captions import relevance
from clipcause.config import FILE, layout, read, splits, study
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.prune import classwise, domain_rules, domains, members, rules, split
from clipcause.prune.members import Members
from clipcause.prune.split import Split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.search import scores
from clipcause.search.scores import Scores

DIGITS = 6
BLOCK_ROWS = 1 << 20
NUMBERS = (  # of the card, that are metrics
    *("kept", "removed", "share_of_base", "share_of_pool", "removed_per_test"),
    *(
        "scored",
        "above",
        "added_for_classes",
        "classes_kept_whole",
        "class_counts",
        "domains",
        "target",
        "shortfall",
    ),
)


@dataclass(frozen=True)
class Pruned:
    """The rows that a rule keeps, the rows that each test set removes, what the rule read, and
    what it did to classes (which metrics state as far as they are numbers)."""

    split: Split
    removed_per_test: dict[str, int] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)


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


def by_threshold(
    base_N: Bool[np.ndarray, " N"],
    rule: splits.Threshold,
    of: Split | None,
    pool: Manifest,
    path: Path,
) -> Pruned:
    """A similarity to a definition, and then a uniform sample where the rule has a size."""
    folder = layout.relevance(study.name("classes", path))
    made = relevance.read_card(folder, pool=pool.sha256)
    kept_N, scored_N = classwise.above(base_N, relevance.similarities(folder), rule.above)
    facts = {"scored": int(np.count_nonzero(scored_N)), "above": int(np.count_nonzero(kept_N))}
    keep = rule.keep if of is None else len(of)
    if keep is not None and rule.seed is not None:
        if keep > facts["above"]:
            raise ValueError(f"{keep} rows are to stay, {facts['above']} are above {rule.above}")
        kept_N = rules.random(kept_N, keep, rule.seed)
    card = {key: value for key, value in made.items() if key != "classes"}
    return Pruned(split.from_mask(kept_N), {}, {"relevance": card}, facts)


def by_domain(base_N: Bool[np.ndarray, " N"], rule: splits.ByDomain, pool: Manifest) -> Pruned:
    """The rows of whole domains, as a classifier calls them; the card says how sure that is."""
    found = domains.read(layout.domains(rule.domain), pool=pool.sha256)
    kept_N, facts = domain_rules.apply(base_N, rule, found)
    return Pruned(split.from_mask(kept_N), {}, {"encoder": found.card["encoder"]}, facts)


def by_class(
    base_N: Bool[np.ndarray, " N"],
    rule: splits.Classwise,
    of: Split | None,
    pool: Manifest,
    path: Path,
) -> Pruned:
    """A rule that looks at the classes of rows; the card has their counts before and after."""
    found = read_members(rule.by, base_N, pool, path)
    facts: dict[str, Any] = {}
    if isinstance(rule, splits.TrimTail):
        kept_N, facts["trimmed"] = classwise.trim_tail(
            base_N, found, rule.tail, rule.most, rule.seed
        )
    elif isinstance(rule, splits.Scale):
        kept_N, facts["added_for_classes"] = classwise.scale(base_N, found, rule.share, rule.seed)
    elif isinstance(rule, splits.Match):
        kept_N, facts = matched(base_N, found, rule, of, pool, path)
    elif isinstance(rule, splits.Classes):
        facts["taken"] = classwise.chosen(found, rule.take, rule.seed)
        kept_N, facts["rows_of_others_too"] = classwise.of_classes(base_N, found, facts["taken"])
        facts["taken_without_rows"] = without = found.without_rows(facts["taken"])
        if without:
            warn(f"{len(without)} classes of take have no rows in the base, first {without[0]}")
    else:
        kept_N = classwise.balance(base_N, found, rule.most, rule.seed)
        whole_C = (found.counts > 0) & (found.counts <= rule.most)
        facts["classes_kept_whole"] = int(np.count_nonzero(whole_C))
    facts["class_counts"] = {
        "before": classwise.spread(found.counts),
        "after": classwise.spread(found.within(kept_N)),
    }
    return Pruned(split.from_mask(kept_N), {}, dict(found.source), facts)


def matched(
    base_N: Bool[np.ndarray, " N"],
    found: Members,
    rule: splits.Match,
    of: Split | None,
    pool: Manifest,
    path: Path,
) -> tuple[Bool[np.ndarray, " N"], dict[str, Any]]:
    """The rule ``match``: what is kept, and what lacks where."""
    if of is None:
        folder = layout.dataset(study.name("reference", path))
        rows = len(manifest.read(folder, shards=False))
        other = members.by_label(folder, np.ones(rows, bool))
    else:
        other = read_members(rule.by, of.mask(len(pool)), pool, path)
    wanted = dict(zip(other.classes, other.counts.tolist(), strict=True))
    target_C = classwise.targets(found, wanted, rule.keep)
    unknown = sorted(wanted.keys() - set(found.classes))
    if unknown:
        warn(
            f"{len(unknown)} of {len(wanted)} classes to match are no classes of the pool, "
            f"first {unknown[0]}"
        )
    kept_N, short_C = classwise.match(base_N, found, target_C, rule.seed)
    short = {found.classes[at]: int(short_C[at]) for at in np.flatnonzero(short_C)}
    if short:
        aimed = np.count_nonzero(target_C)
        warn(f"{len(short)} of {aimed} classes are {short_C.sum()} rows short of their targets")
    return kept_N, {
        "target": int(target_C.sum()),
        "shortfall": int(short_C.sum()),
        "short_classes": short,
        "unknown_classes": len(unknown),
    }


def warn(words: str) -> None:
    """A line on stderr: something is less than was asked for, which is no error."""
    print(f"prune: {words}", file=sys.stderr)


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
    return card | pruned.classes


def numbers(card: dict[str, Any]) -> dict[str, Any]:
    """The card's counts and shares, as metrics; of lists of classes their lengths."""
    lists = {name: len(card[name]) for name in ("trimmed", "taken") if name in card}
    return {name: card[name] for name in NUMBERS if name in card} | lists


def read_split(name: str, pool: Manifest) -> Split:
    """A split of this very pool; one that was made from another pool is an error."""
    return split.read_for(layout.split(name), pool.sha256)


def read_scores(rule: splits.Scored, pool: Manifest, path: Path) -> dict[str, Scores]:
    """The scores of the rule's tests for this pool, under the parameters' encoder and reference or
    by the entry of `scores` that the rule names."""
    content = read(path)
    if rule.scores != splits.NONE:
        root = layout.scores(rule.scores)
        if not root.exists():
            raise FileNotFoundError(f"{root}: not found; `dvc repro scores@{rule.scores}` makes it")
    else:
        try:
            root = layout.similarities(content["encoder"]["name"], content["reference"])
        except (KeyError, TypeError):
            raise ValueError(f"{path}: encoder.name or reference is missing") from None
    found = scores.read_all(root, rule.tests, pool=pool.sha256)
    for one in found.values():
        # a row without a score would stay in the pool as if nothing were near it
        if len(one.pool) != len(pool):
            raise ValueError(f"{one.folder}: {len(one.pool)} pool rows, the pool has {len(pool)}")
    return found


def read_members(by: str, base_N: Bool[np.ndarray, " N"], pool: Manifest, path: Path) -> Members:
    """The classes of the base's rows."""
    if by == "label":
        return members.by_label(pool.folder, base_N)
    return members.by_mention(layout.frequency(study.name("classes", path)), base_N, pool.sha256)


def prune(rule: splits.Rule, pool: Manifest, base: Split, path: Path = FILE) -> Pruned:
    """Read what ``rule`` refers to and apply it to ``base``."""
    if isinstance(rule, splits.Everything):
        return Pruned(base)
    if isinstance(rule, splits.Combined):
        return by_operation(base, rule, read_split(rule.of, pool), read_split(rule.with_, pool))
    base_N = base.mask(len(pool))
    if isinstance(rule, splits.Hull):
        return by_hull(base_N, rule, read_scores(rule, pool, path))
    if isinstance(rule, splits.Ranked):
        return by_rank(base_N, rule, read_scores(rule, pool, path))
    of = None if rule.of == splits.NONE else read_split(rule.of, pool)
    if isinstance(rule, splits.Random):
        return by_chance(base_N, rule, of)
    if isinstance(rule, splits.ByDomain):
        return by_domain(base_N, rule, pool)
    if isinstance(rule, splits.Threshold):
        return by_threshold(base_N, rule, of, pool, path)
    return by_class(base_N, rule, of, pool, path)


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
    return (
        f"{card['kept']:,} of {len(base):,} rows kept ({card['share_of_base']:.1%} of {rule.base})"
        f", {len(base) - card['kept']:,} dropped"
    )


if __name__ == "__main__":
    run(main)
