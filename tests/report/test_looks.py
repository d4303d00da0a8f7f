"""How figures look, of small studies and of one with many conditions: no colour comes twice, no
text leaves its picture in any font, none is wider than it is read, every mark has a name."""

import csv
import io
import json
import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from clipcause.config import objectives
from clipcause.prune import rules
from clipcause.report import dvc_plots, figures, tables
from clipcause.report.colours import FIRST, GREY, PALETTE, colours, marks
from clipcause.report.conditions import group, on_splits
from clipcause.report.figures import bias, drawing, frequency, lines
from clipcause.report.figures.figure import distinct, only
from clipcause.report.outline import Outline, Sized
from clipcause.report.tables import table
from tests import report_imbalance, report_study
from tests.browser import browser

ROOT = Path(__file__).parents[2]
FIGURES = figures.load()
STUDY_FOLDERS = (ROOT, *sorted(ROOT.glob("studies/*")))
HULLS = [f"hull-of-a-name-that-is-rather-long-{number}" for number in range(14)]
TALLEST = 2000  # pixels


def write_many():
    """Fourteen hulls, each with a random split, models of two more kinds, five test sets."""
    base = {"base": "dedup", "of": "none", "with": "none"}
    splits = {"full": {"rule": "none", **base}}
    for at, name in enumerate(HULLS):
        splits[name] = {"rule": "hull", **base, "tests": ["sketch"], "delta": at / 500}
        splits[f"random-{name}"] = {"rule": "random", **base, "of": name, "seed": at}
    plain = {"objective": "clip", "seed": 0}
    runs = {f"{name}-0": {"split": name, **plain} for name in splits}
    runs |= {
        f"shuffled-{at}": {"split": "full", **plain, "samples_seen": 1000 * at} for at in (1, 2)
    }
    runs["supervised"] = {"split": "none", "objective": "supervised", "seed": 0}
    report_study.write_study(splits=splits, runs=runs, encoder="full-0")


STUDIES = {
    "hulls": report_study.write_study,
    "imbalance": report_imbalance.write,
    "many": write_many,
}


@pytest.fixture(scope="module", params=STUDIES)
def content(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        STUDIES[request.param]()
        return report_study.collected()


@pytest.fixture(scope="module")
def drawings(content):
    """Every file of every figure."""
    return {
        name: drawing.fixed(drawing.fitting(spec))
        for one in FIGURES.values()
        for name, spec in one.files(content).items()
    }


def oklab(colour):
    """A colour where distances are what eyes see (B. Ottosson, 2020)."""
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    opponents = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(opponents) @ np.cbrt(np.array(cones) @ linear)


def test_colours_can_be_told_apart():
    places = [oklab(colour) for colour in (*PALETTE, GREY)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 0.06
    assert PALETTE[: len(FIRST)] == FIRST


def outlined(folder):
    """The outline of a study's parameters; splits have the sizes of its results where it has any,
    or else as many rows as the one that they are controls of."""
    stated = yaml.safe_load((folder / "params.yaml").read_text())
    known = {name: rules.parse(entry, name) for name, entry in stated["splits"].items()}
    runs = {name: objectives.parse(entry, name) for name, entry in stated["runs"].items()}
    sizes = {}
    for at, (name, rule) in enumerate(known.items()):
        result = folder / "metrics/prune" / f"{name}.json"
        like = sizes.get(rule.of, at)
        sizes[name] = json.loads(result.read_text())["kept"] if result.exists() else like
    on = on_splits(runs, known, stated["encoder"]["run"])
    every = group(on, known, sizes, ())
    named = {name: one for name, one in every.items() if one.answers}
    nothing, splits = Sized(0), {name: Sized(rows) for name, rows in sizes.items()}
    return Outline("", [], nothing, nothing, {}, {}, known, splits, on, named, {}, {})


@pytest.mark.parametrize("folder", STUDY_FOLDERS, ids=lambda one: one.name)
def test_no_study_has_more_conditions_than_there_are_colours(folder):
    study = outlined(folder)
    known = colours(study)
    assert study.conditions
    for one, other in combinations(study.conditions.values(), 2):
        # those of one split that differ in how they learnt have their kind's shape in plots
        if known[one.name] == known[other.name] != GREY and one.split != other.split:
            assert sides(study, one, other), f"{one.name}, {other.name} are {known[one.name]}"


def sides(study, one, other):
    """What two conditions stand beside in a plot, both of them."""
    return {*study.beside(one), one.name} & {*study.beside(other), other.name}


def test_conditions_share_a_colour_with_their_random_ones_alone(content):
    study = content.study
    known = colours(study)
    for one, other in combinations(study.conditions.values(), 2):
        if known[one.name] == known[other.name]:
            assert sides(study, one, other), f"{one.name}, {other.name} are {known[one.name]}"
    looks = marks(study)
    assert len(set(looks.values())) == len(looks)


def test_a_line_has_a_name_and_a_name_has_a_line(content):
    for name in ("binned", "byfrequency", "robustness"):
        drawn = [row["split"] for row in FIGURES[name].chosen(content)]
        known = colours(content.study)
        for spec in FIGURES[name].files(content).values():
            (scale,) = legends(spec)
            assert {*scale["domain"]} == {known[one] for one in drawn if one in known}, name
    for name in ("probes", "scale", "tail", "bias", "domains"):
        for spec in FIGURES[name].files(content).values():
            named = {one for scale in legends(spec) for one in scale["domain"]}
            assert named == {row[FIGURES[name].key] for row in FIGURES[name].chosen(content)}


def legends(spec):
    """The scales of a specification that have a legend, each once."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if node.get("legend") and "domain" in (node.get("scale") or {}):
                found.append(node["scale"])
            for key, one in node.items():
                if key != "data":
                    walk(one)
        elif isinstance(node, list):
            for one in node:
                walk(one)

    walk(spec)
    return [one for at, one in enumerate(found) if one not in found[:at]]


def test_corpora_with_the_same_counts_have_one_line(content):
    rows = FIGURES["frequency"].chosen(content)
    for panel in distinct(rows, "panel"):
        own = only(rows, panel=panel)
        counts = [
            tuple(row["count"] for row in only(own, corpus=name))
            for name in distinct(own, "corpus")
        ]
        assert len(set(counts)) == len(counts), panel
    assert frequency.together(["a", "b"]) == "a and b"
    assert frequency.together(list("abcde")) == "a, … e (5 alike)"


def test_every_file_is_as_wide_as_it_is_read(drawings):
    assert len(drawings) > 8
    for name, text in drawings.items():
        _, _, width, height = map(float, re.findall(r'viewBox="([^"]*)"', text)[0].split())
        assert width <= drawing.WIDEST, name
        assert height <= TALLEST, name
        assert min(line.size for line in drawing.texts(text) if line) >= 9, name


def boxes(text):
    """The corners of every line of text of a drawing, by the lengths that they state."""

    def place(node, to):
        for function, arguments in re.findall(r"(\w+)\(([^)]*)\)", node.get("transform", "")):
            values = [float(one) for one in re.split(r"[ ,]+", arguments.strip())]
            if function == "translate":
                to = to @ np.array([[1, 0, values[0]], [0, 1, (*values, 0)[1]], [0, 0, 1]])
            elif function == "rotate":
                angle = np.radians(values[0])
                cos, sin = np.cos(angle), np.sin(angle)
                to = to @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
            else:
                raise AssertionError(function)
        return to

    def walk(node, to, style):
        to = place(node, to)
        style = style | {k: v for k, v in node.attrib.items() if k in ("text-anchor", "font-size")}
        tag = node.tag.rpartition("}")[2]
        if tag in ("text", "tspan") and (node.text or "").strip():
            long, size = float(node.attrib["textLength"]), float(style["font-size"][:-2])
            start = {"start": 0, "middle": -long / 2, "end": -long}[style["text-anchor"]]
            corners = [(x, y, 1) for x in (start, start + long) for y in (-0.75 * size, 0.2 * size)]
            down = np.array(
                [[1, 0, 0], [0, 1, float(node.get("dy", 0)) if tag == "tspan" else 0], [0, 0, 1]]
            )
            yield node.text, (to @ down @ np.array(corners).T)[:2]
        for one in node:
            yield from walk(one, to, style)

    return list(walk(ElementTree.fromstring(text), np.eye(3), {}))


def test_no_text_leaves_its_picture(content, drawings):
    panels = {
        f"{name} {panel.title}": drawing.inline(panel)
        for name, one in FIGURES.items()
        for panel in one.panels(content)[:3]
    }
    for name, text in (drawings | panels).items():
        left, top, width, height = map(float, re.findall(r'viewBox="([^"]*)"', text)[0].split())
        for said, (x, y) in boxes(text):
            inside = x.min() >= left - 1, x.max() <= left + width + 1, y.min() >= top - 1
            assert all(inside), (name, said)
            assert y.max() <= top + height + 1, (name, said)


def test_no_text_leaves_its_picture_where_letters_are_wider(drawings, tmp_path):
    """As a browser draws them that has DejaVu alone, whose letters are a sixth wider."""
    wider = "font-family: 'DejaVu Sans' !important"
    with browser() as opened:
        page = opened.new_page()
        for name, text in drawings.items():
            page.set_content(f"<style>* {{ {wider} }} svg {{ overflow: visible }}</style>{text}")
            out = page.locator("svg").evaluate(
                """svg => {
                  const all = svg.getBoundingClientRect(), found = [];
                  for (const one of svg.querySelectorAll("text")) {
                    const box = one.getBoundingClientRect();
                    if (box.left < all.left - 1 || box.right > all.right + 1
                        || box.top < all.top - 3 || box.bottom > all.bottom + 3)
                      found.push(one.textContent);
                  }
                  return found;
                }"""
            )
            assert out == [], name


def test_lengths_of_texts_are_those_of_a_drawing():
    short, long, large = lines_ = [
        drawing.Text("a & <b>", 10),
        drawing.Text("a & <b>, a & <b>", 10),
        drawing.Text("a & <b>", 20, "bold"),
    ]
    found = drawing.lengths(lines_)
    assert found[short] < found[long] > found[large] > 2 * found[short] * 0.95
    text = '<svg><text font-size="10px">a &amp; &lt;b&gt;</text><text font-size="9px"/></svg>'
    stated = drawing.fixed(text)
    assert f'textLength="{found[short]:.1f}"' in stated
    assert stated.count("textLength") == 1
    assert drawing.lengths([]) == {}


def test_every_number_of_the_plot_of_bias_is_explained_and_hides_none(content):
    rows = FIGURES["bias"].chosen(content)
    told = " ".join(bias.caption(rows))
    for row in only(rows, part="whole"):
        assert f"{row['number']}: " in told
    for number in range(2, 20):
        points = [(float(at % 5), float(at // 5)) for at in range(number)]
        places = bias.beside(points, (0.0, 4.0), (0.0, 4.0))
        at = [
            (x * 80 + dx, (4 - y) * 45 + dy)
            for (x, y), (dx, dy) in zip(points, places, strict=True)
        ]
        for (a, b), (c, d) in combinations(at, 2):
            assert abs(a - c) >= 12 or abs(b - d) >= 10


def test_plots_of_dvc_have_a_title_a_key_and_the_width_of_a_window(content):
    for name, one in FIGURES.items():
        stored = tables.load()[name]
        text = table.to_csv([*stored.columns, *stored.looks], content.rows(name))
        rows = [row | {"rev": "workspace"} for row in csv.DictReader(io.StringIO(text))]
        if not rows:
            continue
        spec = json.loads(dvc_plots.template(one).replace('"<DVC_METRIC_DATA>"', json.dumps(rows)))
        made = drawing.svg(spec)
        assert drawing.width(made) <= 1280 - 100, name
        said = {line.said for line in drawing.texts(made) if line}
        assert one.title in said, name
        if one.key:
            names = {row[one.key] for row in rows}
            shortest = {text.rstrip("…") for text in said}
            assert all(any(name.startswith(one) for one in shortest if one) for name in names)
        else:
            # colours stand for what an axis or a panel names
            named = {one.column, one.row} | {
                node["field"]
                for layer in spec["vconcat"][0]["spec"]["layer"]
                for channel, node in layer["encoding"].items()
                if channel == "y" and node.get("type") == "nominal"
            }
            assert "colour" not in stored.looks or named & {
                stored.by,
                "line",
                "contrast",
                "pair",
                "split",
                "condition",
            }, name


def test_lines_are_named_whoever_they_are_controls_of(content):
    drawn = FIGURES["binned"].chosen(content)
    assert {row["split"] for row in drawn} <= {*lines.shown(content.study)}
