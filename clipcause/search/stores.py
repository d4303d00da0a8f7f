"""The embedding stores that one search runs over: all of one encoder."""

from pathlib import Path

from clipcause.config import FILE, layout, study
from clipcause.embed import checkpoint, embeddings
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime import atomic


def encoder_name(path: Path = FILE) -> str:
    """The folder name of the similarity encoder, ``encoder.name``."""
    return study.encoder(path)[0]


def load(encoder: str, *datasets: str) -> list[Embeddings]:
    """The stores of the data sets under the encoder with that folder name.

    Raises ``FileNotFoundError`` for a store that does not exist, ``ValueError`` for an empty one,
    for stores that different encoders made, and for one that another than the run ``encoder.run``
    made.
    """
    current = fingerprint(layout.model(study.encoder()[1]))
    found = [_open(layout.embeddings(encoder, name), current) for name in datasets]
    first = found[0]
    for store in found:
        if not len(store):
            raise ValueError(f"{store.folder}: no rows; prepare and embed the data set again")
        if (store.encoder, store.dim) != (first.encoder, first.dim):
            raise ValueError(
                f"{store.folder}: embeddings of encoder {_short(store.encoder)} in {store.dim} "
                f"dimensions, those in {first.folder} are of {_short(first.encoder)} in "
                f"{first.dim}; embed both data sets with the same encoder"
            )
    return found


def fingerprint(folder: Path) -> str | None:
    """The fingerprint of the encoder in ``folder``; None where there is none."""
    card = folder / checkpoint.CARD
    if not card.exists():
        return None
    found = atomic.read_json(card).get("fingerprint")
    if not isinstance(found, str):
        raise ValueError(f"{card}: 'fingerprint' is missing; train the run again")  # noqa: TRY004
    return found


def source(store: Embeddings, card: str | None) -> str:
    """A fingerprint for a card. Published stores state none, and neither do we then."""
    return card or f"unknown ({store.folder.name})"


def _open(folder: Path, encoder: str | None) -> Embeddings:
    # published stores have no card, and so no encoder that could be another
    return embeddings.read(folder, encoder=encoder if (folder / embeddings.CARD).exists() else None)


def _short(fingerprint: str | None) -> str:
    return f"{fingerprint[:12]}…" if fingerprint else "unknown"
