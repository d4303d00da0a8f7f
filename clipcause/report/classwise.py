"""Splits of rules that look at classes."""

from clipcause.prune.rule import Rule


def is_classwise(rule: Rule | None) -> bool:
    """Whether a rule looks at the classes of rows."""
    return rule is not None and rule.classes_by is not None
