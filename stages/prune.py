"""``prune NAME``: choose the pool rows of one split.

In: the pool's manifest (its hash and number of rows), the base split, and what the rule of the
split asks for (``clipcause.prune.inputs``): scores of test sets, other splits, labels or matches of
captions, domains. Out: ``splits/<name>/`` and ``metrics/prune/<name>.json``. The rules are
``clipcause.prune.rules``, a module each.
"""

from clipcause.config import layout
from clipcause.prune import rules, split
from clipcause.prune.inputs import read_inputs
from clipcause.prune.rule import card, numbers
from clipcause.runtime import metrics
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Write the split ``name`` and its metrics."""
    rule = rules.load(name)
    given = read_inputs(rule.base)
    try:
        made = rule.decide(given)
    except ValueError as error:
        raise ValueError(f"splits.{name}: {error}") from None
    kept, base = len(made.kept), len(given.base)
    if not kept:
        few = ""
        if rule.base == "dedup" and 2 * base < len(given.pool):  # the encoder tells few apart
            few = (
                f"; {len(given.pool) - base:,} of the pool's {len(given.pool):,} went before as "
                "near-copies: see deduplicate.threshold, or train the encoder for longer"
            )
        raise ValueError(f"splits.{name}: {rule.rule} keeps none of the base's {base} rows{few}")
    stated = card(rule, given, made)
    split.write(layout.split(name), made.kept, card=stated)
    metrics.write(layout.metrics("prune", name), numbers(stated, made))
    return (
        f"{kept:,} of {base:,} rows kept ({stated['share_of_base']:.1%} of {rule.base}), "
        f"{base - kept:,} dropped"
    )


if __name__ == "__main__":
    run(main)
