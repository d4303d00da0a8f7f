import gzip

import numpy as np
import pytest

from clipcause.embed import tokens


def test_merges_by_hand():
    # ab</w> x3, abc x2: 'a b' in abc (2), 'a b</w>' (3), 'b c</w>' (2); then abc by the alphabet:
    # ('a', 'b') before ('b', 'c</w>'), which is gone once ab is one symbol
    merges = tokens.learn(["ab ab", "abc AB", "abc"], 10)
    assert merges == [("a", "b</w>"), ("a", "b"), ("ab", "c</w>")]


def test_overlapping_pairs_join_from_the_left():
    assert tokens._joined(("a", "a", "a", "b"), ("a", "a")) == ("aa", "a", "b")
    # a a a a</w>, twice: (a, a) four times; then (a, a</w>) and (aa, a) twice each
    assert tokens.learn(["aaaa aaaa"], 2) == [("a", "a"), ("a", "a</w>")]


def test_a_pair_that_occurs_once_is_not_joined():
    assert tokens.learn(["xyz"], 10) == []


def test_the_order_of_captions_does_not_matter():
    captions = ["arrow left", "arrow right circle", "cat", "arrow", "café 24", "left"] * 3
    assert tokens.learn(captions, 30) == tokens.learn(captions[::-1], 30)


def brute_force(captions, count):
    """Algorithm 1 as it is printed: all pairs counted again for every merge."""
    words = dict(tokens._words(captions))
    symbols = {word: (*word[:-1], word[-1] + "</w>") for word in words}
    merges = []
    for _ in range(count):
        frequency = {}
        for word, times in words.items():
            for pair in zip(symbols[word], symbols[word][1:], strict=False):
                frequency[pair] = frequency.get(pair, 0) + times
        best = min(frequency, key=lambda pair: (-frequency[pair], pair), default=None)
        if best is None or frequency[best] < 2:
            break
        merges.append(best)
        symbols = {word: tokens._joined(parts, best) for word, parts in symbols.items()}
    return merges


def test_learning_equals_brute_force():
    random = np.random.default_rng(0)
    letters = np.array(list("abcde"))
    captions = [
        " ".join("".join(random.choice(letters, random.integers(1, 7))) for _ in range(3))
        for _ in range(60)
    ]
    assert tokens.learn(captions, 80) == brute_force(captions, 80)


def test_a_learnt_word_is_one_token(tmp_path):
    captions = ["arrow left", "arrow right", "left arrow right"] * 4
    path = tmp_path / tokens.MERGES
    merges = tokens.learn(captions, 50)
    tokens.write(path, merges)
    tokenizer = tokens.tokenizer(path, 6)
    # bytes, bytes that end a word, merges, start and end of text
    assert tokenizer.vocab_size == 256 + 256 + len(merges) + 2
    ids_NL = tokens.encode(tokenizer, ["arrow left", "Arrow  LEFT", "right", "zq"])
    assert ids_NL.shape == (4, 6)
    assert np.array_equal(ids_NL[0], ids_NL[1])
    assert (ids_NL != 0).sum(axis=1).tolist() == [4, 4, 3, 4]
    # open_clip pools at the largest id, which must be the end of the text
    assert (ids_NL.max(axis=1) == tokenizer.eot_token_id).all()


def test_the_file_is_the_same_bytes(tmp_path):
    merges = [("a", "b"), ("ab", "c</w>")]
    tokens.write(tmp_path / "one.gz", merges)
    tokens.write(tmp_path / "two.gz", merges)
    content = (tmp_path / "one.gz").read_bytes()
    assert content == (tmp_path / "two.gz").read_bytes()
    assert gzip.decompress(content).decode().split("\n")[1:] == ["a b", "ab c</w>"]


def test_a_missing_vocabulary(tmp_path):
    with pytest.raises(FileNotFoundError, match="vocabulary is missing"):
        tokens.tokenizer(tmp_path / "none.gz", 8)


def test_learning_shard_by_shard_is_the_same():
    captions = ["arrow left", "arrow right circle", "cat", "arrow", "café 24", "left"] * 3
    shards = [captions[:5], [], captions[5:]]
    assert tokens.learn_shardwise(shards, 30) == tokens.learn(captions, 30)


def test_rare_words_are_forgotten_where_there_are_too_many(monkeypatch, capsys):
    monkeypatch.setattr(tokens, "MOST_WORDS", 4)
    shards = [["ab ab ab cd cd cd"], ["ef gh ij"], ["ab cd"]]
    assert tokens.learn_shardwise(shards, 30) == tokens.learn(["ab cd"] * 4, 30)
    assert "over 4 words, those seen less than 3 times are dropped" in capsys.readouterr().err


def test_the_published_vocabulary():
    tokenizer = tokens.tokenizer(None, 5)
    assert tokenizer.vocab_size == 49408
    # start of text, "a", "cat", end of text: as every published CLIP has them
    assert tokens.encode(tokenizer, ["a cat"]).tolist() == [[49406, 320, 2368, 49407, 0]]
