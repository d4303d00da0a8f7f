"""What tables are made from: a study, the parameters of the report, and one another's results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clipcause.config.report import Report
from clipcause.report.study import Study

Result = TypeVar("Result")


@dataclass(frozen=True)
class Inputs:
    """A study and its parameters; what a function makes of them is made once."""

    study: Study
    parameters: Report
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict)

    def of(self, make: Callable[["Inputs"], Result]) -> Result:
        """What ``make`` makes of these inputs: several tables share a costly result."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    @property
    def draws(self) -> dict[str, int]:
        """How resamples are drawn."""
        return {"resamples": self.parameters.resamples, "seed": self.parameters.seed}
