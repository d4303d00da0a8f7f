"""The cards of the splits that no rule made: `all` of a data set, and the pool's `dedup`."""

from collections.abc import Mapping
from typing import Any

DIGITS = 6


def card(
    pool: str,
    rows: int,
    kept: int,
    rule: str,
    parameters: Mapping[str, Any],
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a base is: ``kept`` of the ``rows`` of a data set whose manifest's SHA-256 is ``pool``.

    ``sources`` are the fingerprints of what else it was made of.
    """
    share = round(kept / rows, DIGITS)
    return {
        "pool": pool,
        "pool_rows": rows,
        "rule": rule,
        "parameters": dict(parameters),
        "base": "all",
        "base_rows": rows,
        "kept": kept,
        "removed": rows - kept,
        "share_of_base": share,
        "share_of_pool": share,
        **(sources or {}),
    }
