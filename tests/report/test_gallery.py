"""Which pictures the page shows, and how many of them."""

from dataclasses import replace

import numpy as np
import pytest

from clipcause.report import pictures, study
from clipcause.report.decimals import fixed
from clipcause.report.sections import gallery
from clipcause.report.sections.gallery import Card, Gallery, Group, Shown
from tests.report_study import write_study


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study()
        yield study.load_sources()


def test_what_stayed_is_shown_from_the_threshold_down(found):
    shown = pictures.survived(found, "hull-sketch", 4)
    margin_N = found.scores["sketch"].pool.margin
    kept = found.splits["hull-sketch"].rows
    margins = [one.similarity - one.threshold for one in shown]
    assert margins == sorted(margins, reverse=True)
    assert margins[0] == pytest.approx(margin_N[kept].max(), abs=1e-6)
    assert max(margins) <= 0
    lost = found.removed("hull-sketch")
    assert not {one.row for one in shown} & set(lost.rows.tolist())
    assert len({one.test_row for one in shown}) == len(shown)
    assert pictures.survived(found, "full", 4) == []


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.97, 1.0])
def test_copies_are_the_pairs_above_the_threshold(found, threshold):
    scores = found.scores["val"].test
    count, pairs = pictures.copies(found, "val", threshold, 10_000)
    nearest_Q = np.maximum(scores.reference_sim, scores.pool_sim)
    assert count == (nearest_Q >= threshold).sum()
    expected = [(s, False) for s in scores.reference_sim] + [(s, True) for s in scores.pool_sim]
    expected = sorted((s for s, _ in expected if s >= threshold), reverse=True)
    assert [one.similarity for one in pairs] == expected
    for one in pairs:
        at = list(scores.row).index(one.test_row)
        row_Q = scores.pool_row if one.is_pool else scores.reference_row
        assert one.row == row_Q[at]


def test_too_many_pictures_are_cut_to_the_same_share(found):
    card = Card((Shown(found.pool, 0, "a"), Shown(found.pool, 1, "b")))
    groups = (Group("large", (card,) * 90), Group("small", (card,) * 10))
    wanted = [Gallery("x", groups)]
    assert gallery.limited(wanted, 200) == wanted
    (cut,) = gallery.limited(wanted, 100)
    fewer = (Group("large", (card,) * 45), Group("small", (card,) * 5))
    assert cut == replace(wanted[0], groups=fewer)


@pytest.mark.parametrize(
    ("margin", "delta", "text"),
    [
        (-0.0000123, 0.0, "just under the threshold"),
        (0.0000123, 0.0, "just over the threshold"),
        (0.0, 0.0, "at the threshold"),
        (-0.00125, 0.0, "margin −0.0013"),
        (0.2, 0.0, "margin 0.2000"),
        (0.04999, 0.05, "just under the threshold"),
        (-0.00001, 0.05, "margin 0.0000"),
    ],
)
def test_a_margin_that_rounds_to_nothing_is_told_in_words(margin, delta, text):
    assert gallery.margin(margin, delta) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(51.25, 1, "51.3"), (100 * 0.5125, 1, "51.3"), (-51.25, 1, "−51.3"), (51.15, 1, "51.2"),
     (-0.04, 1, "0.0"), (-0.05, 1, "−0.1"), (2, 2, "2.00"), (0.12349999, 4, "0.1235")],
)  # fmt: skip
def test_halves_are_rounded_away_from_zero(value, digits, text):
    assert fixed(value, digits) == text
