"""`clip`: images and their captions, told from all others of a batch."""

from typing import ClassVar, Literal

from pydantic import model_validator

from clipcause.config.objective import LENGTH, Learning


class Clip(Learning):
    """A run on captions: those of the pool, or such as a template makes of a row's class."""

    objective: Literal["clip"]

    keys: ClassVar = (*LENGTH, "text", "captions")
    title: ClassVar = "CLIP"
    learns: ClassVar = "captions"
    section: ClassVar = "clip"
    has_text: ClassVar = True

    @model_validator(mode="after")
    def _captions(self) -> "Clip":
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
