"""The published study's numbers and which of our conditions stand beside them."""

from pathlib import Path

from clipcause.config import Strict, parse, yaml12
from clipcause.config.layout import NONE
from clipcause.prune.rules.hull import Hull
from clipcause.prune.rules.none import Everything
from clipcause.report.conditions import Condition
from clipcause.report.outline import Outline

FILE = Path(__file__).parent / "published.yaml"
SUPERVISED = "supervised"
ALL = "all"
UNPRUNED = "none"


class Row(Strict):
    """One published condition: top-1 in % by test set, as printed."""

    name: str
    ours: str | list[str]
    removed: str
    accuracy: dict[str, str]


class Published(Strict):
    """The study, its rows, and Spearman's coefficient by test set."""

    title: str
    venue: str
    arxiv: str
    note: str
    rows: list[Row]
    spearman: dict[str, str]


def load() -> Published:
    """The data file of this package."""
    return parse(yaml12.load(FILE.read_bytes(), FILE.name), Published, FILE.name)


def counterpart(study: Outline, kind: str | list[str]) -> Condition | None:
    """Our first condition of a kind: unpruned, hull-pruned for just these test sets, supervised."""
    wanted = set(study.tests) if kind == ALL else set(kind)
    for condition in study.conditions.values():
        rule = study.rules.get(condition.split)
        if kind in (SUPERVISED, UNPRUNED):
            found = condition.is_supervised if kind == SUPERVISED else isinstance(rule, Everything)
        else:
            found = isinstance(rule, Hull) and set(rule.tests) == wanted and rule.scores == NONE
        if found:
            return condition
    return None
