"""What files beside pictures say: as img2dataset, Hugging Face's imagefolder and open_clip's CSV
have it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipcause.config.datasets import Limits
from clipcause.data import dataset
from clipcause.data.dataset import Drop, Sample
from clipcause.data.sources.beside import Words
from clipcause.data.sources.folder import read_folder


def picture(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (37 * number % 200, 91 * number % 200, 9)).save(path)


def read(folder: Path, split: str = "none", **words) -> tuple[dict[str, Sample], list[Drop]]:
    found = list(read_folder(folder, 16, Limits(), Words(**words), split))
    samples = {one.key: one for one in found if isinstance(one, Sample)}
    drops = [one for one in found if isinstance(one, Drop)]
    assert len(samples) + len(drops) == len(found)
    return samples, drops


def img2dataset(out: Path, shard: str, count: int, *, captioned: bool = True, **more) -> None:
    """A shard of its `files` output, as its FilesSampleWriter (1.47) writes it."""
    for number in range(count):
        key = f"{shard}{number:04d}"
        picture(out / shard / f"{key}.jpg", number)
        facts = {
            "caption": f"a bell, {number}" if captioned else None,
            "url": f"https://a.b/{key}.jpg",
            "key": key,
            "status": "success",
            "error_message": None,
            "width": 40,
            **more,
        }
        (out / shard / f"{key}.json").write_text(json.dumps(facts, indent=4))
        if number != 1:  # without --caption_col there are no texts; of a null caption they are ""
            (out / shard / f"{key}.txt").write_text(facts["caption"] or "")
    (out / f"{shard}.parquet").write_bytes(b"of no picture")
    (out / f"{shard}_stats.json").write_text(json.dumps({"count": count, "successes": count}))


def test_img2datasets_files_are_rows_and_shards_are_no_classes(tmp_path: Path):
    img2dataset(tmp_path, "00000", 3, uid="ab" * 16)
    img2dataset(tmp_path, "00001", 1, captioned=False)
    samples, drops = read(tmp_path)
    assert list(samples) == ["00000/000000000", "00000/000000001", "00000/000000002"]
    assert [one.caption for one in samples.values()] == [f"a bell, {n}" for n in range(3)]
    assert {one.label for one in samples.values()} == {None}
    assert {one.pool_uid for one in samples.values()} == {"ab" * 16}
    assert all(one.published and one.source.startswith("https://a.b/") for one in samples.values())
    reasons = sorted((drop.reason, drop.counted) for drop in drops)
    assert reasons == [("no caption", True), *[("not a picture", False)] * 4]
    (lost,) = (drop for drop in drops if drop.counted)
    assert lost.detail.startswith("its JSON has caption, error_message, key")


def test_a_shard_whose_download_was_stopped_is_no_class_either(tmp_path: Path):
    img2dataset(tmp_path, "00003", 1)
    (tmp_path / "00003_stats.json").unlink()
    (sample,) = read(tmp_path)[0].values()
    assert (sample.caption, sample.label) == ("a bell, 0", None)


def test_they_are_the_same_samples_as_those_of_the_tars(tmp_path: Path):
    img2dataset(tmp_path, "00000", 1)
    dataset.write(
        tmp_path / "made",
        read_folder(tmp_path, 16, Limits()),
        shard_size=10,
        max_drop_fraction=0.0,
    )
    known = dataset.read(tmp_path / "made").table["source_id"].to_pylist()
    assert known == [dataset.source_id("https://a.b/000000000.jpg", "a bell, 0")]


def test_json_beside_a_picture_of_a_class_leaves_it_its_class(tmp_path: Path):
    picture(tmp_path / "bell/1.jpg")
    (tmp_path / "bell/1.json").write_text('{"shapes": []}')  # as labelme does
    picture(tmp_path / "bell/2.jpg")
    (tmp_path / "bell/2.json").write_text("{")
    samples, drops = read(tmp_path)
    assert {one.label for one in samples.values()} == {"bell"}
    assert [(drop.reason, drop.counted) for drop in drops] == [("unreadable json", False)]


def test_texts_called_after_the_whole_name_or_by_another_extension(tmp_path: Path):
    for number, end in enumerate(("jpg", "png")):
        picture(tmp_path / f"pair.{end}", number)
        (tmp_path / f"pair.{end}.txt").write_text(f"the {end}")
        (tmp_path / f"pair.{end}.json").write_text(json.dumps({"alt": f"JSON of {end}"}))
    samples, drops = read(tmp_path)
    assert [one.caption for one in samples.values()] == ["the jpg", "the png"]
    assert not drops
    assert [one.caption for one in read(tmp_path, caption="alt")[0].values()] == [
        "JSON of jpg",
        "JSON of png",
    ]
    (tmp_path / "pair.caption").write_text("both")
    samples, drops = read(tmp_path, caption="caption")
    assert {one.caption for one in samples.values()} == {"both"}
    assert {drop.reason for drop in drops} == {"not a picture"}  # the texts that are not asked for


def rows(folder: Path, kind: str, lines: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"metadata.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(lines), path)
    else:
        names = list(lines[0])
        text = [",".join(names)] + [",".join(f'"{line[n]}"' for n in names) for line in lines]
        path.write_text("\n".join(text) + "\n", encoding="utf-8-sig")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_hugging_faces_imagefolder(tmp_path: Path, kind: str):
    for name in ("1.png", "sub/2.png", "deep/er/3.png", "4.png"):
        picture(tmp_path / name)
    lines = [
        {"file_name": "1.png", "text": "a bell, big", "label": "bell", "similarity": 0.5},
        {"file_name": "sub/2.png", "text": "a car", "label": "car", "similarity": 2.0},
        {"file_name": "gone.png", "text": "nothing", "label": "car", "similarity": 0.1},
        {"file_name": "../../etc/passwd", "text": "no", "label": "car", "similarity": 0.1},
    ]
    rows(tmp_path, kind, lines)
    rows(tmp_path / "deep", kind, [
        {"file_name": "./er/3.png", "text": "a key", "label": "key", "similarity": 1.0},
        {"file_name": "er/3.png", "text": "its key", "label": "key", "similarity": 1.0},
    ])  # fmt: skip
    samples, drops = read(tmp_path, columns=("similarity",))
    said = {key: (one.caption, one.label, one.columns) for key, one in samples.items()}
    assert said == {
        "1": ("a bell, big", "bell", {"similarity": 0.5}),
        "deep/er/3": ("a key", "key", {"similarity": 1.0}),
        "sub/2": ("a car", "car", {"similarity": 2.0}),
    }
    assert samples["deep/er/3"].captions == ["a key", "its key"]
    table = f"metadata.{kind}"
    assert sorted((drop.shard, drop.key, drop.reason) for drop in drops) == [
        (".", "4", "no caption"),
        (table, "line 3", "a line without a picture"),
        (table, "line 4", "a line without a picture"),
    ]
    assert all(drop.counted for drop in drops)
    assert {type(one.source) for one in samples.values()} == {str}
    assert not any(one.published for one in samples.values())


def test_labels_alone_are_captions_too(tmp_path: Path):
    picture(tmp_path / "1.png")
    rows(tmp_path, "csv", [{"file_name": "1.png", "label": "door_bell"}])
    (sample,) = read(tmp_path)[0].values()
    assert (sample.caption, sample.label) == ("door bell", "door_bell")


def test_splits_are_no_classes(tmp_path: Path):
    for split in ("train", "test"):
        picture(tmp_path / split / "bell/1.png")
        picture(tmp_path / split / "car/2.png")
    with pytest.raises(ValueError, match=r"folders \(test, train\) are splits .* `split: test`"):
        read(tmp_path)
    samples, drops = read(tmp_path, split="train")
    assert {key: one.label for key, one in samples.items()} == {
        "train/bell/1": "bell",
        "train/car/2": "car",
    }
    assert [(drop.reason, drop.counted) for drop in drops] == [("of another split", False)] * 2
    with pytest.raises(ValueError, match="no folder 'tran' for split; did you mean 'train'"):
        read(tmp_path, split="tran")
    # a table above both, as the hub's viewer makes them, too
    names = ("train/bell/1.png", "test/bell/1.png")
    rows(tmp_path, "csv", [{"file_name": name, "text": f"of {name}"} for name in names])
    samples, drops = read(tmp_path, split="test")
    assert {key: one.caption for key, one in samples.items()} == {
        "test/bell/1": "of test/bell/1.png"
    }
    # a class may be called so beside others
    picture(tmp_path / "tram/1.png")
    assert read(tmp_path, metadata="none")[0]["train/car/2"].label == "train"


def test_open_clips_csv(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "images/a/1.jpg")
    picture(tmp_path / "images/2.jpg", 2)
    picture(tmp_path / "images/3.jpg", 3)
    lines = [
        "filepath\ttitle",  # its separator is a tab as a rule, whatever the file is called
        "a/1.jpg\ta bell, big",  # from the table
        f"{tmp_path}/images/2.jpg\ta car",  # from the root
        "images/3.jpg\ta key",  # from where the training was started
        "broken",
        "2.jpg\tca\udcffr",
    ]
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    (tmp_path / "images/train.csv").write_bytes(content)
    samples, drops = read(Path("images"), metadata="train.csv")
    assert {key: one.caption for key, one in samples.items()} == {
        "a/1": "a bell, big",
        "3": "a key",
    }
    assert [(drop.key, drop.reason) for drop in drops] == [
        ("2", "unreadable caption"),
        ("line 5", "broken line"),
    ]
    (tmp_path / "images/train.csv").write_bytes(b"filepath;title\n2.jpg;a car\n")
    samples, _ = read(Path("images"), metadata="train.csv")
    assert samples["2"].caption == "a car"


def test_a_table_of_other_names_is_told_to_name_them(tmp_path: Path):
    picture(tmp_path / "1.jpg")
    (tmp_path / "train.csv").write_text("path,words,Score\n1.jpg,a bell,007\n")
    with pytest.raises(FileNotFoundError, match=r"no 'trian.csv' for metadata; .*'train.csv'"):
        read(tmp_path, metadata="trian.csv")
    with pytest.raises(ValueError, match=r"no column of paths for `file`; .*path, words, Score"):
        read(tmp_path, metadata="train.csv")
    with pytest.raises(ValueError, match=r"no column 'pth' for `file`; did you mean 'path'"):
        read(tmp_path, metadata="train.csv", file="pth")
    with pytest.raises(ValueError, match="which column has the captions"):
        read(tmp_path, metadata="train.csv", file="path")
    with pytest.raises(ValueError, match="no 'word'; did you mean 'words'"):
        read(tmp_path, metadata="train.csv", file="path", caption="word")
    with pytest.raises(ValueError, match="no 'score'; did you mean 'Score'"):
        read(tmp_path, metadata="train.csv", file="path", caption="words", columns=("score",))
    named: dict[str, Any] = {
        "metadata": "train.csv",
        "file": "path",
        "caption": "words",
        "columns": ("Score",),
    }
    samples, drops = read(tmp_path, **named)
    assert samples["1"].caption == "a bell"
    assert samples["1"].columns == {"Score": "007"}
    assert not drops
    # a metadata.csv of something else is no picture, and no error
    (tmp_path / "metadata.csv").write_text("id,licence\n1,MIT\n")
    (tmp_path / "1.txt").write_text("a bell")
    _, drops = read(tmp_path)
    assert {drop.reason for drop in drops} == {"not a picture"}


def test_columns_of_json_are_kept_and_a_misspelt_one_is_told(tmp_path: Path):
    img2dataset(tmp_path / "raw", "00000", 3, punsafe=0.25)
    facts = tmp_path / "raw/00000/000000002.json"
    facts.write_text(facts.read_text().replace("0.25", '"?"'))

    def write(*columns: str) -> None:
        dataset.write(
            tmp_path / "made",
            read_folder(tmp_path / "raw", 16, Limits(), Words(columns=columns)),
            shard_size=2,
            max_drop_fraction=0.0,
        )

    with pytest.raises(ValueError, match=r"'punsafe' is double in 00000\.tar and string in"):
        write("punsafe", "width")
    facts.write_text(facts.read_text().replace('"?"', "null"))
    write("punsafe", "width")
    made = dataset.read(tmp_path / "made")
    assert made.kept("punsafe").to_pylist() == [0.25, 0.25, None]
    assert made.kept("width").to_pylist() == [40, 40, 40]
    assert made.table["width"].to_pylist() == [16, 16, 16]
    with pytest.raises(ValueError, match="no 'punsaf'; did you mean 'punsafe'"):
        write("punsaf")


def test_without_named_columns_the_manifest_has_the_bytes_that_it_had(tmp_path: Path):
    img2dataset(tmp_path / "raw", "00000", 3)
    dataset.write(
        tmp_path / "made",
        read_folder(tmp_path / "raw", 16, Limits()),
        shard_size=2,
        max_drop_fraction=0.0,
    )
    path = tmp_path / "made/manifest.parquet"
    table = pq.read_table(path)
    with pq.ParquetWriter(tmp_path / "plain", dataset.SCHEMA, compression="zstd") as plain:
        for start in (0, 2):
            plain.write_table(table.slice(start, 2).replace_schema_metadata(None))
        listed = pq.ParquetFile(path).metadata.metadata[b"clipcause.shards"].decode()
        plain.add_key_value_metadata({"clipcause.shards": listed})
    assert path.read_bytes() == (tmp_path / "plain").read_bytes()


def test_words_that_pandas_takes_for_missing_are_words(tmp_path: Path):
    words = ["None", "NA", "null", "nan"]
    for number in range(len(words)):
        picture(tmp_path / f"{number}.png", number)
    lines = [
        {"file_name": f"{n}.png", "text": word, "label": f"0{n}"} for n, word in enumerate(words)
    ]
    rows(tmp_path, "csv", lines)
    samples, _ = read(tmp_path)
    assert [one.caption for one in samples.values()] == words
    assert [one.label for one in samples.values()] == ["00", "01", "02", "03"]
