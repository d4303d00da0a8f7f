"""The slots that every entry of ``splits`` has, whatever its rule, and the types that rules share.

The DAG turns the slots into file dependencies; one that a rule does not use says ``none``.
"""

from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import Strict

NONE = "none"

Unused = Literal["none"]
Rows = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Slots(Strict):
    """The slots that every item has; every rule starts from ``base``: all, dedup or a split."""

    base: str
    of: str
    with_: str = Field(alias="with")


class Sourceless(Slots):
    """A rule that reads no other split."""

    of: Unused
    with_: Unused = Field(alias="with")
