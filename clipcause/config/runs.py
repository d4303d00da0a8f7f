"""The entries of `runs`: what is trained on what."""

from typing import Annotated, Any, Literal

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
    """One model. A supervised run with split `none` learns from the reference alone."""

    split: str
    objective: Literal["clip", "supervised", "dino"]
    seed: Annotated[int, Field(ge=0)]
    reuse: Literal["none", "encoder"] = "none"  # take the encoder's model where it is the same
    add_reference: bool | None = None  # None: as `train` says
    # passes over the run's own rows; None: the samples that `train` states, the same for all runs
    epochs: Annotated[float, Field(gt=0.0)] | None = None
    samples_seen: Annotated[int, Field(ge=1)] | None = None  # in place of those that `train` states
    donor: str = NONE  # the run, or `encoder`, whose text tower is used
    # clip: the text tower; supervised: the classifier, which is then the donor's class prototypes
    text: Text = "random"
    captions: Captions = Captions()  # of the pool's rows
    vocabulary: Vocabulary = Vocabulary()
    prototypes: Literal["all"] | Several = "all"  # of a dino run: drawn at each step
    # what `evaluate` counts the run's rows of a class by; None: as `evaluate` says
    frequency: Literal["none", "label", "mention"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Run":
        if self.epochs is not None and self.samples_seen is not None:
            raise ValueError("epochs and samples_seen both say how long it learns: give one")
        if self.text != "random" and self.donor == NONE:
            raise ValueError(
                f"text is {self.text}, and no donor is given; name the run whose text tower it is"
            )
        if self.text == "random" and self.donor != NONE:
            raise ValueError(
                f"donor is {self.donor}, and text is random, which takes nothing from it; set text "
                "to initialised or frozen"
            )
        for name, only in ONLY.items():
            given = getattr(self, name) != type(self).model_fields[name].get_default(
                call_default_factory=True
            )
            if given and self.objective not in only:
                raise ValueError(f"{name} is for runs of {' and '.join(only)} alone")
        self._check_captions()
        return self

    def _check_captions(self) -> None:
        captions, stated = self.captions, self.captions.stated()
        if self.objective == "supervised":
            # the prompts of the class prototypes
            if unused := sorted(stated.keys() - {"kind", "templates", "synonyms"}):
                raise ValueError(f"captions.{unused[0]}: a supervised run learns no captions")
            if stated and self.text == "random":
                raise ValueError(
                    "captions: a supervised run learns none, and its classifier is random; they "
                    "are the prompts of a donor's class prototypes, where text says so"
                )
            return
        if captions.synonyms and not captions.of_class:
            raise ValueError("captions.synonyms: natural captions have no class's name")
        unused = {"natural": ["templates"], "template": ["pieces", "prepend_class"]}[captions.kind]
        for name in unused:
            if name in stated:
                raise ValueError(f"captions.{name}: captions of kind {captions.kind} have none")


# what says something to some objectives only
ONLY = {
    "text": ("clip", "supervised"),
    "captions": ("clip", "supervised"),
    "vocabulary": ("supervised",),
    "prototypes": ("dino",),
}
