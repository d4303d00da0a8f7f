"""How near the test images are to the training data, and accuracy by that."""

from typing import Any

from clipcause.report import charts, classwise, published
from clipcause.report.charts import lines_of
from clipcause.report.colours import GREY, colours
from clipcause.report.content import Content
from clipcause.report.decimals import listed
from clipcause.report.sections.conditions import line, rows
from clipcause.report.sections.elements import NONE, Cell, Panel, Small, by_test, drawing
from clipcause.report.statistics import Bins, spearman
from clipcause.report.tables import tabular

MOST_PANELS = 16  # of splits, for every test set


def similarity(content: Content) -> dict[str, Any]:
    """Histograms of nearest similarity, a panel per split and test set."""
    study, colour = content.study, colours(content.study)
    every = [name for name in study.rules if name not in study.twins]
    # what was chosen by class has no reason to be nearer to a test set
    own = [name for name in every if not classwise.is_classwise(study.rules[name])][:MOST_PANELS]
    random_of = {one: random for random, many in reversed(study.twins.items()) for one in many}

    def panel(test: str, name: str) -> Panel:
        roles = {name: "split", "pool": "pool", "reference": "reference"}
        if name in random_of:
            roles[random_of[name]] = tabular.RANDOM
        rows = [
            {**one, "role": roles[one["data"]], "colour": colour.get(one["data"], GREY)}
            for one in content.similarity
            if one["test"] == test and one["data"] in roles
        ]
        label = f"Nearest similarity of {test} images to {name}, the pool and the reference."
        return Panel(name, drawing(charts.similarity_panel(), rows, label))

    return {
        "width": f"{content.parameters.histogram_width:g}",
        "further": further(len(every) - len(own), "split"),
        "sets": {test: [panel(test, name) for name in own] for test in study.suite},
    }


def bins(content: Content) -> dict[str, Any]:
    """Accuracy in bins of similarity, and its rank correlation."""
    study, parameters, shown = content.study, content.parameters, lines_of(content.study)
    theirs = published.load().spearman
    known = [f"{theirs[test]} on {test}" for test in study.tests if test in theirs]
    return {
        "width": f"{parameters.bin_width:g}",
        "least": parameters.least_per_bin,
        "marks": [(line(study, name), name) for name in shown],
        "panels": by_test(
            study.tests,
            charts.bins_panel(),
            [one for one in content.binned if one["split"] in shown],
            "Accuracy on {test} by similarity to the training data, a line per condition.",
        ),
        "further": further(len(study.conditions) - len(shown), "condition"),
        "rows": rows(study, lambda name, test: _rank(content.bins[name, test])),
        "published": listed(known) if known else "",
    }


def _rank(found: Bins) -> Cell:
    value, counted = spearman(found), f"{len(found.count_B)} bins"
    if found.images_left_out:
        counted += f", {found.images_left_out} left out"
    return Cell(NONE if value is None else f"{value:.2f}", (Small(counted),))


def further(count: int, what: str) -> str:
    """How many are not drawn; empty where all are."""
    if count <= 0:
        return ""
    are = "s are" if count > 1 else " is"
    return f"{count} further {what}{are} not drawn here; the tables of the plots have all."
