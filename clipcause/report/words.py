"""How splits are chosen, in plain words. Nothing here is HTML."""

from clipcause.config.splits import NONE, ByDomain, Combined, Everything, Hull, Random, Ranked, Rule
from clipcause.report import classwise
from clipcause.report.decimals import listed, percent


def rule(one: Rule) -> str:
    """How a split is chosen from its base, in a sentence without a full stop."""
    if isinstance(one, Hull):
        shifted = f" + {one.delta:g}" if one.delta else ""
        return (
            f"hull pruning for {listed(one.tests)}: a row goes if it is more similar to some test "
            f"image than that image's nearest reference image{shifted}{by_yardstick(one)}"
        )
    if isinstance(one, Ranked):
        kept = (
            f"{one.keep:,} rows"
            if isinstance(one.keep, int)
            else f"{percent(one.keep)} of the base"
        )
        which = "least" if one.rule == "near" else "most"
        near = f"similar to the nearest image of {listed(one.tests)}{by_yardstick(one)}"
        return f"{one.rule}: {kept} {which} {near}"
    if isinstance(one, Random):
        size = f"as many as {one.of}" if one.keep is None else f"keep {one.keep:,}"
        return f"random: a uniform sample, {size}, seed {one.seed}"
    if isinstance(one, Combined):
        return f"{one.rule} of {one.of} and {one.with_}, as far as the base reaches"
    if isinstance(one, ByDomain):
        return by_domain(one)
    if isinstance(one, Everything):
        return "the base itself, nothing removed"
    return classwise.said(one)


def by_yardstick(one: Hull | Ranked) -> str:
    """By what a rule measures, where it is not the study's encoder and reference."""
    return "" if one.scores == NONE else f", measured by the yardstick {one.scores}"


def by_domain(one: ByDomain) -> str:
    """How a split of whole domains is chosen."""
    called = f"as the classifier {one.domain} calls them"
    if one.mix is None:
        told = "only rows of" if one.keep is not None else "all but rows of"
        return f"domain: {told} {listed(one.words())}, {called}"
    ratio = ":".join(f"{part:g}" for part in one.mix.values())
    size = "as many rows as there are" if one.size is None else f"{one.size:,} rows"
    return f"domain: {size} of {listed(one.words())} at {ratio}, {called}, seed {one.seed}"
