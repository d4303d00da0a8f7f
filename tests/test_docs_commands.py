"""Every command of README.md and docs/ is run by a test, or listed here with the reason why not.

A command that is new on a page has no entry here, and fails. The first pattern that fits counts.
"""

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from clipcause.captions.classes import ClassNames
from clipcause.check import parameters, paths
from clipcause.config import parse, places
from clipcause.config import read as read_parameters
from clipcause.prune import rules
from tests.documents import ROOT, Block, blocks, exists, inline, pages
from tests.test_docs_tutorial import PAGE as TUTORIAL


class Run(NamedTuple):
    """Commands that a test runs, or a script of CI."""

    pattern: str
    by: str  # a file, and perhaps a word in it that shows that it does


class Not(NamedTuple):
    """Commands that nothing here runs."""

    pattern: str
    why: str


KNOWN: list[Run | Not] = [
    # ---- as they stand, in a test
    Run(r"make test", ".ci/run: make test"),
    Run(r"make (repro|test|table|help)", "Makefile: .PHONY"),
    Run(r"make repro JOBS=\S+", 'tests/test_pipeline.py: "repro", "--jobs", "2"'),
    Run(r"make plots( REV=HEAD)?", "tests/test_pipeline.py: make plots"),
    Run(r"make \.venv/\.main", "Makefile: $(VENV)/.main:"),  # of `make test`, but for its packages
    Run(r"source \.venv/bin/activate", "Makefile: export PATH"),
    Run(r"python -m clipcause check( \S+)?", 'tests/test_pipeline.py: "check"'),
    Run(r"python -m clipcause code", 'tests/runtime/test_unchanged.py: "clipcause", "code"'),
    Run(r"python -m tests\.lock( --write)?", 'tests/test_lock.py: "--write"'),
    Run(r"dvc status( report)?", 'tests/runtime/test_unchanged.py: "status", "one"'),
    Run(r"dvc repro -s report", 'tests/runtime/test_unchanged.py: "repro", "-s", "one"'),
    Run(r"python -m clipcause diff \S+ \S+", 'tests/test_pipeline.py: "diff"'),
    Run(r"python -m clipcause (overlap|project)( .*)?", 'tests/test_overlap.py: "overlap"'),
    Run(r"python -m clipcause model \S+ \S+", "tests/embed/test_model_copy.py: model"),
    Run(r"python -m clipcause subset \S+ \S+( \S+)?", "tests/prune/test_given.py: subset"),
    Run(r"python -m clipcause synonyms FILE LIST", "tests/test_classes.py: synonyms"),
    Run(r"python -m clipcause tasks --run .*", 'tests/check/test_tasks.py: "--run"'),
    Run(r"python -m clipcause compare .*", 'tests/report/test_comparisons.py: "compare"'),
    Run(
        r"python -m clipcause replicate( HEAD| \S+)?",
        'tests/report/test_replicate.py: "replicate", "../empty"',
    ),
    Run(r"python -m clipcause machines( \w+)?", "tests/report/test_replicate.py: machines.main"),
    Run(r"python -m clipcause published .*", "tests/report/test_published_frequency.py: --counts"),
    Run(r"python -m clipcause plots --write", "tests/report/test_dvc_plots.py: write"),
    Run(
        r"python -m benchmarks\.((similarity_)?findings|costs) --write",
        "tests/test_findings.py: filled",
    ),
    Run(r"dvc repro", "tests/test_pipeline.py: repro"),
    Run(
        r"CLIPCAUSE_LISTED=1 make repro( STUDY=cc3m)?", "tests/test_growing.py: environment[LISTED]"
    ),
    Run(r"dvc repro [a-z0-9@ -]+", "tests/test_docs_commands.py: test_targets"),
    Run(r"dvc params diff( --md)?", "tests/test_docs_tutorial.py: dvc params diff"),
    Run(r"dvc --cd studies/[\w-]+ (repro|exp show)", 'tests/check/test_studies.py: "--cd"'),
    Run(r"dvc metrics diff", "tests/check/test_studies.py: metrics"),
    Run(r"make repro STUDY=[\w-]+( JOBS=\d)?", "tests/check/test_studies.py: studies"),
    Run(r"make repro STUDY=\w+ SCALE=[\d.]+", 'tests/check/test_rehearsal.py: "--scale", "0.01"'),
    Run(r"python -m clipcause hub pin cc3m", 'tests/check/test_rehearsal.py: "hub", "pin", "cc3m"'),
    Run(r"python -m clipcause hub check cc3m", 'tests/check/test_rehearsal.py: "check", "cc3m"'),
    Run(r"python -m clipcause hub terms cc3m", "tests/check/test_rehearsal.py: terms"),
    Run(r"make study NAME=mine .*", "tests/check/test_studies.py: NAME=a"),
    Run(r"python -m clipcause study --renew", "tests/check/test_studies.py: renew"),
    Run(r"dvc pull -r published --allow-missing", 'tests/test_published.py: "pull"'),
    Run(r"dvc remote add -d mine \S+", 'tests/test_pipeline.py: "remote", "add", "-d", "mine"'),
    Run(r"dvc push( --all-commits)?", 'tests/test_pipeline.py: "push", "-q", "--all-commits"'),
    Run(r"dvc pull", 'tests/test_pipeline.py: second.dvc("pull", "-q")'),
    Run(r"dvc fetch( --all-commits)?", 'tests/test_pipeline.py: "fetch", "-q", "--all-commits"'),
    Run(r"dvc gc --(workspace|all-commits)", 'tests/test_pipeline.py: "gc", "-q", "-f"'),
    Run(r"dvc gc", "tests/test_pipeline.py: gc"),
    Run(r"python -m clipcause repro", 'tests/test_pipeline.py: "clipcause", "repro"'),
    # ---- not run
    Not(r"python -m clipcause publish", "writes what is committed; test_published.py looks at it"),
    Not(r"python -m benchmarks\.bits", "prints hashes of this processor"),
    Not(r"dvc exp (run|show|diff|apply).*", "trains; `dvc params` and `metrics` of it are tested"),
    Not(r"dvc commit -f report", "says that a result is of code that did not make it"),
    Not(r"dvc queue start", "starts a worker that goes on after the test"),
    Not(r"dvc metrics diff .*", "needs the experiment before it; tutorial.md's is run"),
    Not(r"dvc repro --single-item \S+", "needs the data of the large studies"),
    Not(r"dvc config cache\.\w+ \S+", "makes a cache a group's; test_cache_folder.py has its file"),
    Not(r"git (init|checkout --ours .*)", "is git's own"),
    Not(r"python -m stages\.evaluate no-such", "fails; tests/runtime/test_entry.py looks how"),
    Not(r"dvc config core\.no_scm true", "for a folder without git; test_repro.py does it there"),
    Not(r"dvc config --local .*", "changes where a machine keeps its cache"),
    Not(r"python -m benchmarks\.gpu", "needs a GPU"),
]


def commands(page: Path) -> list[str]:
    """All that a page tells to type, but for what is run in the test of the tutorial."""
    fenced = [command for block in blocks(page) if block.kind == "sh" for command in block.commands]
    if page == TUTORIAL:
        fenced = [command for command in fenced if command.startswith(("make", "source"))]
    return fenced + inline(page)


def entry(command: str) -> Run | Not:
    for one in KNOWN:
        if re.fullmatch(one.pattern, command):
            return one
    raise AssertionError(f"no test runs `{command}`: run it in one, or say here why not")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_is_run_or_has_a_reason(page):
    for command in commands(page):
        entry(command)


@pytest.mark.parametrize("one", KNOWN, ids=lambda one: one.pattern)
def test_the_list_is_true(one):
    if isinstance(one, Run):
        path, _, word = one.by.partition(": ")
        assert (ROOT / path).exists(), path
        assert word in (ROOT / path).read_text(), one.by
    else:
        assert one.why
        told = [command for page in pages() for command in commands(page)]
        assert any(re.fullmatch(one.pattern, command) for command in told), "on no page any more"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_modules_that_are_run_exist(page):
    for command in commands(page):
        for module in re.findall(r"python -m ([\w.]+)", command):
            assert exists(module) or find_spec(module), command


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_targets_that_are_repeated_are_stages(page):
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for command in commands(page):
        if command.startswith("dvc repro "):
            words = [word for word in command.split()[2:] if not word.startswith("-")]
            # a page says STAGE of any
            assert {word.split("@")[0] for word in words} <= {"STAGE", *stages}, command


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_studies_that_are_named_exist(page):
    for name in re.findall(r"STUDY=([\w-]+)", " ".join(commands(page))):
        assert name in ("name", "mine") or (ROOT / f"studies/{name}/params.yaml").exists(), name


def code(kind: str) -> list[Block]:
    return [block for page in pages() for block in blocks(page) if block.kind == kind]


# modules of examples, which their own tests try
EXAMPLES = {
    block.file.removesuffix(".py").replace("/", ".") for block in code("python") if block.file
}


@pytest.mark.parametrize("block", code("python"), ids=lambda block: f"{block.path}:{block.line}")
def test_python_is_whole_and_what_it_imports_exists(block):
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("stages", "clipcause")
        ):
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                assert exists(name) or {node.module, name} & EXAMPLES, name


def groups(content: dict[str, Any], where: str) -> None:
    """Validate what a piece of a parameter file holds against the models of its sections."""
    models = {**parameters.SECTIONS, **parameters.OPTIONAL}
    items = {**parameters.ITEMS, **parameters.KINDS, **parameters.FREE}
    for name, values in content.items():
        assert name in parameters.KNOWN, f"{where}: {name}"
        if name == rules.SECTION:
            for key, rule in values.items():
                if rule["rule"] != "band":  # of the example in extend.md, which its own test tries
                    rules.parse(rule, f"{where}: {key}")
        elif name in items:
            for key, item in values.items():
                whole = places.resolved(item, content, where) if name == "datasets" else item
                parameters.item(whole, items[name], f"{where}: {name}.{key}")
        elif name in models:
            whole = read_parameters(ROOT / "params.yaml").get(name, {})
            parse({**whole, **values}, models[name], f"{where}: {name}")


@pytest.mark.parametrize("block", code("yaml"), ids=lambda block: f"{block.path}:{block.line}")
def test_yaml_is_valid(block, monkeypatch):
    content = yaml.safe_load(block.text)
    if block.file and block.file.startswith("data/classes/"):
        for key, one in content.items():
            parse(one, ClassNames, key)
    else:
        groups(content, f"{block.path}:{block.line}")
        monkeypatch.chdir(ROOT)
        whole = read_parameters() | content
        paths.check_inside(whole, Path(block.path), ROOT)


def test_a_command_without_an_entry_is_found():
    with pytest.raises(AssertionError, match="no test runs"):
        entry("python -m stages.nothing at all")
