"""The graph of dvc.yaml under a parameter file: resolved as DVC does it, circles named."""

from pathlib import Path

import pytest

from clipcause.check import graph
from clipcause.config import read
from tests.repository import Repository

ROOT = Path(__file__).parents[1]
STUDIES = sorted((ROOT / "studies").glob("*/params.yaml"))
LOOP = {
    "do": {
        "cmd": "run ${key}",
        "deps": ["in/${item.of}"],
        "params": ["items.${key}", "size"],
        "outs": ["in/${key}"],
        "metrics": [{"m/${key}.json": {"cache": False}}],
    },
    "foreach": "${items}",
}


def test_items_are_resolved_as_dvc_does():
    found = graph.expand(graph.read(ROOT / "dvc.yaml"), read(ROOT / "params.yaml"))
    listed = Repository(ROOT).dvc("stage", "list", "--name-only")
    assert set(found) == set(listed.split())
    order = graph.check(found)
    assert sorted(order) == sorted(found)
    assert order.index("prune@core") < order.index("prune@random-core-0") < order.index("report")


@pytest.mark.parametrize(
    "file", [ROOT / "params.yaml", *STUDIES], ids=lambda file: file.parent.name
)
def test_the_encoder_is_made_before_anything_is_embedded(file):
    content = read(file)
    found = graph.expand(graph.read(ROOT / "dvc.yaml"), content)
    assert graph.check(found)  # no circle
    read_by, encoder = graph.before(found), f"train@{content['encoder']['run']}"
    waiting, behind = [encoder], set()
    while waiting:
        name = waiting.pop()
        behind.add(name)
        waiting += read_by[name] - behind
    assert {name.split("@")[0] for name in behind} <= {
        "check", "fetch", "catalogue", "list", "prepare", "train"
    }  # fmt: skip
    assert encoder in read_by["embed@pool"]
    # a new test set makes no new encoder
    assert not [name for name in behind if name.startswith("prepare@tests/")]


def test_an_item():
    parameters = {"items": {"a.b": {"of": "none"}}, "size": 3}
    (stage,) = graph.expand({"make": LOOP}, parameters).values()
    assert stage == graph.Stage("run a.b", ("in/none",), ("items.a.b", "size"),
                                ("in/a.b", "m/a.b.json"))  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"item": {}, "size": 3}, r"stage make: \$\{items\} is not in .*did you mean 'item'"),
        ({"items": [1], "size": 3}, "stage make: foreach .* is no mapping"),
        ({"items": {"a": {"off": 1}}, "size": 3}, r"make@a: \$\{item.of\} .*did you mean 'off'"),
        ({"items": {"a": {"of": [1]}}, "size": 3}, "is no scalar"),
        ({"items": {"a": {"of": "b"}}}, "make@a: .*size.* is not in the parameters"),
    ],
)
def test_what_the_parameters_lack_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        graph.expand({"make": LOOP}, parameters)


def stages(**of):
    return graph.expand({"make": LOOP}, {"items": {k: {"of": v} for k, v in of.items()}, "size": 1})


def test_a_circle_is_named():
    assert graph.check(stages(a="b", b="none")) == ["make@b", "make@a"]
    with pytest.raises(ValueError, match=r"circle: make@. -> make@. -> make@. -> make@\w$"):
        graph.check(stages(a="b", b="c", c="a"))


def test_outputs_that_overlap():
    one = graph.Stage("x", (), (), ("out",))
    with pytest.raises(ValueError, match="a and b both write out"):
        graph.check({"a": one, "b": one})
    with pytest.raises(ValueError, match="stage b writes out/b into out of a"):
        graph.check({"a": one, "b": graph.Stage("x", (), (), ("out/b",))})


def test_a_dependency_on_the_folder_of_several_outputs():
    reader = graph.Stage("x", ("in",), (), ("all",))
    assert graph.check({"reader": reader, **stages(a="none")})[-1] == "reader"
