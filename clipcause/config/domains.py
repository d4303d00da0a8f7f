"""The entries of ``domains``: how a classifier tells the pool's rows of two domains apart."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from clipcause.config import FILE, Strict, parse, read, unknown

SECTION = "domains"
AMBIGUOUS = "ambiguous"
SLOTS = ("first", "second", AMBIGUOUS)  # what a row can be called

Strength = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Domain(Strict):
    """Two data sets, each of one domain's labelled rows, and how sure a decision has to be."""

    first: str = Field(description="a data set, whose name is the domain's")
    second: str = Field(description="another data set")
    precision: Annotated[float, Field(gt=0.5, le=1.0)]  # on labelled rows that were not fitted
    held_out: Share = 0.3  # of the labelled rows: half to choose thresholds by, half to state
    # of the weights' square beside the mean loss of a row; cross-validation on the other rows
    regularisation: Annotated[list[Strength], Field(min_length=1)]
    # of `first` among the pool's rows of the two domains; without one, that of the labelled rows
    prior: Share | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _two_sets(self) -> "Domain":
        if self.first == self.second:
            raise ValueError(f"first and second are both {self.first!r}; two domains differ")
        for name in (self.first, self.second):
            if name in SLOTS:
                raise ValueError(f"a data set called {name!r} has the name of an answer; rename it")
        if len(set(self.regularisation)) < len(self.regularisation):
            raise ValueError(f"regularisation has a value twice: {self.regularisation}")
        return self

    @property
    def names(self) -> tuple[str, str, str]:
        """What rows are called: the two data sets, ambiguous."""
        return self.first, self.second, AMBIGUOUS

    def slot(self, word: str, where: str) -> str:
        """`first`, `second` or `ambiguous` for a word that means it; ``ValueError`` for others."""
        found = {**dict(zip(SLOTS, SLOTS, strict=True)), self.first: "first", self.second: "second"}
        if word not in found:
            raise unknown("domain", word, found, where)
        return found[word]


def load(name: str, content: Any = None, where: str = str(FILE)) -> Domain:
    """One entry of the section, of ``content`` or of the parameter file."""
    items = (read(FILE) if content is None else content).get(SECTION)
    if not isinstance(items, dict) or name not in items:
        known = items if isinstance(items, dict) else ()
        raise unknown("entry", name, known, f"{where}: {SECTION}")
    return parse(items[name], Domain, f"{where}: {SECTION}.{name}")
