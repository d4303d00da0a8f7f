"""Splits of one rule by several scores: how alike is what they removed, and what that did."""

from dataclasses import replace
from typing import Any

from clipcause.report.content import Content
from clipcause.report.decimals import listed, percent
from clipcause.report.outline import Outline
from clipcause.report.sections.conditions import accuracy, split_name
from clipcause.report.sections.elements import NONE, Cell, Row, Small, grouped
from clipcause.report.tables.agreement import Family, Member, Overlap


def view(content: Content) -> dict[str, Any] | None:
    """Every rule that has splits by several scores; None without any."""
    found = [_family(content, one) for one in content.families]
    encoder, reference = (Cell(text, kind="text") for text in ("encoder", "reference"))
    head = [Cell("split\n", (Small("scores"),)), encoder, reference]
    return {"families": found, "head": head} if found else None


def _family(content: Content, family: Family) -> dict[str, Any]:
    study = content.study
    (drawn,) = grouped(content, "agreement", "rule")[family.rule]
    trained = [line for line in content.lines if not line.condition.is_supervised]
    without = [one.name for one in family.members
               if one.name not in {line.condition.split for line in trained}]  # fmt: skip
    return {
        "title": family.rule[0].upper() + family.rule[1:],
        "base": f"{family.base:,}",
        "removed": [_removed(study, one, family.base) for one in family.members],
        "pairs": [_pair(one) for one in family.overlaps],
        "panel": replace(drawn, title="Filled: Jaccard index. Hollow: by chance."),
        # each with the difference from its own random split
        "results": [
            Row(
                _named(study, one),
                [accuracy(cell.top1.value, cell.difference)
                 for cell in (line.cells[test] for test in study.tests)],
            )
            for one in family.members
            for line in trained
            if line.condition.split == one.name
        ],
        "without": listed(without),
    }  # fmt: skip


def _named(study: Outline, one: Member) -> Cell:
    return Cell(one.name, (Small(one.measure),), mark=split_name(study, one.name).mark)


def _removed(study: Outline, one: Member, base: int) -> Row:
    count = one.removed
    words = [Cell(text, kind="text") for text in (one.encoder, one.reference)]
    share = percent(count / base) if base else NONE
    return Row(_named(study, one), [*words, f"{count:,}", share])


def _pair(one: Overlap) -> Row:
    least = min(one.first.removed, one.second.removed)
    shares = (one.both / least if least else None), one.same_size
    of_smaller, at_one_size = (NONE if one is None else percent(one) for one in shares)
    indices = f"{one.jaccard:.3f}", f"{one.chance:.3f}"
    return Row(one.pair, [f"{one.both:,}", of_smaller, *indices, at_one_size])
