"""Parameters of `catalogue`: which icons, and who plays which part."""

from typing import Annotated

from pydantic import Field

from stages.parameters import Strict

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]


class Icons(Strict):
    """The icon world; `stages/icons/roles.py` says what each part is."""

    licences: list[str]  # SPDX identifiers of the sets that may be used
    leave_out_categories: list[str]
    sets: str  # data file: families, renditions, sets to leave out
    classes: str  # data file: class names and synonyms
    salt: str  # another word, another deal
    reference_families: Share
    test_images_per_class: Annotated[int, Field(ge=1)]
    adversarial_candidates_per_class: Annotated[int, Field(ge=1)]
    pool_size: Count  # 0: every icon that is left
    pool_labelled: Count
    pool_with_class_word: Count
    objectnet_strength: Share
