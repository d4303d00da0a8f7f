"""``python -m clipcause machines [NAME]``: add this machine's claims to those of others.

``metrics/machines`` has a folder a machine and a table of how far they agree. A folder has the
study's ``claims.json``, the ``params.yaml`` that they are of, and ``machine.json``: processor,
date, commit, versions. What trains models differs in its bits from processor to processor, so that
a claim that several machines make rests on more than one that a machine makes often.
"""

import datetime
import json
import re
import subprocess
from importlib import metadata
from pathlib import Path

from clipcause.config import FILE
from clipcause.report import replicate
from clipcause.report.decimals import percent
from clipcause.runtime import atomic, processor
from clipcause.stats.replication import VERDICTS

FOLDER = Path("metrics/machines")
MACHINE, CLAIMS, TABLE = "machine.json", "claims.json", "README.md"
PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "resvg-py")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def main(name: str = "") -> str:
    """Add this machine's claims, under a name or that of its processor; rewrite the table."""
    stated, claims = described(), Path("metrics") / CLAIMS
    name = name or re.sub(r"[^a-z0-9]+", "-", stated["processor"].lower()).strip("-")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a machine's name has letters, digits, dots and dashes")
    for path in (claims, FILE):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not found; a study that was run has it")
    replicate.read("")  # what is no claim is not added
    with atomic.folder(FOLDER / name) as out:
        (out / CLAIMS).write_bytes(claims.read_bytes())
        (out / FILE.name).write_bytes(FILE.read_bytes())
        text = json.dumps(stated, indent=1, sort_keys=True, ensure_ascii=False)
        (out / MACHINE).write_text(f"{text}\n", encoding="utf-8")
    with atomic.file(FOLDER / TABLE) as temporary:
        temporary.write_text(table(), encoding="utf-8")
    return f"{FOLDER / name}, one of {len(names())}; {FOLDER / TABLE} says what they agree on"


def names() -> list[str]:
    """The machines whose claims are here, by the date on which they were added."""
    found = [path.parent.name for path in FOLDER.glob(f"*/{MACHINE}")]
    return sorted(found, key=lambda name: (_stated(name)["date"], name))


def described() -> dict[str, str]:
    """This machine, this day, this commit, and the versions that train models."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return {
        "processor": processor.name(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": done.stdout.strip() or "none",
        "versions": ", ".join(f"{one} {metadata.version(one)}" for one in PACKAGES),
    }


def table() -> str:
    """Every machine beside the first, as Markdown."""
    first, *others = names()
    of_first = replicate.read(str(FOLDER / first))
    called = sum(one.is_called for one in of_first.claims)
    head = ["machine", "processor", "date", "commit", "claims", "beyond noise", *VERDICTS]
    head += ["same signs expected"]
    blank = [""] * (len(VERDICTS) + 1)
    rows = [head, ["---"] * 4 + ["---:"] * (len(head) - 4)]
    rows.append([*_row(first), str(len(of_first.claims)), str(called), *blank])
    for name in others:
        found = replicate.compared(replicate.read(str(FOLDER / name)), of_first)
        called = sum(one.here.is_called for one in found.pairs)
        row = [*_row(name), str(len(found.pairs)), str(called)]
        if found.pairs:
            every = found.agreement
            row += [*map(str, every.counts.values()), percent(every.expected_sign)]
        rows.append(row if found.pairs else [*row, *blank])
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    below = (
        f"Claims rest on one machine, {first}, until a second is added."
        if not others
        else f"Each beside {first}, by the claims that both make of what both define alike."
    )
    how = "`python -m clipcause machines` adds a machine and writes this table."
    return f"{text}\n{below} {how}\n"


def _row(name: str) -> list[str]:
    stated = _stated(name)
    return [name, *(stated[key] for key in ("processor", "date", "commit"))]


def _stated(name: str) -> dict[str, str]:
    return json.loads((FOLDER / name / MACHINE).read_bytes())
