"""What a linear classifier on a model's features reaches, and how alike the images of a class are:
the numbers of the stages `probe` and `intraclass`, where a study has them."""

from dataclasses import dataclass
from typing import Any

from stages.artifacts import layout, metrics
from stages.parameters import FILE, read
from stages.report import factors

PROBES = "probes"
INTRACLASS = "intraclass"
ALL = "all"


@dataclass(frozen=True)
class Probe:
    """The accuracy of one probe on one test set with so many samples a class."""

    name: str
    run: str
    data: str
    split: str
    shots: str  # a number, or `all`
    test: str
    mean: float
    deviation: float | None  # over draws; None of one


def names(section: str) -> dict[str, Any]:
    """The entries of a section that a study may lack."""
    found = read(FILE).get(section)
    return found if isinstance(found, dict) else {}


def measured(section: str, stage: str) -> dict[str, dict[str, Any]]:
    """The metrics of every entry; those that were not made yet are left out."""
    paths = {name: layout.metrics(stage, name) for name in names(section)}
    return {name: metrics.read(path) for name, path in paths.items() if path.exists()}


def flat(section: str, stage: str) -> dict[str, dict[str, float]]:
    """As ``measured``, numbers by their path with dots."""
    return {name: factors.flat(found) for name, found in measured(section, stage).items()}
