"""Runs to conditions, and which conditions are compared with which."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from clipcause.config import nearest, splits
from clipcause.config.runs import NONE, Run
from clipcause.config.splits import Rule
from clipcause.report import factors


@dataclass(frozen=True)
class Condition:
    """Runs that differ in their seed alone, and the names of the conditions on random splits of
    the same size, with which they are compared."""

    name: str
    split: str
    objective: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    twins: tuple[str, ...] = ()
    without_reference: bool = False  # trained on its split alone, as its checkpoints' cards say
    is_plain: bool = True  # no factor but the split differs from the defaults

    @property
    def is_supervised(self) -> bool:
        """Whether it learnt from the reference's labels alone."""
        return self.objective == "supervised" and self.split == NONE

    @property
    def answers(self) -> bool:
        """Whether its models name a class; what learnt without names or captions does not."""
        return self.objective != "dino"


def group(
    runs: Mapping[str, Run],
    rules: Mapping[str, Rule],
    sizes: Mapping[str, int],
    without: Collection[str],
) -> dict[str, Condition]:
    """Runs to conditions, in the order of the splits; supervised ones come last.

    ``sizes`` are the splits' numbers of rows, ``without`` the runs that saw no reference; names say
    so only where others on a split did see it.
    """
    rules = with_bases(rules, runs)
    members: dict[tuple[str, str, bool, str], list[str]] = {}
    for name, run in runs.items():
        if run.split != NONE and run.split not in rules:
            raise ValueError(
                f"params.yaml: runs.{name}.split: unknown split {run.split!r}; "
                f"{nearest(run.split, rules)}"
            )
        one = (run.objective, run.split, name in without, factors.key(run))
        members.setdefault(one, []).append(name)
    random = twins(rules, sizes)
    order = [*_families(rules, random), NONE]
    keys = sorted(members, key=lambda key: (key[0] == "supervised", order.index(key[1]), key[2]))
    is_mixed = len({name in without for name, run in runs.items() if run.split != NONE}) > 1
    names = {key: factors.title(runs[members[key][0]], without=is_mixed and key[2]) for key in keys}
    conditions = {}
    for key in keys:
        objective, own, is_without, differing = key
        beside = [
            (objective, name, is_without, differing) for name in random if own in random[name]
        ]
        conditions[names[key]] = Condition(
            names[key],
            own,
            objective,
            tuple(members[key]),
            tuple(runs[run].seed for run in members[key]),
            tuple(names[twin] for twin in beside if twin in names),
            is_without,
            not factors.settings(runs[members[key][0]]),
        )
    return conditions


def with_bases(rules: Mapping[str, Rule], runs: Mapping[str, Run]) -> dict[str, Rule]:
    """The rules of the splits, and of the bases that runs learn from: nothing is removed."""
    learnt = {run.split for run in runs.values()}
    whole = {"rule": "none", "of": NONE, "with": NONE}
    return {
        **rules,
        **{
            base: splits.Everything.model_validate({**whole, "base": base})
            for base in splits.BASES
            if base in learnt
        },
    }


def same_rows(base: str, rules: Mapping[str, Rule]) -> str:
    """The split that is the whole base, for what is measured for splits alone.

    Raises ``ValueError`` where there is none, with the entry to add.
    """
    for name, rule in rules.items():
        if isinstance(rule, splits.Everything) and rule.base == base and name != base:
            return name
    raise ValueError(
        f"params.yaml: runs learn from {base}, and no split is all of it; add `full: {{rule: none, "
        f"base: {base}, of: none, with: none}}` to splits"
    )


def twins(rules: Mapping[str, Rule], sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Every random split to the splits that are compared with it: the one whose size it was told
    to have, and all that a rule chose from the same base and that have as many rows.

    A random split of nobody's size is left out.
    """
    chosen = {
        name: rule
        for name, rule in rules.items()
        if not isinstance(rule, splits.Random | splits.Everything)
    }
    found = {}
    for name, rule in rules.items():
        if not isinstance(rule, splits.Random):
            continue
        of = {
            other: None
            for other, one in chosen.items()
            if one.base == rule.base and sizes[other] == sizes[name]
        }
        if rule.of in rules:
            of = {rule.of: None, **of}
        if of:
            found[name] = tuple(of)
    return found


def _families(rules: Mapping[str, Rule], random: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Splits in their order, but a random one directly after the one whose size it has; one that
    several share stays where it is."""
    of = {name: others[0] for name, others in random.items() if len(others) == 1}
    ordered = []
    for name in rules:
        if name not in of:
            ordered += [name, *(twin for twin, own in of.items() if own == name)]
    # a random split of a random split's size is in nobody's family
    return ordered + [name for name in rules if name not in ordered]
