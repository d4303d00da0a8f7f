"""The page's account of how splits and runs were made, and of what the words on it mean."""

from html import escape

from clipcause.config.report import Report
from clipcause.prune import rules
from clipcause.report.markup import data_table, details, table_row
from clipcause.report.study import Study

NONE = "–"


def part(study: Study, parameters: Report) -> str:
    """The section `splits`."""
    rows = []
    for name, rule in study.rules.items():
        card = study.splits[name].card
        base = study.base_of(name)
        removed = card.get("removed_per_test") or {}
        each = ", ".join(f"{test} {removed[test]:,}" for test in study.tests if test in removed)
        cells = [
            f'<span class="text">{escape(rule.sentence())}</span>',
            f"{escape(rule.base)}, {len(base):,}",
            f"{len(study.splits[name]):,}",
            f"{len(base) - len(study.splits[name]):,}",
            f'<span class="text">{escape(each) or NONE}</span>',
        ]
        head = f'<span id="split-{escape(name)}">{escape(name)}</span>'
        rows.append(table_row(head, cells))
    head = [
        "split",
        '<span class="text">rule</span>',
        "base, its rows",
        "kept",
        "removed",
        '<span class="text">removed by each test set</span>',
    ]
    trained = [_trained(study, run) for one in study.conditions.values() for run in one.runs]
    columns = ["run", "objective", "seed", "samples seen", "checkpoint"]
    pool = study.pool.sha256[:12]
    return (
        data_table(f"The splits, all of the pool with manifest {pool}.", head, rows)
        + details("Runs and their checkpoints", data_table("The runs.", columns, trained))
        + _definitions(parameters)
    )


def _trained(study: Study, run: str) -> str:
    card = study.cards[run]
    recipe = card["training"]
    seen = recipe.get("optimiser", {}).get("samples_seen")
    cells = [
        escape(str(recipe.get("objective", NONE))),
        escape(str(recipe.get("seed", NONE))),
        f"{seen:,}" if isinstance(seen, int) else NONE,
        f"<code>{escape(card['fingerprint'][:12])}</code>",
    ]
    return table_row(escape(run), cells)


def _definitions(parameters: Report) -> str:
    by_rules = (term for rule in rules.RULES.models.values() for term in rule.terms)
    terms = {
        **{term.key: (term.title, term.meaning) for term in by_rules},
        "interval": (
            "Intervals",
            "Of differences: paired bootstrap over test images, and over runs where both sides "
            f"have several; {parameters.resamples:,} resamples, 2.5 and 97.5 % quantiles. Where an "
            "interval has zero in it, the summary says that no difference can be told. Of "
            "accuracies: Wilson's score interval, 95 %.",
        ),
        "noise": (
            "Beyond noise",
            "A difference whose p value is below 0.05 after Holm's correction for all comparisons "
            "of the table. The test is McNemar's in its exact form for single runs, and a t test "
            "over images and runs where both sides have several. What is not beyond noise is not "
            "shown to be equal: the smallest detectable difference says what would be found with "
            "probability 80 %.",
        ),
        "share-removed": (
            "Share removed",
            "Rows of the base that the split lacks, over the rows of the base. The base is the "
            "pool, or the pool without near-duplicates.",
        ),
    }
    entries = [
        f'<dt id="{name}">{escape(title)}</dt><dd>{escape(text)}</dd>'
        for name, (title, text) in terms.items()
    ]
    return f"<dl>{''.join(entries)}</dl>\n"
