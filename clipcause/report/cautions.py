"""What a reader should know before any number of a study, each a sentence with its number.

`analyse` says them on stderr, the page below its summary. What two named sides have, `compare` says
below its table.
"""

from collections.abc import Iterator

from clipcause.prune.rules.hull import Hull
from clipcause.report.decimals import listed, percent
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline
from clipcause.report.study import Study

NAMED = 5  # classes that a sentence names
HALF = 0.5  # of the base


def found(inputs: Inputs) -> list[str]:
    """All of a study's, in the order in which data flow."""
    study = inputs.study
    return [*_without_reference(study), *_pruned_away(study), *_without_pool(study)]


def _without_reference(study: Study) -> Iterator[str]:
    """Test sets with classes that the reference has no image of."""
    known = set(study.sources.reference.labels)
    for test in study.tests:
        classes = sorted({str(one) for one in study.sources.suite[test].labels if one is not None})
        if lacking := [one for one in classes if one not in known]:
            more = [f"{len(lacking) - NAMED} more"] if len(lacking) > NAMED else []
            yield (
                f"The reference has no image of {len(lacking)} of the {len(classes)} classes of "
                f"{test} ({listed([*lacking[:NAMED], *more])}): thresholds of hull pruning for "
                "their images come from other classes, and remove more than they should; a model "
                "of the reference alone cannot name them."
            )


def _pruned_away(study: Outline) -> Iterator[str]:
    """Hull splits that lack more than half of their base."""
    for name, rule in study.rules.items():
        kept, base = len(study.splits[name]), len(study.base_of(name))
        if isinstance(rule, Hull) and base - kept > HALF * base:
            yield (
                f"Hull pruning for “{name}” removed {percent(1 - kept / base)} of its base "
                f"({base - kept:,} of {base:,} rows), where the published study lost 4\u00a0% for "
                "ImageNet-Sketch and, says a secondary text, 6\u00a0% for all of its test sets: "
                "the reference is small, or the encoder puts everything close together. What is "
                "left is to be compared with a random split of its size alone."
            )


def _without_pool(study: Outline) -> Iterator[str]:
    """Conditions that learnt from the reference's labels alone."""
    for name, one in study.conditions.items():
        if one.is_supervised:
            yield (
                f"“{name}” was trained on no row of the pool, but on the reference’s "
                f"{len(study.reference):,} images: beside a model of a split it differs in "
                "number of images and in how it learns, too."
            )
