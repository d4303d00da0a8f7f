"""`dvc repro` and `make repro` with nothing to do, in a DAG of the study's shape with 500 stages.

    python -m benchmarks.dag                          # 100 and 500 stages
    python -m benchmarks.dag --stages 100
    python -m benchmarks.dag --base FOLDER            # beside a clone of another commit

The repository's files are copied into a temporary folder, with this `dvc.yaml` and as many
random splits, and a run on each, as make the number of stages. Every output is a dummy. The lock
file and the cache are written here, as DVC would: it reads and writes the whole lock anew for each
stage that it records. The limit is what DVC needs before it looks at a stage: Python's start and
its import.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import describe
from clipcause.check import graph
from clipcause.config import read

TABLE = Path(__file__).with_suffix(".md")
ROOT = Path(__file__).parents[1]
CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
SIZES = (100, 500)
ROUNDS = 2
EACH = 4  # stages that a split and its run add: prune, gap, train, evaluate
COMMANDS = {"`dvc repro`": ("dvc", "repro"), "`make repro`": ("clipcause", "repro")}
DONE = ("Data and pipelines are up to date.", "repro: 0 stages run")


def run(*words: str) -> str:
    """Run a command in the working folder; what it prints."""
    identity = {}
    for role in ("AUTHOR", "COMMITTER"):
        identity |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **identity})
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def dvc(*words: str) -> str:
    """Run DVC."""
    return run(sys.executable, "-m", "dvc", *words)


def parameters(stages: int) -> dict[str, Any]:
    """The default study's, with splits and runs that make so many stages, or the next number."""
    content = read()
    definition, pattern = graph.read(), next(iter(content["runs"].values()))
    while len(graph.expand(definition, content)) + EACH <= stages:
        name = f"random-{len(content['splits'])}"
        seed = len(content["splits"])
        slots = {"rule": "random", "base": "dedup", "of": "none", "with": "none"}
        content["splits"][name] = {**slots, "keep": 0.5, "seed": seed}
        content["runs"][f"{name}-0"] = {**pattern, "split": name}
    return content


def make(stages: int) -> int:
    """A repository in the working folder; how many stages it has."""
    listed = run(*f"git -C {ROOT} ls-files -z --cached --others --exclude-standard".split())
    for name in listed.split("\0"):
        source, target = ROOT / name, Path(name)
        if not name or name in ("dvc.lock", ".dvc/config") or not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
    content = parameters(stages)
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    run("git", "init", "-q", "-b", "main")
    dvc("init", "-q", "-f")
    Path(".dvc/config").write_text(CONFIG)
    found = graph.expand(graph.read(), content)
    for name, stage in found.items():
        for out in stage.outs:
            dummy(Path(out), name)
    for dep in {dep for stage in found.values() for dep in stage.deps}:
        if not Path(dep).exists():
            dummy(Path(dep), "a file in the folder of another stage")
    Path("dvc.lock").write_text(yaml.dump(lock(found, content), Dumper=yaml.CSafeDumper))
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "all")
    return len(found)


def lock(stages: dict[str, graph.Stage], content: dict[str, Any]) -> dict[str, Any]:
    """What `dvc.lock` says when all stages have run; their outputs go to the cache."""
    known: dict[str, dict[str, Any]] = {}
    entries, definition = {}, graph.read()
    for name, stage in stages.items():
        for path in (*stage.deps, *stage.outs):
            known.setdefault(path, {"path": path, "hash": "md5", **kept(Path(path))})
        entries[name] = {
            "cmd": stage.cmd,
            "deps": [known[path] for path in sorted(stage.deps)],
            "params": {"params.yaml": tracked(definition, name, stage, content)},
            "outs": [known[path] for path in sorted(stage.outs)],
        }
    plain = json.loads(json.dumps(entries))  # no anchors in the YAML
    return {"schema": "2.0", "stages": plain}


def tracked(
    definition: dict[str, Any], name: str, stage: graph.Stage, content: dict[str, Any]
) -> dict[str, Any]:
    """The parameters of a stage by their names in `dvc.yaml`: a section, or an entry of one."""
    body = definition[name.partition("@")[0]]
    if any(isinstance(entry, dict) for entry in body.get("params", ())):
        return content  # the whole file
    found = {}
    for key in stage.params:
        section, _, rest = key.partition(".")  # the entry's name may have dots
        found[key] = content[section][rest] if rest else content[section]
    return found


def kept(path: Path) -> dict[str, Any]:
    """Hash and size of a file or folder as DVC states them; the content goes to its cache."""
    if path.is_file():
        return {"md5": stored(path.read_bytes()), "size": path.stat().st_size}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [
        {"md5": stored(file.read_bytes()), "relpath": file.relative_to(path).as_posix()}
        for file in files
    ]
    digest = stored(json.dumps(listed, sort_keys=True).encode(), ".dir")
    return {
        "md5": digest,
        "size": sum(file.stat().st_size for file in files),
        "nfiles": len(files),
    }


def stored(content: bytes, suffix: str = "") -> str:
    """Put content into DVC's cache; its name there."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    path = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def dummy(out: Path, text: str) -> None:
    """An output: a folder of two files, as most are, or a file where it has a suffix."""
    if out.suffix:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("{}\n" if out.suffix == ".json" else text)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name in ("card.json", "content"):
        (out / name).write_text(f'"{out} {text}"\n')


def timed(*words: str) -> float:
    """The shortest time of a command, in seconds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = run(*words)
        seconds.append(time.perf_counter() - start)
        if words[-1] == "repro" and not any(said in found for said in DONE):
            raise SystemExit(f"there was something to do:\n{found}")
    return min(seconds)


def of_base(folder: Path, size: int) -> tuple[float, str]:
    """Seconds of `dvc repro` in another clone's DAG of as many stages, by its own benchmark and in
    its own environment; its commit."""
    python = folder / ".venv/bin/python"
    words = (str(python), "-m", "benchmarks.dag", "--stages", str(size))
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    row = re.search(r"`dvc repro`, nothing to do \| \d+ \| ([\d.]+)", done.stdout)
    if row is None:
        raise SystemExit(f"{folder}: its benchmark has no row of `dvc repro`:\n{done.stdout}")
    return float(row[1]), run("git", "-C", str(folder), "rev-parse", "--short", "HEAD").strip()


def table(sizes: list[int], root: Path, note: str, base: Path | None) -> str:
    """Measure; the Markdown page."""
    start = timed(sys.executable, "-c", "pass")
    imported = timed(sys.executable, "-c", "import dvc.cli; import dvc.repo")
    lines = [
        f"| `python -c pass` | | {start:.2f} | |",
        f"| importing DVC | | {imported:.2f} | |",
    ]
    for size in sizes:
        folder = root / str(size)
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        if not Path("dvc.lock").exists():
            make(size)
        stages = len(graph.expand(graph.read(), read()))
        for name, words in COMMANDS.items():
            seconds = timed(sys.executable, "-m", *words)
            each = (seconds - imported) / stages * 1000
            lines.append(f"| {name}, nothing to do | {stages} | {seconds:.2f} | {each:.0f} |")
            print(lines[-1], flush=True)
        os.chdir("/")
        if base:
            seconds, commit = of_base(base, size)
            each = (seconds - imported) / stages * 1000
            lines.append(f"| `dvc repro` at {commit} | {stages} | {seconds:.2f} | {each:.0f} |")
            print(lines[-1], flush=True)
    return (
        "# A DAG of 500 stages with nothing to do\n\n"
        f"`python -m benchmarks.dag` on {describe('dvc', 'ruamel.yaml', 'ruamel.yaml.clib')}. The "
        f"shortest of {ROUNDS}. {note}\n\n"
        "| command | stages | seconds | ms a stage beyond the import |\n|---|---:|---:|---:|\n"
        + "\n".join(lines)
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, action="append", help="how many; may come again")
    parser.add_argument("--folder", type=Path, help="make the DAGs here, or take those that are")
    parser.add_argument("--base", type=Path, help="a clone of another commit, with its .venv")
    parser.add_argument("--write", type=Path, help=f"write the table, as in {TABLE.name}")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    arguments = parser.parse_args()
    target = arguments.write.absolute() if arguments.write else None
    base = arguments.base.absolute() if arguments.base else None
    sizes = arguments.stages or list(SIZES)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.folder.absolute() if arguments.folder else Path(folder)
        text = table(sizes, root, arguments.note, base)
    print(text)
    if target:
        target.write_text(text)


if __name__ == "__main__":
    main()
