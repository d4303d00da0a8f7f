"""What a worker does: the protocol of a task, and how its failures travel."""

import os
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

OWN = "CLIPCAUSE_"  # variables that a worker takes over from the stage that started it

Item = TypeVar("Item")
Out = TypeVar("Out")
Given = TypeVar("Given", contravariant=True)
Made = TypeVar("Made", covariant=True)


@runtime_checkable
class Task(Protocol[Given, Made]):
    """One shard's work. It is pickled to the workers before it starts: a frozen dataclass of paths
    and parameters, at the top level of a module.

    The result depends on the item and the task's fields alone, whatever the worker did before.
    """

    def start(self) -> None:
        """Called once in every worker, before its first item: load the model, the queries."""
        ...

    def __call__(self, item: Given, /) -> Made:
        """The result of one shard."""
        ...

    def name(self, item: Given, /) -> str:
        """What errors call the item: the shard's file."""
        ...


@runtime_checkable
class Where(Protocol):
    """What an engine is told, as the section `engine` of the parameters has it."""

    @property
    def kind(self) -> str: ...  # local or ray
    @property
    def workers(self) -> int: ...
    @property
    def device(self) -> str: ...  # cpu or cuda
    @property
    def gpus(self) -> float: ...  # that each actor takes
    @property
    def cpus(self) -> float: ...  # that each actor takes
    @property
    def address(self) -> str: ...  # of a Ray cluster


class Failure(NamedTuple):
    """An exception in a worker, as text: many exceptions do not survive being pickled."""

    kind: str
    message: str
    trace: str

    def error(self) -> Exception:
        """The exception to raise: of the same kind where it is one that a person can mend."""
        known = {"FileNotFoundError": FileNotFoundError, "OSError": OSError}
        if self.kind in known or self.kind == "ValueError":
            error: Exception = known.get(self.kind, ValueError)(self.message)
        else:
            error = RuntimeError(f"{self.message} ({self.kind})")
        error.add_note(f"in a worker:\n{self.trace}")
        return error


def begun(task: Task[Any, Any]) -> Failure | None:
    """Start a task; what went wrong, if anything did."""
    try:
        task.start()
    except Exception as error:
        return _failure(error, "")
    return None


def attempted(task: Task[Item, Out], item: Item) -> Out | Failure:
    """The result of one item, or what went wrong, with the item's name."""
    try:
        return task(item)
    except Exception as error:
        return _failure(error, task.name(item))


def inherited() -> dict[str, str]:
    """The project's own environment variables, for workers that others start."""
    return {name: value for name, value in os.environ.items() if name.startswith(OWN)}


def inherit(variables: Mapping[str, str]) -> None:
    """Take over ``variables`` and forget all others of the project's own."""
    for name in inherited():
        del os.environ[name]
    os.environ.update(variables)


def _failure(error: Exception, name: str) -> Failure:
    kinds = (FileNotFoundError, OSError, ValueError)
    kind = next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)
    text = str(error)
    # most errors of ours name the shard themselves
    message = text if name in text else f"{name}: {text}"
    return Failure(kind, message, "".join(traceback.format_exception(error)))
