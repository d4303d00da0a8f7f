"""evaluate: one run's model on every test set.

In: `models/<run>`, the test sets (manifests and shards), the class list and those of `data/asked`;
for class frequency the run's split, the manifests of pool and reference, and `frequency/<list>`.
Out: `predictions/<run>` and `features/<run>`, files per test set, `metrics/evaluate/<run>.json`.

How a test set is asked: `clipcause.evaluate.evaluation`. Only a CLIP run has learnt what captions
say: another run has no entry for a test set of the task `retrieval`.
"""

from clipcause import lazy
from clipcause.captions import classes
from clipcause.config import layout, objectives, section, study, versions
from clipcause.config.evaluate import Evaluate
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.evaluate import features, frequency_seen
from clipcause.evaluate.evaluation import Evaluation, own_classes, summary
from clipcause.runtime import atomic, metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice

# what notebooks imported from here
__getattr__ = lazy.again(__name__, "clipcause.evaluate", "imbalance", "neural_collapse")


def main(name: str) -> str:
    """Evaluate the run ``name`` on the test sets of the section `tests`."""
    versions.check(*versions.LEARNING)
    entry, settings = objectives.load(name), section("evaluate", Evaluate)
    frequency_by = "none" if entry.is_published else entry.frequency
    if frequency_by is not None:
        settings = settings.model_copy(update={"frequency": frequency_by})
    known = classes.read(layout.classes(study.name("classes")))
    tests = {test: dataset.read(layout.dataset(layout.test(test))) for test in study.to_classify()}
    owned = {test: own_classes(manifest) for test, manifest in tests.items()}
    stored = checkpoint.read(layout.model(name))
    every = sorted({one for names in owned.values() for one in names})
    seen = frequency_seen.of_run(settings.frequency, entry, stored.card, every, stored.folder)
    others = {one: classes.read(layout.asked(one)) for one in settings.lists}
    numbers = {}
    with (
        atomic.folder(layout.predictions(name)) as out,
        features.writing(layout.features(name)) as kept,
    ):
        model = Evaluation(stored, entry.objective, known, seen, settings, out, kept, others)
        for test, manifest in tests.items():
            numbers[test] = model.classify(test, manifest, owned[test])
        for test in study.to_retrieve():
            if entry.has_text:
                manifest = dataset.read(layout.dataset(layout.test(test)))
                numbers[test] = model.retrieve(test, manifest)
            else:
                notice(test, f"{name} is a {entry.objective} run, which learns no captions: no R@k")
    metrics.write(layout.metrics("evaluate", name), numbers)
    return summary(numbers)


if __name__ == "__main__":
    run(main)
