"""probe NAME: linear classifiers on the features of a run's model, few-shot or on all rows.

In: `models/<run>`, the labelled rows of the pool (in a split, if one is stated) or of the
reference, the test sets, the class list. Out: `probes/<name>`, predictions of every draw, and
`metrics/probe/<name>.json`: per test set and number of shots the accuracy of every draw.
`clipcause.evaluate.linear_probes` says which images and classes take part.
"""

from threadpoolctl import threadpool_limits

from clipcause.captions import classes
from clipcause.config import item, layout, section, study, versions
from clipcause.config.evaluate import Evaluate
from clipcause.config.probes import NONE, POOL, Probe
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.evaluate.linear_probes import Rows, Test, among, check_asked, encoded, fit, labelled
from clipcause.prune import split
from clipcause.runtime import atomic, metrics
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Fit and try the probe ``name`` of the section `probes`."""
    versions.check(*versions.LEARNING, *versions.PROBES)
    entry, settings = item("probes", name, Probe), section("evaluate", Evaluate)
    where = layout.POOL if entry.data == POOL else study.name("reference")
    manifest = dataset.read(layout.dataset(where))
    tests = {test: dataset.read(layout.dataset(layout.test(test))) for test in study.to_classify()}
    chosen = None
    if entry.split != NONE:
        chosen = split.read_for(layout.split(entry.split), manifest.sha256).rows
    row_N, labels = labelled(manifest, chosen)
    learnt = sorted(set(labels))
    known = classes.read(layout.classes(study.name("classes")))
    asked = {test: among(images, learnt, known) for test, images in tests.items()}
    check_asked(asked, learnt)
    answered = [test for test, one in asked.items() if one.label]
    sets = [Rows(test, tests[test], asked[test].row, asked[test].label) for test in answered]
    stored = checkpoint.read(layout.model(entry.run))
    train, *images = encoded(stored, [Rows(where, manifest, row_N, labels), *sets], settings)
    having = {test: Test(of, asked[test].meant) for test, of in zip(answered, images, strict=True)}
    # sums of BLAS depend on the number of its threads, which is a parameter here
    with threadpool_limits(settings.threads), atomic.folder(layout.probes(name)) as out:
        numbers = fit(entry, train, learnt, having, out)
    for test, one in asked.items():
        facts = {"n": len(one.label), "left_out": one.left_out}
        numbers["tests"][test] = numbers["tests"].get(test, {}) | facts
    metrics.write(layout.metrics("probe", name), numbers)
    shown = [
        f"{test} {condition} {of['top1']:.3f}"
        for test in tests
        for condition, of in numbers["tests"][test].items()
        if isinstance(of, dict)
    ]
    return f"top-1 {', '.join(shown)}"


if __name__ == "__main__":
    run(main)
