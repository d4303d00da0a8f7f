"""Parameters of `catalogue`: which icons, and who plays which part."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipcause.config import Strict

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(ge=1)]

# What one casting needs and another does not know.
OWN: dict[str, tuple[str, ...]] = {
    "similarity": (
        "reference_families",
        "adversarial_candidates_per_class",
        "pool_size",
        "pool_labelled",
        "objectnet_strength",
    ),
    "long-tail": ("least_families", "reference_images_per_class", "pool_unrelated"),
}


class Icons(Strict):
    """The icon world; `clipcause/icons/roles.py` and `longtail.py` say what each part is.

    The fields below the line belong to one casting each: it needs all of its own, and another's are
    an error, so that nothing is set in vain.
    """

    licences: list[str]  # SPDX identifiers of the sets that may be used
    leave_out_categories: list[str]
    sets: str  # data file: families, renditions, sets to leave out
    classes: str  # data file: class names and synonyms
    salt: str  # another word, another deal
    cast: Literal["similarity", "long-tail"] = "similarity"
    test_images_per_class: Some
    pool_with_class_word: Count  # icons of no class whose name has the words of one
    # from icons that have no other part (`clipcause/icons/further.py`), at most:
    retrieval_images: Count = 1000  # each with a caption of its own
    domain_images: Count = 4000  # of each domain, glyphs and renditions
    # ---- similarity
    reference_families: Share = 0.0
    adversarial_candidates_per_class: Some = 1
    pool_size: Count = 0  # 0: every icon that is left
    pool_labelled: Count = 0
    objectnet_strength: Share = 0.0
    # ---- long-tail
    least_families: Some = 1  # that draw a class; others are left out
    reference_images_per_class: Some = 1  # at most
    pool_unrelated: Count = 0
    # class ids: the balanced test's images of these are a test of their own, `subset`
    subset: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _of_this_cast(self) -> "Icons":
        missing = [key for key in OWN[self.cast] if key not in self.model_fields_set]
        if missing:
            raise ValueError(f"cast {self.cast} needs {', '.join(missing)}")
        for other, keys in OWN.items():
            given = [key for key in keys if key in self.model_fields_set]
            if other != self.cast and given:
                raise ValueError(
                    f"cast {self.cast} has no {', '.join(given)}, which cast {other} has; leave out"
                )
        if self.subset and self.cast != "long-tail":
            raise ValueError("subset belongs to cast long-tail; leave it out")
        if self.cast == "long-tail" and self.least_families < self.test_images_per_class + 2:
            raise ValueError(
                f"least_families is {self.least_families}, but a class needs "
                f"{self.test_images_per_class} families for the test, one for the reference and "
                f"one for the pool: at least {self.test_images_per_class + 2}"
            )
        return self
