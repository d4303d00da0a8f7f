"""What a run of the parameters amounts to: its rows, how it learns, and for how long."""

from clipcause.config import parse
from clipcause.config.objective import Learning, Objective
from clipcause.config.runs import NONE
from clipcause.config.train import Optimiser, Train
from clipcause.embed.checkpoint import Checkpoint
from clipcause.prune.split import Split
from clipcause.train.training_set import Plan


def plan(
    entry: Objective,
    chosen: Split,
    train: Train,
    reference: int = 0,
    given: Checkpoint | None = None,
) -> Plan:
    """The plan of a run; what the run states goes before what `train` does.

    ``reference`` is the number of rows of the reference, which epochs count where it is added;
    ``given`` the checkpoint whose text tower it takes.
    """
    assert isinstance(entry, Learning)  # what others trained has no plan
    add = train.add_reference if entry.add_reference is None else entry.add_reference
    add = add or (entry.split == NONE and not entry.needs_split)
    if entry.epochs is not None:
        train = passes(train, entry.section, entry.epochs, len(chosen) + reference * add)
    if entry.samples_seen is not None:
        train = seeing(train, entry.section, entry.samples_seen)
    return Plan(
        rows=chosen,
        add_reference=add,
        objective=entry.objective,
        seed=entry.seed,
        train=train,
        captions=entry.captions,
        text=entry.text,
        text_from=given,
        vocabulary=entry.vocabulary,
        prototypes=entry.prototypes,
        own={name: getattr(entry, name) for name in entry.own_keys()},
    )


def passes(train: Train, section: str, epochs: float, rows: int) -> Train:
    """The parameters with as many samples as make ``epochs`` passes over ``rows``, in whole
    batches."""
    settings: Optimiser | None = getattr(train, section)
    if settings is None:
        return train  # which is said where the run is checked
    batches = max(1, round(epochs * rows / settings.batch_size))
    own = settings.model_copy(update={"samples_seen": batches * settings.batch_size})
    return train.model_copy(update={section: own})


def seeing(train: Train, section: str, samples: int) -> Train:
    """The parameters with a run's own number of samples, checked as those of `train` are."""
    values = train.model_dump(exclude_unset=True)
    if values.get(section) is None:
        return train
    values[section]["samples_seen"] = samples
    return parse(values, Train, f"samples_seen {samples} of the run in train")
