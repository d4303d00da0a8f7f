"""`norm-sim`: NormSim, how much a row's image is like the images of a target.

NormSim_p(x) = || f(X_target) f(x) ||_p (Wang et al. 2024, arXiv 2405.19547; their code,
`cal_similarity_scores_norm`), f(X_target) the target's unit vectors as rows of a matrix. A norm
takes absolute values, as theirs does: a negative similarity counts by its size. With p = infinity
that is the similarity to the nearest image but for rows of which an image is still farther on the
opposite side; ``negative`` counts those, and an encoder of images has hardly any.
"""

from typing import Literal

from clipcause.signals.given import Given
from clipcause.signals.signal import Scored, rounded
from clipcause.signals.target import Targeted


class NormSim(Targeted):
    """The norm of a row's similarities to the target."""

    kind: Literal["norm-sim"]
    p: Literal[2, "infinity"]

    @property
    def by_nearest(self) -> bool:
        """Of the largest similarity alone; a sum over the pool tells rows apart."""
        return self.p == "infinity"

    def score(self, given: Given) -> Scored:
        """Blocks of rows past the target."""
        from clipcause.signals import norms  # torch, which a check of the parameters has no use for

        target_TD, facts = self.vectors(given)
        numbers: dict[str, int] = {"target_rows": len(target_TD)}
        if self.p == 2:
            value_R = rounded(norms.two(given.blocks(), target_TD, len(given.rows)))
        else:
            value_R, opposite = norms.infinity(given.blocks, target_TD, len(given.rows))
            numbers["negative"] = opposite
        return Scored(value_R, numbers, facts)

    @property
    def title(self) -> str:
        """Its authors' name, which norm, and to what."""
        return f"NormSim (p = {'∞' if self.by_nearest else 2}) to {self.target}"

    def sentence(self) -> str:
        """What is measured, and to what."""
        if self.p == 2:
            return f"the root of the sum of squared similarities to {self.named()}"
        return f"the largest similarity, in absolute value, to any of {self.named()}"
