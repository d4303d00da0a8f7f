"""The entries of `runs`: what is trained on what."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from clipcause.config import Strict
from clipcause.config.captions import Captions

NONE = "none"
ALL = "all"
Text = Literal["random", "initialised", "frozen"]
Several = Annotated[int, Field(ge=2)]


class Vocabulary(Strict):
    """The classes that a step of a supervised run tells apart (dynamic classification).

    Those of the batch, and further ones up to ``size`` by ``weights``: the same for all, a class's
    rows in training, or their square root. ``device``: of every process's own share of the batch;
    ``global``: of the whole batch, the same in all processes.
    """

    size: Literal["all"] | Several = "all"
    weights: Literal["uniform", "frequency", "square-root"] = "frequency"
    scope: Literal["device", "global"] = "device"

    def stated(self) -> dict[str, Any]:
        """What decides weights: nothing where all classes take part."""
        return {} if self.size == ALL else self.model_dump()


class Run(Strict):
    """One model: what every run can be asked, whatever it learns by.

    The objectives, ``clipcause.config.objectives``, are what a run is read as: each says which of
    these keys mean something to it, and adds its own.
    """

    split: str = Field(description="a split to learn from, or none")
    objective: str
    seed: Annotated[int, Field(ge=0)] = 0
    model: str = NONE
    pretrained: str = NONE
    path: str = NONE
    add_reference: bool | None = None  # None: as `train` says
    # passes over the run's own rows; None: the samples that `train` states, the same for all runs
    epochs: Annotated[float, Field(gt=0.0)] | None = None
    samples_seen: Annotated[int, Field(ge=1)] | None = None  # in place of those that `train` states
    # the run whose text tower is used; of a model that others trained, weights/NAME, an entry of
    # `weights`, in place of a path of its own
    text_from: str = NONE
    # clip: the text tower; supervised: the classifier, which is then that tower's class prototypes
    text: Text = "random"
    captions: Captions = Captions()  # of the pool's rows
    vocabulary: Vocabulary = Vocabulary()
    prototypes: Literal["all"] | Several = "all"  # of a dino run: drawn at each step
    # what `evaluate` counts the run's rows of a class by; None: as `evaluate` says
    frequency: Literal["none", "label", "mention"] | None = None

    renamed: ClassVar[dict[str, str]] = {
        "donor": "this is called text_from now, and names a run or none",
        "reuse": "nothing is taken over any more: the encoder is the run that encoder.run names",
    }

    @property
    def is_published(self) -> bool:
        """Whether others trained it: it is written as it is, and what it saw is not known."""
        return False

    @model_validator(mode="after")
    def _consistent(self) -> "Run":
        if self.epochs is not None and self.samples_seen is not None:
            raise ValueError("epochs and samples_seen both say how long it learns: give one")
        if self.text != "random" and self.text_from == NONE:
            raise ValueError(
                f"text is {self.text}, and text_from is none; name the run whose text tower it is"
            )
        if self.is_published:
            return self  # its slot text_from is for the weights that it is read from
        if self.text == "random" and self.text_from != NONE:
            raise ValueError(
                f"text_from is {self.text_from}, and text is random, which takes nothing from it; "
                "set text to initialised or frozen"
            )
        return self


def learns_beyond(
    run: str, runs: Mapping[str, Any], known: Collection[str]
) -> tuple[str, str] | None:
    """The run, of this one and those whose text towers it has, that learns from a split which is
    none of ``known``, and that split; None where there is none."""
    seen: list[str] = []
    while run in runs and run not in seen:
        seen.append(run)
        if runs[run]["split"] not in known:
            return run, runs[run]["split"]
        run = runs[run].get("text_from", NONE)
    return None


def of_today(values: Any) -> Any:
    """An entry as it was written at an earlier revision, under the names of today."""
    if not isinstance(values, dict):
        return values
    given = {key: value for key, value in values.items() if key not in Run.renamed}
    return {**given, "text_from": values["donor"]} if "donor" in values else given
