"""What an objective says of its runs, before anything is loaded that learns.

An objective is a module of ``clipcause.config.objectives``, the model of its runs, and, where it
learns here, one of the same name in ``clipcause.train.objectives``, how it does: what checks
parameters or reads reports needs the first alone, and loads no PyTorch.
"""

from abc import ABC
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import model_validator

from clipcause.config import weights
from clipcause.config.runs import NONE, Run
from clipcause.config.train import Train

COMMON = frozenset({"split", "objective", "text_from", "frequency"})
LENGTH = ("seed", "add_reference", "epochs", "samples_seen")  # of what learns here
Learnt = Literal["captions", "labels", "images"]


class Objective(Run, ABC):
    """The runs of one objective. ``objective`` is a literal in each; of its other keys those in
    ``keys`` mean something to it, and those of its own."""

    keys: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]  # in a report
    # whether its text tower has learnt what captions say
    has_text: ClassVar[bool] = False
    needs_split: ClassVar[bool] = True
    learns: ClassVar[Learnt | None] = None  # None: it is not known

    def check(self, train: Train, where: str) -> None:
        """Raise ``ValueError`` where the section `train` does not go together with the run."""

    @model_validator(mode="after")
    def _own(self) -> "Objective":
        fields = Run.model_fields
        for name in fields.keys() - COMMON - set(self.keys):
            if getattr(self, name) != fields[name].get_default(call_default_factory=True):
                others = " and ".join(one for one, keys in _all(Objective) if name in keys)
                raise ValueError(f"{name} is for runs of {others} alone")
        return self


class Learning(Objective):
    """A run that learns here, from what ``learns`` says, by the section ``section`` of `train`."""

    keys: ClassVar[tuple[str, ...]] = LENGTH
    section: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()  # that decide its weights, beside those of all
    # fields of open_clip's configuration that its models begin with, where `train.model` has none
    logits: ClassVar[Mapping[str, float]] = {}

    @classmethod
    def own_keys(cls) -> list[str]:
        """The keys that runs of this objective alone have."""
        return sorted(cls.model_fields.keys() - Run.model_fields.keys())

    @model_validator(mode="after")
    def _drawn(self) -> "Learning":
        if "seed" not in self.model_fields_set:
            raise ValueError("seed is missing")
        return self


class Captioned(Learning):
    """A run on images and captions by the schedule of `train.clip`; both towers learn."""

    keys: ClassVar = (*LENGTH, "text", "captions")
    learns: ClassVar = "captions"
    section: ClassVar = "clip"
    has_text: ClassVar = True

    @model_validator(mode="after")
    def _captions(self) -> "Captioned":
        captions, stated = self.captions, self.captions.stated()
        if captions.synonyms and not captions.of_class:
            raise ValueError("captions.synonyms: natural captions have no class's name")
        unused = {"natural": ["templates"], "template": ["pieces", "prepend_class", "several"]}[
            captions.kind
        ]
        for name in unused:
            if name in stated:
                raise ValueError(f"captions.{name}: captions of kind {captions.kind} have none")
        return self


class Published(Objective):
    """A model that others trained, with split `none`. ``named`` are the keys that say which; the
    last of them says where its weights are, unless they are an entry of the section `weights`."""

    named: ClassVar[tuple[str, ...]]
    has_text: ClassVar[bool] = True
    needs_split: ClassVar[bool] = False

    @property
    def is_published(self) -> bool:
        """It is written as it is, and what it saw is not known."""
        return True

    @model_validator(mode="after")
    def _which(self) -> "Published":
        if self.split != NONE:
            raise ValueError(
                f"split is {self.split}, and a {self.objective} run learns from no split; set it "
                "to none"
            )
        *which, place = self.named
        if self.text_from != NONE:
            if weights.named(self.text_from) is None:
                raise ValueError(
                    f"text_from is {self.text_from}: a {self.objective} run takes no text tower; "
                    f"it names weights, {weights.PREFIX}NAME, or none"
                )
            if getattr(self, place) != NONE:
                raise ValueError(f"text_from is {self.text_from}, which is its {place}: leave one")
        needed = which if self.has_weights else self.named
        for name in needed:
            if getattr(self, name) == NONE:
                raise ValueError(f"{name} is missing: objective {self.objective} names it")
        return self

    @property
    def has_weights(self) -> bool:
        """Whether its weights are named elsewhere than by the last of ``named``."""
        return self.text_from != NONE


def _all(model: type[Objective]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """All objectives that are known by now, with their keys."""
    for one in model.__subclasses__():
        if one.model_fields["objective"].annotation is not str:
            yield one.__module__.rpartition(".")[2], one.keys
        yield from _all(one)
