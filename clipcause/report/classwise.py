"""Splits that rules made class by class: what a reader is told of them, how they are grouped."""

from clipcause.config.splits import NONE, Balance, Classes, Match, Rule, Scale, Threshold, TrimTail

PANELS = {
    "trim_tail": "trimmed tail",
    "scale": "scale",
    "match": "matched class counts",
    "threshold": "similarity threshold",
    "classes": "chosen classes",
    "balance": "balanced",
}


def is_classwise(rule: Rule | None) -> bool:
    """Whether a rule looks at the classes of rows."""
    return isinstance(rule, TrimTail | Scale | Match | Threshold | Classes | Balance)


def by(rule: Rule) -> str:
    """What a row's classes are for a class-wise rule: `label` or `mention`."""
    # a threshold is on the classes that a caption mentions
    return getattr(rule, "by", "mention")


def panel(rule: Rule) -> str:
    """Under what a split is drawn together with others."""
    name = PANELS[rule.rule]
    return f"{name} ({rule.most}-shot)" if isinstance(rule, TrimTail) else name


def said(rule: Rule) -> str:
    """How the rule chooses rows, in a sentence without a full stop."""
    how = f"by {by(rule)}"
    if isinstance(rule, TrimTail):
        return (
            f"the {rule.tail:,} rarest classes {how} cut to at most {rule.most:,} rows each, "
            f"seed {rule.seed}"
        )
    if isinstance(rule, Scale):
        return f"a uniform share of {rule.share:g}, one row at least of every class {how}"
    if isinstance(rule, Match):
        of = "the reference" if rule.of == NONE else rule.of
        size = "" if rule.keep is None else f", scaled to {rule.keep:,} rows"
        return f"the class counts {how} of {of}{size}, seed {rule.seed}"
    if isinstance(rule, Threshold):
        size = "" if rule.keep is None else f", {rule.keep:,} of them"
        size = size if rule.of == NONE else f", as many as {rule.of}"
        return (
            f"rows whose caption is more similar than {rule.above:g} to the definition of a class "
            f"that it mentions{size}"
        )
    if isinstance(rule, Classes):
        return f"{_taken(rule)} {how}"
    assert isinstance(rule, Balance)
    return f"classes {how} thinned to about {rule.most:,} rows each, seed {rule.seed}"


def _taken(rule: Classes) -> str:
    take = rule.take
    if isinstance(take, str):
        return "rows of any class"
    if isinstance(take, list):
        return f"rows of {len(take)} named classes"
    many = f"{take:,}" if isinstance(take, int) else f"a share of {take:g} of the"
    return f"rows of {many} classes drawn with seed {rule.seed}"
