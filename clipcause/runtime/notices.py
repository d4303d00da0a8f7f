"""What a stage tells of data that it counted and left out: one line on stderr, by `logging`."""

import logging
from collections.abc import Sequence

NAMED = 10  # names in a line
LOG = logging.getLogger("clipcause")


def configure() -> None:
    """Notices are whole lines on stderr, whatever other libraries do to the root's logger.

    A program that starts with this package calls it, and so do its workers; a notebook sets up
    logging as it likes.
    """
    LOG.propagate = False
    if not LOG.handlers and logging.lastResort is not None:
        LOG.addHandler(logging.lastResort)  # the message alone, to what stderr is at that time


def line(text: str) -> None:
    """Say a whole line."""
    LOG.warning("%s", text)


def notice(stage: str, message: str, names: Sequence[str] = ()) -> None:
    """Say it, with the first ones of ``names`` and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    listed = f": {', '.join(names[:NAMED])}{more}" if names else ""
    line(f"{stage}: {message}{listed}")
