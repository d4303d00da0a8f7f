"""The key of kept work: what a module does counts, what it says does not."""

import pytest

from stages.artifacts import cache

SOURCE = '''"""Doc."""

STEP = 2


def double(x):
    """Twice."""
    # why
    return STEP * x
'''


@pytest.fixture
def code(tmp_path, monkeypatch):
    """The code of a module with the given source."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(source, name="kept_module"):
        (tmp_path / f"{name}.py").write_text(source)
        cache.code.cache_clear()
        return cache.code(name)

    return of


def test_comments_docstrings_and_layout_do_not_count(code):
    bare = "STEP = 2\ndef double(x):\n    return (STEP * x)\n"
    assert code(SOURCE) == code(bare)


@pytest.mark.parametrize(("old", "new"), [("2", "3"), ("STEP * x", "x * STEP"), ("(x)", "(x=1)")])
def test_what_a_module_does_counts(code, old, new):
    assert code(SOURCE) != code(SOURCE.replace(old, new))


def test_a_text_that_is_no_docstring_counts(code):
    assert code('TEXT = "a"\n') != code('TEXT = "b"\n')


def test_several_modules_in_their_order(code):
    code("A = 1\n", "kept_a")
    code("B = 1\n", "kept_b")
    cache.code.cache_clear()
    assert cache.code("kept_a", "kept_b") != cache.code("kept_b", "kept_a")
    assert cache.code("kept_a", "kept_b") != cache.code("kept_a")


def test_a_name_that_is_no_module():
    with pytest.raises(ValueError, match=r"stages\.nothing: no module"):
        cache.code("stages.nothing")
