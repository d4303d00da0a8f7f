"""The rule ``domain`` of ``splits``: keep, drop or mix the rows of whole visual domains.

Domains are called by the data sets that an entry of ``domains`` names, or `first` and `second`;
rows that are called neither are `ambiguous`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from clipcause.config.domains import SLOTS, Domain, load
from clipcause.config.slots import Rows, Seed, Sourceless

Words = str | Annotated[list[str], Field(min_length=1)]
Part = Annotated[int | float, Field(gt=0)]


class ByDomain(Sourceless):
    """One of: the rows of the domains ``keep``; all but those of ``drop``; a ``mix`` at a ratio of
    ``size`` rows, or of as many as the base has at that ratio."""

    rule: Literal["domain"]
    domain: str  # of the section domains
    keep: Words | None = None
    drop: Words | None = None
    mix: Annotated[dict[str, Part], Field(min_length=1)] | None = None
    size: Rows | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "ByDomain":
        ways = [name for name in ("keep", "drop", "mix") if getattr(self, name) is not None]
        if len(ways) != 1:
            told = " and ".join(ways) or "none of them"
            raise ValueError(f"a domain split has one of keep, drop and mix, but has {told}")
        if self.mix is None and (self.size is not None or self.seed is not None):
            raise ValueError("size and seed are of a mix; keep and drop take all rows of a domain")
        if self.mix is not None and self.seed is None:
            raise ValueError("a mix is drawn, and needs a seed")
        return self

    def words(self) -> list[str]:
        """The domains as they are written."""
        named = self.mix if self.mix is not None else self.keep or self.drop or []
        return [named] if isinstance(named, str) else list(named)

    def slots(self, of: Domain, where: str) -> list[str]:
        """Which answers of the classifier the rule names, in the order of the words.

        Raises ``ValueError`` for a word that names none, for an answer that is named twice, and for
        all of them where all is what the base is already, or nothing.
        """
        way = next(name for name in ("keep", "drop", "mix") if getattr(self, name) is not None)
        found = [of.slot(word, f"{where}.{way}") for word in self.words()]
        if len(set(found)) < len(found):
            raise ValueError(f"{where}.{way}: a domain comes twice: {', '.join(self.words())}")
        if way != "mix" and len(found) == len(SLOTS):
            left = "leaves everything" if way == "keep" else "leaves nothing"
            raise ValueError(f"{where}.{way}: {', '.join(self.words())} {left}")
        return found


def check(rule: ByDomain, content: Mapping[str, Any], where: str, path: str) -> None:
    """Raise where the rule names an entry of ``domains`` or a domain that does not exist."""
    rule.slots(load(rule.domain, content, path), where)
