"""What a model makes of test sets: zero-shot, retrieval, probes, class bias, neural collapse."""

from typing import TYPE_CHECKING

from clipcause import lazy

if TYPE_CHECKING:
    from clipcause.evaluate.bias import imbalance
    from clipcause.evaluate.collapse import neural_collapse

__all__ = ["imbalance", "neural_collapse"]
__getattr__ = lazy.names(
    __name__, imbalance="clipcause.evaluate.bias", neural_collapse="clipcause.evaluate.collapse"
)
