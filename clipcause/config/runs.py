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
    """One model. A supervised run with split `none` learns from the reference alone.

    A published model is a run that learns nothing here, with split `none`. `pretrained`: the
    open_clip model ``model`` with the weights ``pretrained`` (a tag or a file). `checkpoint`: the
    folder ``path``, with an `open_clip_config.json` and weights.
    """

    split: str
    objective: Literal["clip", "supervised", "dino", "pretrained", "checkpoint"]
    seed: Annotated[int, Field(ge=0)] = 0
    model: str = NONE
    pretrained: str = NONE
    path: str = NONE
    add_reference: bool | None = None  # None: as `train` says
    # passes over the run's own rows; None: the samples that `train` states, the same for all runs
    epochs: Annotated[float, Field(gt=0.0)] | None = None
    samples_seen: Annotated[int, Field(ge=1)] | None = None  # in place of those that `train` states
    text_from: str = NONE  # the run whose text tower is used
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
        return self.objective in PUBLISHED

    @property
    def has_text(self) -> bool:
        """Whether its text tower has learnt what captions say."""
        return self.objective == "clip" or self.is_published

    @model_validator(mode="after")
    def _consistent(self) -> "Run":
        if self.epochs is not None and self.samples_seen is not None:
            raise ValueError("epochs and samples_seen both say how long it learns: give one")
        if self.text != "random" and self.text_from == NONE:
            raise ValueError(
                f"text is {self.text}, and text_from is none; name the run whose text tower it is"
            )
        if self.text == "random" and self.text_from != NONE:
            raise ValueError(
                f"text_from is {self.text_from}, and text is random, which takes nothing from it; "
                "set text to initialised or frozen"
            )
        for name, only in ONLY.items():
            given = getattr(self, name) != type(self).model_fields[name].get_default(
                call_default_factory=True
            )
            if given and self.objective not in only:
                raise ValueError(f"{name} is for runs of {' and '.join(only)} alone")
        if self.is_published:
            self._check_published()
            return self
        if "seed" not in self.model_fields_set:
            raise ValueError("seed is missing")
        self._check_captions()
        return self

    def _check_published(self) -> None:
        if self.split != NONE:
            raise ValueError(
                f"split is {self.split}, and a {self.objective} run learns from no split; set it "
                "to none"
            )
        for name in PUBLISHED[self.objective]:
            if getattr(self, name) == NONE:
                raise ValueError(f"{name} is missing: objective {self.objective} names it")

    def _check_captions(self) -> None:
        captions, stated = self.captions, self.captions.stated()
        if self.objective == "supervised":
            # the prompts of the class prototypes
            if unused := sorted(stated.keys() - {"kind", "templates", "synonyms"}):
                raise ValueError(f"captions.{unused[0]}: a supervised run learns no captions")
            if stated and self.text == "random":
                raise ValueError(
                    "captions: a supervised run learns none, and its classifier is random; they "
                    "are the prompts of class prototypes, where text_from says whose"
                )
            return
        if captions.synonyms and not captions.of_class:
            raise ValueError("captions.synonyms: natural captions have no class's name")
        unused = {"natural": ["templates"], "template": ["pieces", "prepend_class"]}[captions.kind]
        for name in unused:
            if name in stated:
                raise ValueError(f"captions.{name}: captions of kind {captions.kind} have none")


# models that others trained, and what says which
PUBLISHED = {"pretrained": ("model", "pretrained"), "checkpoint": ("path",)}
TRAINED = ("clip", "supervised", "dino")
# what says something to some objectives only
ONLY = {
    **{name: (objective,) for objective, names in PUBLISHED.items() for name in names},
    **dict.fromkeys(("seed", "add_reference", "epochs", "samples_seen"), TRAINED),
    "text": ("clip", "supervised"),
    "captions": ("clip", "supervised"),
    "vocabulary": ("supervised",),
    "prototypes": ("dino",),
}


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
