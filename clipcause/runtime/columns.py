"""Text in columns, for the commands that print a table."""

from collections.abc import Sequence

from tabulate import tabulate


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """The rows below one another: the first ``left`` columns to the left, the others to the
    right."""
    sides = ["left" if column < left else "right" for column in range(len(rows[0]))]
    # numbers are text already, and cells stay as they are
    return tabulate(
        rows, tablefmt="plain", colalign=sides, disable_numparse=True, preserve_whitespace=True
    )
