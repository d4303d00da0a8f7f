"""`supervised`: the class of every image."""

from typing import ClassVar, Literal

from pydantic import model_validator

from clipcause.config.objective import LENGTH, Learning


class Supervised(Learning):
    """A run on labels; with split `none` it learns from the reference alone."""

    objective: Literal["supervised"]

    keys: ClassVar = (*LENGTH, "text", "captions", "vocabulary")
    title: ClassVar = "supervised"
    learns: ClassVar = "labels"
    section: ClassVar = "supervised"
    needs_split: ClassVar = False

    @model_validator(mode="after")
    def _captions(self) -> "Supervised":
        stated = self.captions.stated()  # the prompts of the class prototypes
        if unused := sorted(stated.keys() - {"kind", "templates", "synonyms"}):
            raise ValueError(f"captions.{unused[0]}: a supervised run learns no captions")
        if stated and self.text == "random":
            raise ValueError(
                "captions: a supervised run learns none, and its classifier is random; they are "
                "the prompts of class prototypes, where text_from says whose"
            )
        return self
