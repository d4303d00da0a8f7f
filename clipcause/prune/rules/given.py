"""`given`: rows that a list names, which was made elsewhere: a published subset, another's choice.

The list lies in `lists/`, a dependency of every split, so that a list that is replaced re-runs
them. ``clipcause.prune.listed`` reads it.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator

from clipcause.config import layout, unknown
from clipcause.prune import listed, split
from clipcause.prune.inputs import Inputs
from clipcause.prune.listed import By
from clipcause.prune.rule import Decision, Sourceless


class Given(Sourceless):
    """The rows of the base that the list ``file`` names."""

    rule: Literal["given"]
    file: str = Field(description="the name of a list in lists/, or of a split's folder there")
    by: By = "uid"
    column: str | None = None  # of a Parquet file; by default its name is what `by` says

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(
                f"{file!r} is no name of a file in {layout.LISTS}/; put or link it there"
            )
        return file

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """The list is there."""
        folder = Path(path).parent / layout.LISTS
        if not (folder / self.file).exists():
            known = sorted(one.name for one in folder.glob("[!.]*"))
            raise unknown("list", self.file, known, f"{where}.file: {folder}")

    def decide(self, given: Inputs) -> Decision:
        """The rows that the list names, as far as the base reaches."""
        path = layout.LISTS / self.file
        found = listed.find(path, self.by, self.column, given.pool)
        numbers = {
            "entries": found.entries,
            "entries_distinct": found.distinct,
            "entries_found": found.found,
            "rows_named": len(found.rows),
        }
        kept = split.intersection(found.rows, given.base)
        return Decision(kept, numbers, {"list": {"file": self.file, "sha256": listed.digest(path)}})

    def sentence(self) -> str:
        """Its name, and what an entry is."""
        return f"given: the rows that the list {self.file} names by {self.by}"
