"""``python -m clipcause replicate [REV or FOLDER]``: does this study say what that one says?

Claim by claim (``metrics/claims.json``: a condition less its control on a test set, or less the
supervised classifier, or the drop that similarity predicts less the one seen), the study in the
current folder beside one at a git revision (HEAD if none is named) or in a folder: a study's
own, or one of ``metrics/machines``. Verdicts, and the share that should agree, are those of
`clipcause.stats.replication`. Studies of before claims, which have ``summary.json`` and
``table.csv``, are read as well; what they called is called no more where it is of single runs.

What is compared must be defined alike, by the parameters: a condition's splits with all that they
are made from, test sets, classes. Rows are not compared, since they differ with the encoder.
"""

import argparse
import csv
import io
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcause.prune import rules as prune_rules
from clipcause.report import factors
from clipcause.report.compare import WIDTH, Place
from clipcause.report.decimals import listed, percent, signed
from clipcause.report.tables.accuracy import path
from clipcause.report.verdicts import p_value
from clipcause.runtime import revisions
from clipcause.runtime.columns import aligned
from clipcause.stats.comparison import ALPHA, Interval
from clipcause.stats.replication import CONTRADICTED, VERDICTS, Agreement, agreement, verdict

CLAIMS = (Path("metrics/claims.json"), Path("claims.json"))
FORMER = (
    (Path("metrics/summary.json"), Path("report/table.csv")),
    (Path("summary.json"), Path("table.csv")),
)
# parameters that decide which claims can be compared, and those that change no number
DEFINED = ("splits", "tests", "classes")
IDLE = ("runs", "report", "engine", "exports", "versions", "probes", "fetch")
SEEN = "predicted drop less the drop seen"
NAMED = 6  # names in a sentence


@dataclass(frozen=True)
class Claim:
    """A condition less its control on a test set; differences are shares."""

    name: str
    other: str
    test: str
    difference: Interval
    runs: tuple[int, int]
    is_called: bool

    @property
    def at(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.name, self.other, self.test

    @property
    def covers_runs(self) -> bool:
        """Whether both sides have several runs."""
        return min(self.runs) > 1


@dataclass(frozen=True)
class Told:
    """What a study claims, and the parameters that it is of; None where they are not there."""

    name: str
    claims: list[Claim]
    place: Place | None


@dataclass(frozen=True)
class Pair:
    """The same claim, here and there."""

    here: Claim
    there: Claim

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``."""
        return verdict(self.there.difference, self.here.difference)


@dataclass(frozen=True)
class Found:
    """Two studies beside one another."""

    pairs: list[Pair]
    left_out: list[str]  # why some claims are not compared, a line each
    otherwise: list[str]  # parameters that differ, and do not keep claims from being compared

    @property
    def agreement(self) -> Agreement:
        """Of all pairs together, of which there must be one."""
        return agreement([(one.there.difference, one.here.difference) for one in self.pairs])


def main(*words: str) -> str:
    """Compare this study's claims with another's; see the module."""
    parser = argparse.ArgumentParser(prog="python -m clipcause replicate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("of", nargs="?", default="HEAD", metavar="REV or FOLDER")
    parser.add_argument("--short", action="store_true", help="a paragraph, and no failure")
    given = parser.parse_args(words)
    if given.short:
        return _filled(paragraph(given.of))
    here, there = read(""), read(given.of)
    found = compared(here, there)
    head = ("condition", "less", "test", "here", "there", "")
    rows = [
        (
            one.here.name,
            one.here.other,
            one.here.test,
            _shown(one.here),
            _shown(one.there),
            one.verdict,
        )
        for one in found.pairs
    ]
    print(aligned([head, *rows]))
    for text in (*found.left_out, *_otherwise(found), *sentences(found, there.name)):
        print(f"\n{_filled(text)}")
    print()
    return f"{len(found.pairs)} claims, {_counted(found)}"


def read(words: str) -> Told:
    """The study in the current folder (``""``), in another folder, or at a revision.

    Raises ``ValueError`` and ``FileNotFoundError`` where there is none, or it has no claims.
    """
    is_folder = not words or Path(words).is_dir()
    files = revisions.Workspace(Path(words)) if is_folder else revisions.Revision(words)
    name = words or "this study"
    try:
        params: Place | None = Place(files)
        assert params is not None
        _ = params.content
    except FileNotFoundError:
        params = None
    for where in CLAIMS:
        if (stored := _maybe(files, where)) is not None:
            try:
                return Told(name, parsed(json.loads(stored)), params)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{files.where(where)}: no claims ({error!r})") from None
    for summary, table in FORMER:
        if (stored := _maybe(files, summary)) is not None:
            if (rows := _maybe(files, table)) is None:
                raise FileNotFoundError(f"{files.where(table)}: not found beside {summary}")
            try:
                return Told(name, former(json.loads(stored), rows.decode()), params)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{files.where(summary)}: no summary ({error!r})") from None
    raise FileNotFoundError(
        f"{files.where(CLAIMS[0])}: not found, and no metrics/summary.json of before; "
        + (
            "`dvc repro analyse` makes it"
            if is_folder
            else "commit this study's first, or name a revision whose study was run"
        )
    )


def parsed(stored: Mapping[str, Any]) -> list[Claim]:
    """The claims of ``metrics/claims.json``: beside controls, beside labels, of what is predicted
    less what is seen."""
    predicted = {name: {SEEN: tests} for name, tests in stored.get("predicted", {}).items()}
    families = (stored["claims"], stored.get("labels", {}), predicted)
    return [
        Claim(
            name,
            other,
            test,
            Interval(leaf["difference"], leaf["low"], leaf["high"]),
            (leaf["runs"], leaf["control_runs"]),
            bool(leaf["called"]),
        )
        for claims in families
        for name, others in claims.items()
        for other, tests in others.items()
        for test, leaf in tests.items()
    ]


def former(summary: Mapping[str, Any], table: str) -> list[Claim]:
    """The comparisons of a study of before claims, from its summary and its table."""
    facts = {}
    for row in csv.DictReader(io.StringIO(table)):
        other = row.get("control") or row.get("random_twin") or ""
        facts[path(row["split"]), row["test"]] = path(other), len(row["run"].split())
    found = []
    for name, tests in summary["random"].items():
        for test, leaf in tests.items():
            other, runs = facts[name, test]
            ends = Interval(leaf["difference"], leaf["low"], leaf["high"])
            both = runs, facts.get((other, test), ("", 1))[1]
            is_called = min(both) > 1 and leaf["p_holm"] < ALPHA
            found.append(Claim(name, other, test, ends, both, is_called))
    return found


def compared(here: Told, there: Told) -> Found:
    """The claims that both make of what both define alike, in the order of this study."""
    of_here, of_there = ({one.at: one for one in side.claims} for side in (here, there))
    left_out: list[str] = []
    both = [at for at in of_here if at in of_there]
    for side, own, other in ((here, of_here, of_there), (there, of_there, of_here)):
        if alone := [at for at in own if at not in other]:
            names = list(dict.fromkeys(at[0] for at in alone))
            left_out.append(f"Only {side.name} has {_counted_claims(alone)}, of {_some(names)}.")
    if here.place is None or there.place is None:
        which = here if here.place is None else there
        left_out.append(
            f"{which.name} has no params.yaml: whether splits, tests and classes are defined alike "
            "is not known, names alone are compared."
        )
        return Found([Pair(of_here[at], of_there[at]) for at in both], left_out, [])
    ours, theirs = definitions(here.place), definitions(there.place)
    if ours.classes != theirs.classes:
        left_out.append(
            f"Classes are not the same ({ours.classes}, {theirs.classes}): nothing is compared."
        )
        both = []
    kept = []
    lost: dict[str, None] = {}
    for at in both:
        name, other, test = at
        names = [name, other]
        apart = [f"split {one}" for one in names if ours.of(one) != theirs.of(one)]
        apart += [f"test set {test}"] if ours.tests.get(test) != theirs.tests.get(test) else []
        lost |= dict.fromkeys(apart)
        if not apart:
            kept.append(Pair(of_here[at], of_there[at]))
    if lost:
        left_out.append(
            f"Defined otherwise, and not compared: {_some(list(lost))}; of {len(both)} claims "
            f"{len(kept)} are left."
        )
    return Found(kept, left_out, _differing(here.place.content, there.place.content))


@dataclass(frozen=True)
class Definitions:
    """What names mean in a study, as plain values."""

    classes: str
    tests: dict[str, Any]
    conditions: dict[str, Any]  # by their names in claims: of their splits all that they are from

    def of(self, name: str) -> Any:
        """What a condition's rows are chosen by; None for what is no condition."""
        return self.conditions.get(name)


def definitions(place: Place) -> Definitions:
    """Those of a study's parameters."""
    content = place.content
    entries = {str(name): entry for name, entry in (content.get("splits") or {}).items()}
    where = f"{place.where}: {prune_rules.SECTION}"
    rules = {name: prune_rules.parse(entry, f"{where}.{name}") for name, entry in entries.items()}

    def made(name: str, above: tuple[str, ...] = ()) -> Any:
        """A split's definition without its seed, with those of the splits that it names."""
        if name not in rules or name in above:
            return name
        stated = rules[name].model_dump(mode="json", by_alias=True, exclude={"seed"})
        slots = ("base", "of", "with")
        return stated | {slot: made(str(stated[slot]), (*above, name)) for slot in slots}

    tests = content.get("tests") or {}
    return Definitions(
        str(content.get("classes")),
        dict(tests) if isinstance(tests, dict) else {str(test): {} for test in tests},
        {path(name): made(one.split) for name, one in place.conditions.items()},
    )


def sentences(found: Found, there: str) -> list[str]:
    """What was found, in words."""
    if not found.pairs:
        return [f"No claim of {there} can be compared with this study."]
    every = found.agreement
    told = [f"{many} {name}" for name, many in every.counts.items() if many]
    texts = [f"Of {every.claims} claims: {'; '.join(told)}."]
    values = [(one.here.difference.value, one.there.difference.value) for one in found.pairs]
    same = sum(here * there > 0 or here == there for here, there in values)
    share = f"{same} have the same sign ({percent(same / every.claims)}); by the intervals of both "
    share += f"{percent(every.expected_sign)} are expected (p of so few {p_value(every.p_sign)})."
    if every.is_too_small:
        share += (
            " They agree less often than their intervals say: these are too narrow, or what is "
        )
        share += "compared is not the same."
    texts.append(share)
    both = [one for one in found.pairs if one.here.is_called and one.there.is_called]
    if any(one.here.is_called or one.there.is_called for one in found.pairs):
        ours, theirs = (
            sum(getattr(one, side).is_called for one in found.pairs) for side in ("here", "there")
        )
        texts.append(f"Beyond noise: {ours} here, {theirs} there, {len(both)} of them the same.")
    once = sum(not (one.here.covers_runs and one.there.covers_runs) for one in found.pairs)
    if once:
        texts.append(
            f"{once} are of one run on some side: no claim, and intervals that do not cover the "
            "noise between runs."
        )
    wrong = [_named(one) for one in found.pairs if one.verdict == CONTRADICTED]
    return [*texts, f"Contradicted: {_some(wrong)}."] if wrong else texts


def paragraph(of: str = "HEAD") -> str:
    """What `make repro` ends with; where there is nothing to compare with it says so."""
    try:
        here, there = read(""), read(of)
    except (ValueError, OSError) as error:
        return f"Nothing to compare this study with: {error}."
    if here.claims == there.claims:
        return f"This study's claims are those of {of} to the last digit."
    found = compared(here, there)
    bits = (
        "Trained weights differ in their bits from machine to machine, and so do accuracies; data "
        "sets, parameters and the drawing of rows are the same."
    )
    texts = [*found.left_out, *sentences(found, of)]
    return f"Beside the study of {of}: {' '.join(texts)} {bits}"


def _maybe(files: revisions.Workspace | revisions.Revision, where: Path) -> bytes | None:
    try:
        return files.read(where)
    except KeyError:
        return None


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    ours, theirs = (
        factors.flat({key: one for key, one in side.items() if key not in (*DEFINED, *IDLE)})
        for side in (here, there)
    )
    return sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))


def _otherwise(found: Found) -> list[str]:
    if not found.otherwise:
        return []
    return [f"Not the same in both, and compared all the same: {_some(found.otherwise)}."]


def _shown(one: Claim) -> str:
    low, high = signed(one.difference.low), signed(one.difference.high)
    return f"{signed(one.difference.value)} [{low}, {high}]{' *' * one.is_called}"


def _named(one: Pair) -> str:
    values = f"{signed(one.here.difference.value)} here, {signed(one.there.difference.value)} there"
    return f"{one.here.name} less {one.here.other} on {one.here.test} ({values})"


def _counted(found: Found) -> str:
    of = Counter(one.verdict for one in found.pairs)
    return ", ".join(f"{of[one]} {one}" for one in VERDICTS)


def _counted_claims(found: Sequence[Any]) -> str:
    return f"{len(found)} claim{'s' * (len(found) > 1)}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return listed([*names[:NAMED], *more])


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH)
