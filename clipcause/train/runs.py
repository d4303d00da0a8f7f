"""One run from data sets to a checkpoint."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from clipcause.config import versions
from clipcause.config.objectives import OBJECTIVES
from clipcause.config.runs import ALL
from clipcause.embed import checkpoint, models
from clipcause.runtime import code, notices, unchanged
from clipcause.runtime import shard_cache as cache
from clipcause.train import locked_text, loop, objectives, step, texts, training_set
from clipcause.train.distributed import ALONE, World
from clipcause.train.loop import Line
from clipcause.train.training_set import Plan, Sources

__all__ = ["Plan", "Sources", "check", "fit", "recipe"]


def recipe(sources: Sources, plan: Plan) -> dict[str, Any]:
    """All but code that decides a run's weights on one machine, as JSON; its checkpoint's card has
    it.

    Two runs with equal recipes are the same model, whatever their names. What a run does not use
    is left out, so that a parameter that is new changes no recipe of an earlier model.
    """
    content = {
        "pool": sources.pool.sha256,
        "rows": len(plan.rows),
        "rows_sha256": training_set.rows_sha256(plan.rows, len(sources.pool)),
        "reference": sources.reference.sha256 if plan.add_reference else "none",
        "reference_captions": training_set.captions_key(sources, plan),
        "objective": plan.objective,
        "seed": plan.seed,
        "parameters": plan.train.deciding(),
        "optimiser": plan.optimiser.model_dump(exclude_none=True),
        **_own(sources, plan),
        "versions": versions.used(*packages(plan.objective)),
    }
    return json.loads(json.dumps(content))


def packages(objective: str) -> tuple[str, ...]:
    """The packages that decide the weights of runs of an objective."""
    return (*versions.LEARNING, *getattr(OBJECTIVES.models[objective], "packages", ()))


def _own(sources: Sources, plan: Plan) -> dict[str, Any]:
    """What the run has of its own: captions, another's text tower, a vocabulary, prototypes, what
    its objective alone has; where it is not as by default."""
    fields = plan.kind.model_fields
    own: dict[str, Any] = {
        name: to_jsonable_python(value)
        for name, value in plan.own.items()
        if value != fields[name].get_default(call_default_factory=True)
    }
    if stated := plan.captions.stated():
        own["captions"] = stated
    if plan.text_from is not None:
        own |= {"text": plan.text, "text_from": plan.text_from.fingerprint}
    if plan.captions.of_class or (plan.text_from is not None and plan.kind.learns == "labels"):
        own["class_names"] = cache.key(texts.named(plan.captions, sources.classes))
    if stated := plan.vocabulary.stated():
        own["vocabulary"] = stated
    if plan.prototypes != ALL:
        own["prototypes"] = plan.prototypes
    return own


def check(sources: Sources, plan: Plan) -> list[str]:
    """What is to be said of a run's data before it learns: what some rows or classes lack, counted.

    Raises ``ValueError`` for a run that cannot be: nothing to learn from, or no labels. What every
    row needs (a class, a piece of its caption) is looked for in all of them.
    """
    if not len(plan.rows) and not plan.add_reference:
        raise ValueError("the split is empty and the reference is not added: nothing to train on")
    if len(plan.rows) and plan.rows.bitmap.max() >= len(sources.pool):
        raise ValueError(
            f"the split has row {plan.rows.bitmap.max()}, {sources.pool.folder} has "
            f"{len(sources.pool)} rows; the split is of another pool"
        )
    if plan.text_from is not None:
        locked_text.check(plan.text_from, plan.objective, plan.train.model.config())
    return objectives.BY_NAME[plan.objective].check(sources, plan)


def fit(
    folder: Path,
    sources: Sources,
    plan: Plan,
    split_card: Mapping[str, Any],
    watch: Callable[[Line], None] = lambda _: None,
    world: World = ALONE,
    loaders: int = 0,
) -> str:
    """Train a run, write its checkpoint to ``folder`` and return the fingerprint.

    ``loaders`` processes read for each process that trains; with 0 it reads for itself. In several
    processes the first one writes; the others return an empty string.
    """
    remarks = check(sources, plan)
    if world.first:
        for remark in remarks:
            notices.line(remark)
    train = plan.train
    device = models.settle(train.threads, train.device, world.local)
    decided = recipe(sources, plan)
    clip = training_set.model(sources, plan)
    step.prepare(clip, train, world)
    objective = objectives.BY_NAME[plan.objective].make(sources, plan, clip, world, device)
    state = cache.folder() / f"{cache.key('training', decided)}.state"
    curve = loop.train(
        objective,
        clip,
        training_set.feed(sources, plan, clip, loaders),
        loop.Regime(
            optimiser=plan.optimiser,
            seed=plan.seed,
            precision=train.precision,
            device=device,
            world=world,
            accumulate=train.accumulate,
        ),
        state=state,
        code=code.of(__name__),  # in the state and not in its name: one of other code is replaced
        label=folder.name,
        watch=watch,
    )
    unchanged.check()  # while the last state is there to go on from
    if not world.first:
        return ""
    fingerprint = checkpoint.write(
        folder,
        models.weights(clip.model),
        model_config=clip.config,
        preprocess=clip.preprocess,
        training=decided,
        split=split_card,
        log=curve,
        files={**clip.files, **objective.files()},
    )
    state.unlink(missing_ok=True)
    return fingerprint
