"""The captions that a run learns: as the data set has them, or made from the class's name."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from clipcause.config import Strict
from clipcause.config.templates import Templates

CAPTION = "caption"  # the piece that the manifest has; others are keys of a sample's JSON


class Captions(Strict):
    """The text of every row of the pool; what is drawn is drawn once per row, by seed and row, but
    for one of several captions.

    ``natural``: the pieces in their order, joined by a space. ``template``: the class's name in
    one of the templates.
    """

    kind: Literal["natural", "template"] = "natural"
    # `caption`, the manifest's; others are keys of the sample's JSON (title, category, tags)
    pieces: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: [CAPTION])
    # of pictures that have several captions: one is drawn every time that it is seen, or the first
    several: Literal["draw", "first"] = "draw"
    # the name of a set, or a list; {name} is the class's name
    templates: Templates = Field(default_factory=lambda: ["a {name}"])
    synonyms: bool = False  # one of the class's names for each row, in place of its first
    # the class's name before a natural caption: the scripts released with the imbalance study do
    # so, its text does not say it
    prepend_class: bool = False

    @field_validator("pieces")
    @classmethod
    def _different(cls, pieces: list[str]) -> list[str]:
        if len(set(pieces)) < len(pieces):
            raise ValueError(f"a piece comes twice in {', '.join(pieces)}")
        return pieces

    @property
    def of_class(self) -> bool:
        """Whether every row needs a class."""
        return self.kind == "template" or self.prepend_class

    @property
    def facts(self) -> list[str]:
        """The keys of a sample's JSON that are read."""
        if self.kind == "template":
            return []
        return [piece for piece in self.pieces if piece != CAPTION]

    def stated(self) -> dict[str, Any]:
        """What is not as it is by default."""
        return self.model_dump(exclude_defaults=True)
