"""relevance: the artifact; the stage against plain products of the encoder's vectors."""

import numpy as np
import pytest

from stages.artifacts import relevance
from stages.artifacts.relevance import Part

CARD = {"pool": "p", "definitions": "wordnet", "encoder": "e", "wordnet": "w"}


def part(*lines: tuple[int, int, float]) -> Part:
    rows, owners, similarities = zip(*lines, strict=True) if lines else ((), (), ())
    return Part(
        np.array(rows, np.int64), np.array(owners, np.int64), np.array(similarities, np.float32)
    )


def test_scores_are_read_as_they_were_written(tmp_path):
    parts = [part((0, 1, 0.5), (3, 0, -0.25), (3, 2, 0.75)), part(), part((9, 1, 1.0))]
    relevance.write(tmp_path / "r", ["b", "a", "c"], parts, CARD)
    found = relevance.read(tmp_path / "r", pool="p")
    assert found.classes == ("b", "a", "c")
    assert found.row_M.tolist() == [0, 3, 3, 9]
    assert found.class_M.tolist() == [1, 0, 2, 1]
    assert found.similarity_M.tolist() == [0.5, -0.25, 0.75, 1.0]
    row_R, best_R = found.best()
    assert (row_R.tolist(), best_R.tolist()) == ([0, 3, 9], [0.5, 0.75, 1.0])


def test_a_list_without_any_match_has_no_best(tmp_path):
    relevance.write(tmp_path / "r", ["a"], [part()], CARD)
    found = relevance.read(tmp_path / "r")
    assert [len(array) for array in found.best()] == [0, 0]


def test_the_empty_artifact_says_what_to_do(tmp_path):
    relevance.write(tmp_path / "r", [], [], {"pool": "p", "definitions": "none"})
    with pytest.raises(ValueError, match=r"relevance\.definitions is none; set it to wordnet"):
        relevance.read(tmp_path / "r")


def test_scores_of_another_pool(tmp_path):
    relevance.write(tmp_path / "r", ["a"], [part((0, 0, 0.5))], CARD)
    with pytest.raises(ValueError, match="made from another pool"):
        relevance.read(tmp_path / "r", pool="q")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(1, 0, 0.1), (0, 0, 0.1)], "do not ascend"),
        ([(0, 0, 0.1), (0, 0, 0.1)], "do not ascend"),
        ([(0, 0, np.nan)], "1 similarities are no cosines, first of row 0"),
        ([(0, 0, 0.1), (4, 0, 1.5)], "1 similarities are no cosines, first of row 4"),
    ],
)
def test_scores_that_are_none_are_not_written(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        relevance.write(tmp_path / "r", ["a"], [part(*lines)], CARD)
    assert not (tmp_path / "r").exists()
