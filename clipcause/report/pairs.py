"""Dictionaries whose keys are pairs, such as a condition and a test set, as JSON has them."""

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer

Key = TypeVar("Key")
Value = TypeVar("Value")


def _entries(found: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(found.items())


def _dictionary(stored: Any) -> Any:
    if isinstance(stored, list):
        return {tuple(key) if isinstance(key, list) else key: value for key, value in stored}
    return stored


# JSON's own keys are text alone: a list of key and value
Keyed = Annotated[dict[Key, Value], PlainSerializer(_entries), BeforeValidator(_dictionary)]
Pairs = Keyed[tuple[str, str], Value]  # by condition and test set
