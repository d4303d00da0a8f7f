"""The page's sections on class frequency and bias. One with nothing to show is empty."""

from html import escape
from typing import Any

from clipcause.report import bias_figures, charts, colours, kinds, locked_text_page
from clipcause.report.bias_charts import Looks
from clipcause.report.decimals import fixed, listed
from clipcause.report.markup import chip, data_table, details, key, panels, paragraph, table_row
from clipcause.report.study import Study
from clipcause.report.tables import parts as parts_of
from clipcause.report.tables.bias import Bias
from clipcause.report.tables.imbalance import Measured

NONE = "–"
ABOUT = "0: accuracy does not follow class frequency, below 0: rare classes do better"
MOST_OPEN = 40  # rows of a table that is not folded away
MORE = {"bias": "the other test sets", "perclass": "the other kinds of model"}
SECTIONS = {
    "frequency": "Class frequency",
    "bias": "Bias towards frequent classes",
    "scale": "Uniform shares of the data",
    "tail": "Trimmed tails",
    "perclass": "Accuracy by class frequency",
    "probes": "Linear probes",
    "intraclass": "Similarity within classes",
}
COLUMNS = {  # of the table of conditions: title, path of the number, factor, digits
    "top-1": ("top1", 100, 1),
    "corr_acc": ("imbalance.corr_acc", 1, 3),
    "corr_pred": ("imbalance.corr_pred", 1, 3),
    "head": ("imbalance.head", 100, 1),
    "middle": ("imbalance.middle", 100, 1),
    "tail": ("imbalance.tail", 100, 1),
    "trimmed": ("imbalance.trimmed", 100, 1),
    "NC1": ("neural_collapse.nc1", 1, 2),
    "NC2<sub>M</sub>": ("neural_collapse.nc2_m", 1, 3),
    "NC2<sub>M</sub> nearest": ("neural_collapse.nc2nn_m", 1, 3),
    "NC2<sub>W</sub>": ("neural_collapse.nc2_w", 1, 3),
    "NC2<sub>W</sub> nearest": ("neural_collapse.nc2nn_w", 1, 3),
}


def parts(study: Study, one: Bias) -> dict[str, str]:
    """The sections by anchor."""
    return {
        "frequency": _frequency(study, one),
        "bias": _bias(study, one),
        "scale": _plot(study, one, "scale", _SCALE),
        "tail": _tail(study, one),
        "perclass": _classes(study, one),
        "probes": _probes(study, one),
        "intraclass": _numbers(
            one.intraclass, "Mean cosine similarity between images of one class."
        ),
    }


_SCALE = (
    "Every line is a kind of model trained on uniform shares of one set, in which every class "
    "keeps one row at least; its right end is the whole set. The reference's rows count where it "
    "was added. Bars span several seeds."
)
_TAIL = (
    "The rarest classes of a set were cut to none of their rows (0-shot) or to a few. Full lines: "
    "mean accuracy of the trimmed classes. Dotted: that of all others."
)


def summary(study: Study, one: Bias) -> list[str]:
    """Every test set's lowest and highest corr_acc with intervals, parts of a set left aside."""
    texts = []
    for test in study.tests:
        rows = [
            row
            for row in one.rows["bias"]
            if (row["test"], row["part"], row["against"]) == (test, "whole", "corr_pred")
        ]
        if len(rows) > 1:
            least, most = (of(rows, key=lambda row: row["corr_acc"]) for of in (min, max))
            texts.append(
                f"On {test}, corr_acc is lowest for {_told(least)} and highest for {_told(most)}, "
                f"of {len(rows)} conditions on whole sets{'' if texts else f'; {ABOUT}'}."
            )
    return texts


def _told(row: dict[str, Any]) -> str:
    """A condition with its corr_acc and what the plot has as its bar."""
    low, high = row["low"], row["high"]
    # without a spread both ends are the value itself
    ends = "" if low == high else f" [{fixed(low, 2)}, {fixed(high, 2)}]"
    return f"“{row['condition']}” ({fixed(row['corr_acc'], 2)}{ends})"


def _frequency(study: Study, one: Bias) -> str:
    found = one.frequencies
    if not found:
        return ""
    without = [f"{count:,} in “{name}”" for name, count in found.without_rows.items() if count]
    text = (
        f"Rows of each of {found.classes:,} classes, in falling order. A row's classes are those "
        "that its caption mentions, or the one that its label names."
    )
    if without:
        text += f" Classes without rows are not drawn: {listed(without)}."
    for name, count in found.unlisted.items():
        text += f" {count:,} rows of the {name} have a label that is not in the list of classes."
    drawn = _drawn(study, one, "frequency")
    html = paragraph(text) + panels((title, svg + _key(found.looks[title])) for title, svg in drawn)
    if len(found.sources) > 1:
        (_, svg), *_rest = _drawn(study, one, "sources")
        html += paragraph(
            "How far the orders agree: Spearman's rank correlation of the counts, joined by class "
            f"id.{_beside(found.constant, found.left_out)}"
        )
        html += f'<div class="matrix">{svg}</div>\n'
    return html


def _beside(constant: list[str], left_out: int) -> str:
    text = ""
    if constant:
        verb = "has" if len(constant) == 1 else "have"
        text += f" {listed(constant)} {verb} the same count for all classes, which is no order."
    if left_out:
        text += f" {left_out} further splits are in the tables of the plots alone."
    return text


def _bias(study: Study, one: Bias) -> str:
    measured = [found for found in one.measured if any(path in found.numbers for path in _paths())]
    # neural collapse alone is no account of bias: the tidy table has it
    if not one.rows["bias"]:
        return ""
    found = {name for one_of in measured for name in one_of.numbers}
    html = paragraph(_meant(found))
    html += (
        paragraph(
            f"Numbers at the points: below, and in the tables. {_drawn_small(one)}{_BARS}", "soft"
        )
        + _key_of_shapes(one.kinds("bias"))
        + key((f"<b>{at}</b>&nbsp;", name) for at, name in bias_figures.numbered(one).items())
        + _folded(study, _drawn(study, one, "bias"), "bias", one)
    )
    for test in study.tests:
        mine = [found for found in measured if found.test == test]
        table = _table(study, mine, test)
        if len(study.tests) == 1 and len(mine) <= MOST_OPEN:
            html += table
        else:
            html += details(f"{test}: {len(mine)} conditions", table, is_open=len(study.tests) == 1)
    return html


_BARS = (
    "Bars: the 95 % bootstrap interval of one seed's corr_acc, or the least and the largest of "
    "several seeds."
)


def _meant(found: set[str]) -> str:
    """What the numbers are, of those that there are."""
    text = (
        "corr_acc is Spearman's rank correlation, over classes, of a class's frequency in the "
        "training data and its accuracy; corr_pred that of frequency and the number of images "
        "that are said to be of the class. 0 is unbiased."
    )
    if "imbalance.head" in found:
        text += " Head, middle and tail are thirds of the classes by frequency."
    if any(name.startswith("neural_collapse.") for name in found):
        text += (
            " NC1 is smaller the tighter the clusters of the classes' features are, NC2 the closer "
            "class means (M) or prototypes (W) are to equal angles."
        )
    return text


def _drawn_small(one: Bias) -> str:
    """What the small points are, where there are any, and where their curves are."""
    if all(row["part"] == "whole" for row in one.rows["bias"]):
        return ""
    curves = ", of which there are curves below" if one.rows["scale"] or one.rows["tail"] else ""
    return (
        f"Small points without a number are shares of a set and sets without their tail{curves}. "
    )


def _table(study: Study, measured: list[Measured], test: str) -> str:
    shown = {
        title: column
        for title, column in COLUMNS.items()
        if any(column[0] in found.numbers for found in measured)
    }
    numbers = {name: at for at, name in enumerate(kinds.every(study), 1)}
    looks, rows = colours.marks(study), []
    for found in measured:
        name = found.condition.name
        seeds = len(found.condition.runs)
        cells = [f"{numbers[name]}", _rows(study, found)]
        cells += [_cell(found, *column) for column in shown.values()]
        note = f"<small>{seeds} seeds</small>" if seeds > 1 else ""
        rows.append(table_row(chip(looks[found.kind][0]) + escape(name) + note, cells))
    return data_table(
        f"Bias and neural collapse on {test}; accuracies in %. Below a number: its 95 % bootstrap "
        "interval, or the least and the largest of several seeds.",
        ["training data", "no.", "rows", *shown],
        rows,
    )


def _paths() -> list[str]:
    return [path for path, _, _ in COLUMNS.values() if "." in path]


def _rows(study: Study, found: Measured) -> str:
    split = found.condition.split
    return f"{len(study.splits[split]):,}" if split in study.rules else NONE


def _cell(found: Measured, path: str, factor: int, digits: int) -> str:
    value = found.mean(path)
    if value is None:
        return NONE
    text = _signed(factor * value, digits)
    spread = found.spread(path)
    if spread is None:
        return text
    low, high = (_signed(factor * end, digits) for end in spread)
    return f"{text}<small>[{low}, {high}]</small>"


def _signed(value: int | float, digits: int) -> str:
    return fixed(value, digits)


def _plot(study: Study, one: Bias, name: str, text: str) -> str:
    if not one.rows[name]:
        return ""
    return paragraph(text) + _key(one.kinds(name)) + panels(_drawn(study, one, name))


def _tail(study: Study, one: Bias) -> str:
    html = _plot(study, one, "tail", _TAIL)
    if left_out := parts_of.left_out(study, one.measured):
        html += paragraph(
            f"Not drawn: {len(left_out)} conditions on trimmed tails to which the reference was "
            f"added, which has rows of the trimmed classes; the first is “{left_out[0]}”."
        )
    return html + locked_text_page.table(study, one.donors)


def _classes(study: Study, one: Bias) -> str:
    drawn = _drawn(study, one, "perclass")
    if not drawn:
        return ""
    all_of = {row["condition"] for row in one.rows["perclass"]}
    rest = len(all_of) - len(bias_figures.shown_conditions(study, one))
    more = f" {rest} further conditions are in the table of the plot alone." if rest else ""
    return paragraph(
        "A point per class, its accuracy over all seeds; the line is the mean of each tenth of the "
        "classes by frequency. Classes without a training row stand at ½. Of every kind of model "
        f"one is shown.{more}"
    ) + _folded(study, drawn, "perclass", one)


def _folded(study: Study, drawn: list[tuple[str, str]], name: str, one: Bias) -> str:
    """The first panels, and the others folded away: of bias those of the first test set, of
    classes those of the first condition."""
    field = {"bias": "test", "perclass": "condition"}[name]
    first = next(row[field] for row in one.rows[name])
    if name == "perclass":
        first = bias_figures.shown_conditions(study, one)[0]
    other = {"bias": "against", "perclass": "test"}[name]
    count = len({row[other] for row in one.rows[name] if row[field] == first})
    rest = drawn[count:]
    title = f"{len(rest)} more plots: {MORE[name]}"
    return panels(drawn[:count]) + (details(title, panels(rest)) if rest else "")


def _drawn(study: Study, one: Bias, name: str) -> list[tuple[str, str]]:
    title = bias_figures.TITLES[name][0]
    return [
        (panel, charts.inline(spec, spec["data"]["values"], f"{title}: {panel}".rstrip(": ")))
        for panel, spec in bias_figures.panels(study, one, name, named=False)
    ]


def _key(looks: Looks) -> str:
    return key((chip(colour), name) for name, (colour, _) in looks.items())


def _key_of_shapes(looks: Looks) -> str:
    """Shapes are told where colours come twice."""
    colours = [colour for colour, _ in looks.values()]
    if len(set(colours)) == len(colours):
        return _key(looks)
    return key((chip(colour), f"{name} ({shape})") for name, (colour, shape) in looks.items())


def _probes(study: Study, one: Bias) -> str:
    found = one.rows["probes"]
    if not found:
        return ""
    html = paragraph(
        "Logistic regression on the features of a model's image tower, before normalisation; the "
        "regularisation is chosen on rows that are held out. Accuracy in %, ± one standard "
        "deviation over draws."
    )
    if drawn := _drawn(study, one, "probes"):
        html += _key(one.kinds("probes")) + panels(drawn)
    columns = list(dict.fromkeys((row["test"], row["shots"]) for row in found))
    head = [f"{test}, {shots or 'all rows'}" for test, shots in columns]
    rows = []
    for name in dict.fromkeys(row["probe"] for row in found):
        mine = {(row["test"], row["shots"]): row for row in found if row["probe"] == name}
        first = next(iter(mine.values()))
        cells = [escape(first["condition"]), escape(first["trained"])]
        cells += [_deviating(mine[at]) if at in mine else NONE for at in columns]
        rows.append(table_row(escape(name), cells))
    caption = "Top-1 accuracy of linear probes by test set and samples of a class."
    return html + data_table(caption, ["probe", "model", "rows", *map(escape, head)], rows)


def _deviating(row: dict[str, Any]) -> str:
    text = fixed(row["value"], 1)
    return f"{text} ± {fixed(row['high'] - row['value'], 1)}" if row["draws"] > 1 else text


def _numbers(found: dict[str, dict[str, int | float]], caption: str) -> str:
    """A table of metrics as they are, an entry a row."""
    if not found:
        return ""
    names = list(dict.fromkeys(name for numbers in found.values() for name in numbers))
    rows = [
        table_row(escape(entry), [_plain(numbers[n]) if n in numbers else NONE for n in names])
        for entry, numbers in found.items()
    ]
    return data_table(caption, ["entry", *(escape(name.replace("_", " ")) for name in names)], rows)


def _plain(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else _signed(value, 4)
