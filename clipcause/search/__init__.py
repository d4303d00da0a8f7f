"""Exact inner-product search: a fast pass nominates, float64 decides."""

from typing import TYPE_CHECKING

from clipcause import lazy

if TYPE_CHECKING:
    from clipcause.search.neighbour import nearest
    from clipcause.search.pool import score_pool

__all__ = ["nearest", "score_pool"]
__getattr__ = lazy.names(
    __name__, nearest="clipcause.search.neighbour", score_pool="clipcause.search.pool"
)
