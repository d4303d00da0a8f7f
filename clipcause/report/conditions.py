"""Runs to conditions, and which conditions are compared with which."""

import json
import os.path
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from clipcause.config import layout, nearest
from clipcause.config.objective import Learnt
from clipcause.config.objectives import OBJECTIVES
from clipcause.config.runs import NONE, Run
from clipcause.prune.rule import Rule
from clipcause.prune.rules.none import Everything
from clipcause.prune.rules.quota import Quota
from clipcause.prune.rules.random import Random
from clipcause.report import factors


@dataclass(frozen=True)
class Condition:
    """Runs that differ in their seed alone, or are on draws of one split that do, and the names of
    the conditions with which they are compared: those on random splits of the same size, and those
    on splits that have its class content as well."""

    name: str
    split: str  # of several draws the first
    objective: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    controls: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()  # conditions on splits of its size and class content
    draws: tuple[str, ...] = ()  # the split of every run, where they are on several
    without_reference: bool = False  # trained on its split alone, as its checkpoints' cards say
    is_plain: bool = True  # no factor but the split differs from the defaults

    @property
    def is_supervised(self) -> bool:
        """Whether it learnt from the reference's labels alone."""
        return self.objective == "supervised" and self.split == NONE

    @property
    def splits(self) -> tuple[str, ...]:
        """The split of its runs, or all draws of it."""
        return tuple(dict.fromkeys(self.draws)) or (self.split,)

    @property
    def answers(self) -> bool:
        """Whether its models name a class, and what they learnt is known: what learnt without
        names or captions names none, and what others trained may have learnt anything."""
        return self.learns in ("captions", "labels")

    @property
    def learns(self) -> Learnt | None:
        """What its models learnt from, where that is known."""
        return OBJECTIVES.models[self.objective].learns


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
    drawn = draws(rules, {run.split for run in runs.values()})
    members: dict[tuple[str, str, bool, str], list[str]] = {}
    for name, run in runs.items():
        if run.split != NONE and run.split not in rules:
            raise ValueError(
                f"params.yaml: runs.{name}.split: unknown split {run.split!r}; "
                f"{nearest(run.split, rules)}"
            )
        first = drawn.get(run.split, (run.split,))[0]
        one = (run.objective, first, name in without, factors.key(run))
        members.setdefault(one, []).append(name)
    random = controls(rules, sizes)
    order = [*_families(rules, random), NONE]
    keys = sorted(members, key=lambda key: (key[0] == "supervised", order.index(key[1]), key[2]))
    is_mixed = len({name in without for name, run in runs.items() if run.split != NONE}) > 1
    names = {}
    for key in keys:
        split = draw_name(drawn[key[1]], rules) if key[1] in drawn else key[1]
        run = runs[members[key][0]].model_copy(update={"split": split})
        names[key] = factors.title(run, without=is_mixed and key[2])
    conditions = {}
    for key in keys:
        objective, own, is_without, _ = key

        def titles(splits: Iterable[str], key: tuple[str, str, bool, str] = key) -> tuple[str, ...]:
            """The conditions on splits that are otherwise as this one."""
            firsts = dict.fromkeys(drawn.get(name, (name,))[0] for name in splits)
            beside = [(key[0], first, key[2], key[3]) for first in firsts]
            return tuple(names[one] for one in beside if one in names)

        of, wanted = members[key], set(drawn.get(own, (own,)))
        conditions[names[key]] = Condition(
            names[key],
            own,
            objective,
            tuple(of),
            tuple(runs[run].seed for run in of),
            titles(name for name, others in random.items() if wanted & {*others}),
            titles(name for name, rule in rules.items() if is_alike(rule) and rule.of in wanted),
            tuple(runs[run].split for run in of) if own in drawn else (),
            is_without,
            not factors.settings(runs[of[0]]),
        )
    return conditions


def draws(rules: Mapping[str, Rule], used: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Every split in use that others in use are like but for their seed, to all of these."""
    families: dict[str, list[str]] = {}
    for name, rule in rules.items():
        if name in used and "seed" in type(rule).model_fields:
            stated = rule.model_dump(mode="json", by_alias=True) | {"seed": None}
            families.setdefault(json.dumps(stated, sort_keys=True), []).append(name)
    return {name: tuple(one) for one in families.values() if len(one) > 1 for name in one}


def draw_name(names: tuple[str, ...], rules: Mapping[str, Rule]) -> str:
    """What the names of a split's draws have in common: `random-core` of `random-core-0` and
    `random-core-1`; the first where that is nothing, or another split's name."""
    common = os.path.commonprefix(names)  # noqa: RUF071 - letters are meant
    if common not in names:
        common = common.rstrip("0123456789").rstrip("-_.")
    return common if common and (common not in rules or common in names) else names[0]


def is_alike(rule: Rule) -> bool:
    """Whether a split is drawn to have another's size and class content."""
    return isinstance(rule, Quota) and rule.is_control


def on_splits(runs: Mapping[str, Run], rules: Mapping[str, Rule], encoder: str) -> dict[str, Run]:
    """The runs; one on a base is on the split that is all of it: the same rows have one name, and
    how near they are to the test images is measured for entries of `splits`.

    Where there is no such split, the run ``encoder`` is left out, which a study may have for that
    alone; for another it is an error.
    """
    found = {}
    for name, run in runs.items():
        if run.split not in layout.BASES:
            found[name] = run
        elif name != encoder or any(is_whole(rule, run.split) for rule in rules.values()):
            found[name] = run.model_copy(update={"split": same_rows(run.split, rules)})
    return found


def is_classwise(rule: Rule | None) -> bool:
    """Whether a rule looks at the classes of rows."""
    return rule is not None and rule.classes_by is not None


def is_whole(rule: Rule, base: str) -> bool:
    """Whether a split is all of a base."""
    return isinstance(rule, Everything) and rule.base == base


def same_rows(base: str, rules: Mapping[str, Rule]) -> str:
    """The split that is the whole base, for what is measured for splits alone.

    Raises ``ValueError`` where there is none, with the entry to add.
    """
    for name, rule in rules.items():
        if is_whole(rule, base):
            return name
    raise ValueError(
        f"params.yaml: runs learn from {base}, and no split is all of it; add `full: {{rule: none, "
        f"base: {base}, of: none, with: none}}` to splits"
    )


def controls(rules: Mapping[str, Rule], sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Every random split to the splits that are compared with it: the one whose size it was told
    to have, and all that a rule chose from the same base and that have as many rows.

    A random split of nobody's size is left out.
    """
    chosen = {
        name: rule for name, rule in rules.items() if not isinstance(rule, Random | Everything)
    }
    found = {}
    for name, rule in rules.items():
        if not isinstance(rule, Random):
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


def sole(rules: Mapping[str, Rule], random: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Random splits to the one split that they are the controls of, beside splits that are drawn
    to be like it."""
    found = {}
    for name, others in random.items():
        chosen = [other for other in others if not is_alike(rules[other])]
        if len(chosen) == 1:
            found[name] = chosen[0]
    return found


def _families(rules: Mapping[str, Rule], random: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Splits in their order, but a random one directly after the one whose size it has; one that
    several share stays where it is."""
    of = sole(rules, random)
    ordered = []
    for name in rules:
        if name not in of:
            ordered += [name, *(random for random, own in of.items() if own == name)]
    # a random split of a random split's size is in nobody's family
    return ordered + [name for name in rules if name not in ordered]
