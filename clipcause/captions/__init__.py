"""Captions: words, lemmas, matchers, definitions, and how often classes are mentioned."""

from typing import TYPE_CHECKING

from clipcause import lazy

if TYPE_CHECKING:
    from clipcause.captions.mentions import count_classes

__all__ = ["count_classes"]
__getattr__ = lazy.names(__name__, count_classes="clipcause.captions.mentions")
