"""What a stage tells of data that it counted and left out: one line on stderr."""

import sys
from collections.abc import Sequence

NAMED = 10  # names in a line


def notice(stage: str, message: str, names: Sequence[str] = ()) -> None:
    """Say it, with the first ones of ``names`` and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    listed = f": {', '.join(names[:NAMED])}{more}" if names else ""
    print(f"{stage}: {message}{listed}", file=sys.stderr)
