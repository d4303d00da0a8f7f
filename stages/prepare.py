"""prepare@DATASET: a raw source comes in; shards, manifest and drop ledger go out.

So does the split `all` of the data set: the pool's is what the encoder learns from and what other
splits are made of. Reading the source is the audit of the data, before any work is spent on them: a
bad sample costs a line of the ledger, too many fail the stage (``clipcause.data.sources``).
"""

from clipcause.captions import classes
from clipcause.config import layout, section, study
from clipcause.config.datasets import NONE, Prepare
from clipcause.data import dataset, prepare
from clipcause.data.sources import union
from clipcause.prune import bases, split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Prepare the data set ``name`` of the section `datasets`."""
    source = union.load(name)
    raw = source.found(name)
    if source.place == NONE:
        prepare.tell_links(raw, name)
    counts, lost = source.write(section("prepare", Prepare), name)
    made = dataset.read(layout.dataset(name), shards=False)
    # no byte of the data depends on the task: it says what is looked for in them, and is not
    # tracked; `evaluate` looks again
    if layout.is_test(name) and study.task(name.partition("/")[2]) == "classify":
        listed = layout.classes(study.name("classes"))
        prepare.check_labels(made, raw, classes.read(listed), listed)
    card = bases.card(made.sha256, len(made), len(made), "all", {})
    split.write(layout.split("all", name), split.everything(len(made)), card=card)
    numbers = {"samples": counts.samples, "dropped": counts.dropped, "shards": counts.shards}
    if lost is not None:
        numbers["lost"] = lost
    reasons = {reason.replace(" ", "_"): count for reason, count in counts.reasons.items()}
    metrics.write(layout.metrics("prepare", name), {**numbers, "reasons": reasons})
    return f"{counts.samples:,} samples in {counts.shards:,} shards, {counts.dropped:,} dropped"


if __name__ == "__main__":
    run(main)
