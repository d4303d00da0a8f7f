"""The rule `distinct_captions`: copies of a caption go."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.config import layout
from clipcause.prune import rules, split
from clipcause.prune.rules.distinct_captions import normalised, ranks
from clipcause.runtime import metrics
from tests.artifacts_samples import make_dataset, sample
from tests.prune.test_stage import SLOTS, made, write_parameters

ITEM = {**SLOTS, "rule": "distinct_captions"}
CAPTIONS = ["a bell", "A Bell", "a bell", "", " ", "a  bell\n", "STRASSE", "straße", "a bell", "x"]
BASE = [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    items = [sample(number, caption=caption) for number, caption in enumerate(CAPTIONS)]
    sha256 = make_dataset(layout.dataset("pool"), items=items).sha256
    card = {"pool": sha256, "pool_rows": len(CAPTIONS)}
    split.write(layout.split("dedup"), np.array(BASE), card=card)


@pytest.mark.parametrize(
    ("item", "rows", "captions", "cut", "sentence"),
    [
        ({}, [0, 1, 3, 4, 5, 6, 7], 5, 1, "the first row of every caption"),
        ({"most": 2}, [0, 1, 2, 3, 4, 5, 6, 7], 5, 1, "the first 2 rows of every caption"),
        ({"compare": "normalised"}, [0, 3, 4, 6], 2, 2,
         "the first row of every caption, case and white space aside"),
    ],
)  # fmt: skip
def test_by_hand(pool, item, rows, captions, cut, sentence):
    write_parameters(distinct={**ITEM, **item})
    assert made("distinct").rows.tolist() == rows
    stated = metrics.read(layout.metrics("prune", "distinct"))
    counts = {"captions": captions, "captions_cut": cut, "missing": 2}
    assert {name: stated[name] for name in counts} == counts
    assert rules.parse({**ITEM, **item}, "splits.x").sentence() == sentence


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_ranks_count_the_rows_before(pairs):
    first_B, rank_B = ranks(np.array(pairs, np.uint64))
    seen: Counter[tuple[int, int]] = Counter()
    for pair, first, rank in zip(pairs, first_B, rank_B, strict=True):
        assert (first, rank) == (seen[pair] == 0, seen[pair])
        seen[pair] += 1


def test_case_and_white_space_are_all_that_is_taken_away():
    assert normalised(" A\u00a0 Bell,\n") == "a bell,"
    assert normalised("ΑΣ") == normalised("ας")
    assert normalised("é") != normalised("e")
