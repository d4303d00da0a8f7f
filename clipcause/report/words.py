"""Words of the page that are about splits. Nothing here is HTML."""

from clipcause.prune.sentences import listed

__all__ = ["listed"]
