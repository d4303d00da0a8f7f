"""Four more files of the catalogue, from icons that play no part in the study itself.

They never take an icon from pool, reference or test sets, whose bytes they leave as they are:

* ``retrieval``: a test set for image-caption retrieval, whose captions tell its images apart;
* ``broad``: a second, broader reference: the first one and bold outlines of its families;
* ``glyphs``, ``renditions``: rows of two visual domains, to train a classifier of domains on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import tee

from clipcause.icons.catalogue import LeftOut
from clipcause.icons.labels import Labels
from clipcause.icons.roles import REFERENCE, Candidate, fraction
from clipcause.icons.table import Drawing, Identity

RETRIEVAL, BROAD, GLYPHS, RENDITIONS = "retrieval", "broad", "glyphs", "renditions"
ROLES = (RETRIEVAL, BROAD, GLYPHS, RENDITIONS)
BOLD = "between"  # the style between a line drawing and a solid glyph
LEAST_WORDS = 2  # of a caption for retrieval: single words are too often one another's synonyms

Draw = Callable[[Iterable[Identity]], Iterator[Drawing | str]]  # in order; (str) why it is broken


@dataclass
class Further:
    """Who is in which file, in its order; what was drawn for it, and what could not be."""

    members: dict[str, list[Identity]]
    label: dict[Identity, str] = field(default_factory=dict)  # of those that had none before
    drawings: dict[Identity, Drawing] = field(default_factory=dict)
    broken: list[LeftOut] = field(default_factory=list)


def cast(
    world: Iterable[Candidate],
    part: Mapping[Identity, str],
    left_out: Iterable[LeftOut],
    labels: Labels,
    draw: Draw,
    *,
    salt: str,
    retrieval: int,
    domain: int,
) -> Further:
    """Give icons without a part to the four files; ``labels`` are those that look past badges.

    ``left_out`` names icons that must stay out: they were looked at in choosing a test set, or are
    relatives of its images. ``retrieval`` is the number of images of that set, ``domain`` of each
    domain, at most; where fewer are left the file is shorter, even empty. No icon is in two files,
    but for the reference's own in `broad`.
    """
    everyone = sorted(world, key=lambda c: c.identity)
    gone = {(entry.prefix, entry.name) for entry in left_out} | part.keys()
    spare = [c for c in everyone if c.identity not in gone]
    made = Further({role: [] for role in ROLES})
    reference = [c for c in everyone if part.get(c.identity) == REFERENCE]
    tested = {
        c.concept for c in everyone if part.get(c.identity, REFERENCE) not in (REFERENCE, "pool")
    }
    _broad(made, reference, [c for c in spare if c.concept not in tested], labels, draw)
    spare = _without(spare, made)
    _retrieval(made, spare, draw, retrieval, salt)
    _domains(made, [c for c in _without(spare, made) if c.label is None], draw, domain, salt)
    order = {role: sorted(ids, key=lambda i: fraction(salt, "order", *i)) for role, ids in
             made.members.items()}  # fmt: skip
    made.members = order
    return made


def _broad(
    made: Further,
    reference: list[Candidate],
    spare: list[Candidate],
    labels: Labels,
    draw: Draw,
) -> None:
    """The reference, and bold outlines of its families and classes.

    Few whose name is a class's are left by the pool; so here `calendar plus` is a calendar.
    """
    families, known = {c.family for c in reference}, {c.label for c in reference}
    named = {
        c.identity: label
        for c in spare
        if c.family in families
        and not c.rendition
        and (label := c.label or labels.label(c.words)) in known
        and label is not None
    }
    bold = [i for i, seen in _seen(made, named, draw) if seen.style == BOLD]
    made.label |= {identity: named[identity] for identity in bold}
    made.members[BROAD] = [*(c.identity for c in reference), *bold]


def _retrieval(made: Further, spare: list[Candidate], draw: Draw, size: int, salt: str) -> None:
    """Icons by the order of a hash, the first of every caption."""
    first: dict[tuple[str, ...], Identity] = {}
    for one in sorted(spare, key=lambda c: fraction(salt, RETRIEVAL, *c.identity)):
        if len(one.words) >= LEAST_WORDS:
            first.setdefault(one.words, one.identity)
    found = made.members[RETRIEVAL]
    if size:
        for identity, _ in _seen(made, first.values(), draw):
            found.append(identity)
            if len(found) == size:
                return


def _domains(made: Further, spare: list[Candidate], draw: Draw, size: int, salt: str) -> None:
    """Icons of no class by the order of a hash, until both domains have enough."""
    drawn_so = {c.identity for c in spare if c.rendition}  # sets of emoji, hand drawings, pixels
    order = sorted(spare, key=lambda c: fraction(salt, "domain", *c.identity))
    glyphs, renditions = made.members[GLYPHS], made.members[RENDITIONS]
    if not size:
        return
    for identity, seen in _seen(made, (c.identity for c in order), draw):
        if identity in drawn_so or seen.style == "colour":
            wanted = renditions
        elif seen.style == "solid":
            wanted = glyphs
        else:
            continue
        if len(wanted) < size:
            wanted.append(identity)
        if len(glyphs) == len(renditions) == size:
            return


def _seen(
    made: Further, identities: Iterable[Identity], draw: Draw
) -> Iterator[tuple[Identity, Drawing]]:
    """Draw icons as far as they are asked for; a broken one goes to the ledger."""
    names, work = tee(identities)
    for identity, result in zip(names, draw(work), strict=False):
        if isinstance(result, str):
            made.broken.append(LeftOut(*identity, "broken", result))
        else:
            made.drawings[identity] = result
            yield identity, result


def _without(spare: list[Candidate], made: Further) -> list[Candidate]:
    taken = {identity for members in made.members.values() for identity in members}
    taken |= {(entry.prefix, entry.name) for entry in made.broken}
    return [c for c in spare if c.identity not in taken]
