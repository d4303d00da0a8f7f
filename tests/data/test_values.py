"""Captions, labels and keys of any type, and pictures that are stored as a person sees them."""

import io
import json
import tarfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipcause.captions.classes import ClassNames
from clipcause.captions.mentions import Mentions
from clipcause.config.datasets import Limits
from clipcause.config.engine import Engine
from clipcause.config.frequency import Frequency
from clipcause.data import dataset, export_split, in_place, manifest, picture, prepare, values
from clipcause.data.dataset import Sample
from clipcause.data.sources import webdataset
from clipcause.data.sources.beside import Words
from clipcause.data.sources.folder import read_folder
from clipcause.data.sources.imagefolder import ImageFolder, read_imagefolder
from clipcause.data.sources.members import Texts
from clipcause.data.sources.published_embeddings import Embeddings, read_embeddings
from clipcause.data.sources.table import Table, read_table
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from tests.data.test_picture import encoded

PLAIN = {"source": "table", "raw": "data/none", "url": "none", "width": "none", "height": "none"}
TEXTS = Texts()
KNOWN = {name: ClassNames(name=name, names=[name]) for name in ("bell", "car", "key")}
BLANK = "\u202f"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A shard cache of the test's own."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "kept"))


def table(path: Path, columns: dict, **options) -> manifest.Manifest:
    pq.write_table(pa.table(columns), path / "t.parquet")
    read = Table.model_validate({**PLAIN, **options})
    base, parts = read_table(str(path / "t.parquet"), read)
    in_place.write(path / "made", base, parts, max_drop_fraction=1.0)
    return manifest.read(path / "made", shards=False)


def tars(path: Path, samples: list[dict], read: Texts = TEXTS) -> manifest.Manifest:
    place = path / "tars"
    place.mkdir(exist_ok=True)
    with tarfile.open(place / "0.tar", "w") as out:
        for number, sample in enumerate(samples):
            for end, content in {"jpg": jpeg(number), **sample}.items():
                header = tarfile.TarInfo(f"{number}.{end}")
                header.size = len(content)
                out.addfile(header, io.BytesIO(content))
    parts = webdataset.parts(str(place), "*.tar", read, Limits(), Engine(), "pool")
    in_place.write(path / "made", str(place), parts, max_drop_fraction=1.0)
    return manifest.read(path / "made")


def said(**facts) -> dict[str, bytes]:
    return {"json": json.dumps(facts).encode()}


def jpeg(number: int = 0, **settings) -> bytes:
    levels = np.zeros((24, 40), np.uint8)
    levels[:8, : 8 + number] = 255
    return encoded(Image.fromarray(levels).convert("RGB"), "JPEG", quality=95, **settings)


def ledger(made: manifest.Manifest) -> list[tuple[str, str]]:
    return [(one["key"], one["reason"]) for one in dataset.read_drops(made.folder).to_pylist()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\ufeff a bell \n", "a bell"),
        ("\ufeffa bell".encode(), "a bell"),
        (3, "3"),
        (3.0, "3"),
        (Decimal("3"), "3"),
        (np.nan, None),
        (Decimal("NaN"), None),
        (" ", None),
        (None, None),
        ("schön", "schön"),
    ],
)
def test_what_is_text(value, text):
    assert values.text(value) == text


@pytest.mark.parametrize("value", [{"en": "x"}, ["x"], True, 3.5, np.inf, b"\xff", "\ud83d", {1}])
def test_what_is_no_text(value):
    with pytest.raises(values.NotTextError):
        values.text(value)


@pytest.mark.parametrize(
    ("lines", "first", "everything"),
    [
        ("join", "a bell of brass", None),
        ("first", "a bell", None),
        ("captions", "a bell", ["a bell", "of brass"]),
    ],
)
def test_lines_of_a_text_file_are_what_the_source_says(tmp_path, lines, first, everything):
    text = "\ufeffa bell\r\n\r\n of brass \n".encode()
    pool = tars(tmp_path, [{"txt": text}], Texts(lines=lines))
    assert pool.table.select(["caption", "captions"]).to_pylist() == [
        {"caption": first, "captions": everything}
    ]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.jpg").write_bytes(jpeg())
    (tmp_path / "folder/a.txt").write_bytes(text)
    (made,) = read_folder(tmp_path / "folder", 32, Limits(), Words(lines))
    assert isinstance(made, Sample)
    assert (made.caption, made.captions) == (first, everything)
    dataset.write(tmp_path / "stored", [made], shard_size=1, max_drop_fraction=0.0)
    with tarfile.open(tmp_path / "stored/00000.tar") as out:
        member = out.extractfile("a.json")
        assert member is not None
        facts = json.load(member)
    assert facts["captions"] == (everything or [first])


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
@pytest.mark.parametrize("inner", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_a_list_of_captions_is_several_captions_in_a_table(tmp_path, kind, inner):
    given = [["a bell", "a brass bell", None], ["a car"], [], None]
    if inner == pa.binary():
        given = [one and [text and text.encode() for text in one] for one in given]
    column = pa.array(given, kind(inner))
    made = table(tmp_path, {"TEXT": column})
    assert made.captions == ["a bell", "a car"]
    assert made.table["captions"].to_pylist() == [["a bell", "a brass bell"], None]
    assert ledger(made) == [("000000002", "no caption"), ("000000003", "no caption")]


def test_a_list_of_captions_is_several_captions_in_a_tar(tmp_path):
    many = ["a bell", "a brass bell"]
    made = tars(
        tmp_path,
        [
            said(caption=many),
            said(captions=many),
            said(caption={"en": "a bell"}),
            said(caption=[["a bell"]]),
            {"txt": b"a car", **said(caption={"en": "a bell"})},
        ],
    )
    assert made.captions == ["a bell", "a bell", "a car"]
    assert made.table["captions"].to_pylist() == [many, many, None]
    assert ledger(made) == [("2", "unreadable caption"), ("3", "unreadable caption")]


def test_published_embeddings_keep_rows_whose_caption_is_a_list_or_none(tmp_path):
    for part in ("img_emb", "metadata"):
        (tmp_path / part).mkdir()
    np.save(tmp_path / "img_emb/img_emb_0.npy", np.eye(4, 16, dtype=np.float16))
    given = {
        "image_path": ["a", "b", "c\x07", "d"],
        "caption": [["a bell", "a brass bell"], ["a car"], ["a key"], None],
        "uid": ["1", "2", "3", None],
    }
    pq.write_table(pa.table(given), tmp_path / "metadata/metadata_0.parquet")
    options = Embeddings(source="embeddings", raw="data/none", url="none", uid="uid")
    in_place.write(
        tmp_path / "made", str(tmp_path), read_embeddings(str(tmp_path), options),
        max_drop_fraction=0.0,
    )  # fmt: skip
    made = manifest.read(tmp_path / "made", shards=False)
    assert made.captions == ["a bell", "a car", "a key", ""]
    assert made.table["captions"].to_pylist()[:2] == [["a bell", "a brass bell"], None]
    assert made.table["pool_uid"].to_pylist() == ["1", "2", "3", None]
    assert ledger(made) == [("000000002", "unsafe name"), ("d", "no caption")]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([3, 7, None, 3], pa.int64()),
        pa.array([3.0, 7.0, None, 3.0]),
        pa.array([3.0, 7.0, np.nan, 3.0]),
        pa.array([3, 7, None, 3], pa.decimal128(5, 0)),
        pa.array(["3", "7", "", "3"]).dictionary_encode(),
        pa.array(["\ufeff3", "7 ", None, "3"]),
        pa.array([b"3", b"7", None, b"3"], pa.binary_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_whole_numbers_are_labels_of_a_table(tmp_path, column):
    made = table(tmp_path, {"TEXT": list("abcd"), "label": column}, label="label")
    assert made.labels == ["3", "7", None, "3"]


def test_labels_and_uids_of_a_tars_json(tmp_path):
    stated = [3, 3.0, float("nan"), "bell", [3], {"a": 1}, True, 3.5]
    made = tars(
        tmp_path,
        [said(caption="x", label=one, uid=f"{at:032x}") for at, one in enumerate(stated)],
        Texts("label"),
    )
    assert made.labels == ["3", "3", None, "bell"]
    assert ledger(made) == [(str(key), "unreadable class") for key in range(4, 8)]
    assert made.table["pool_uid"].to_pylist() == [f"{at:032x}" for at in range(4)]


def test_captions_that_are_nan_are_none(tmp_path):
    with pytest.raises(ValueError, match="no usable sample"):
        table(tmp_path, {"TEXT": pa.array([np.nan, np.nan])})


@pytest.mark.parametrize(
    ("role", "column", "kind"),
    [
        ("caption", pa.array([{"en": "a bell"}]), "struct<en: string>"),
        ("caption", pa.array([True]), "bool"),
        ("label", pa.array([["bell"]]), "list<"),
        ("key", pa.array([0], pa.timestamp("s")), r"timestamp\["),
    ],
)
def test_a_column_of_another_type_is_an_error(tmp_path, role, column, kind):
    with pytest.raises(ValueError, match=f"t.parquet: column 'X' for {role} is {kind}"):
        table(tmp_path, {"TEXT": ["a"], "X": column}, **{role: "X"})


def test_a_value_that_is_no_text_is_a_line_of_the_ledger(tmp_path):
    made = table(tmp_path, {"TEXT": list("abc"), "label": [1.0, 1.5, 2.0]}, label="label")
    assert made.labels == ["1", "2"]
    (drop,) = dataset.read_drops(made.folder).to_pylist()
    assert (drop["reason"], drop["detail"]) == (
        "not text",
        "label: 1.5 is neither text nor a whole number",
    )


@pytest.mark.parametrize("letter", ["\u00a0", BLANK, "\u3000", "\u200d", "\u200b", "\u202e"])
def test_blanks_and_joiners_are_legal_in_keys(tmp_path, letter):
    made = table(tmp_path, {"TEXT": ["x"], "name": [f"a{letter}b"]}, key="name")
    assert made.table["key"].to_pylist() == [f"a{letter}b"]
    one = Sample(f"a{letter}b", jpeg(), "jpg", "x", None, 40, 24, "s")
    dataset.write(tmp_path / "stored", [one], shard_size=1, max_drop_fraction=0.0)
    assert dataset.read(tmp_path / "stored").table["key"].to_pylist() == [f"a{letter}b"]


def test_control_characters_in_keys_are_a_line_of_the_ledger(tmp_path):
    made = table(tmp_path, {"TEXT": ["x", "y"], "name": ["a\x1bb", "c"]}, key="name")
    assert made.table["key"].to_pylist() == ["c"]
    assert ledger(made) == [("000000000", "unsafe name")]
    keys = ("a\x1bb", "a\ud83db", "c")
    samples = [Sample(key, jpeg(), "jpg", "x", None, 40, 24, "s") for key in keys]
    dataset.write(tmp_path / "stored", samples, shard_size=9, max_drop_fraction=1.0)
    assert ledger(dataset.read(tmp_path / "stored")) == [
        (r"a\x1bb", "unsafe name"),
        (r"a\ud83db", "unsafe name"),
    ]


def test_a_label_that_no_class_list_has_fails_with_the_nearest(tmp_path):
    made = table(tmp_path, {"TEXT": list("abc"), "label": ["bel", "bell", "bel"]}, label="label")
    with pytest.raises(ValueError, match=r"1 of 2 classes .* 'bel' \(2\), .*'bell'"):
        prepare.check_labels(made, Path("raw"), KNOWN, Path("data/classes/mine.yaml"))
    assert not made.folder.exists()


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A study whose class list is `bell`, `car`, `key`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/classes").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("classes: mine\n")
    lines = [f"{name}: {{name: a {name}, names: [{name}]}}" for name in KNOWN]
    (tmp_path / "data/classes/mine.yaml").write_text("\n".join(lines))
    (tmp_path / "tars").mkdir()
    return tmp_path / "tars"


def test_a_cls_is_a_position(listed, tmp_path):
    (listed / "classnames.txt").write_text("\ufeffa key\nbell\n")
    assert webdataset.positions(str(listed), "id") == ()
    assert webdataset.positions(str(listed), "index") == ("bell", "car", "key")
    found = webdataset.positions(str(listed), "classnames.txt")
    assert found == ("key", "bell")
    members = [{"cls": one, "txt": b"x"} for one in (b"1", b"0\n", b"2", b"-1", b"key")]
    made = tars(tmp_path, members, Texts(classes=found))
    assert made.labels == ["bell", "key"]
    assert ledger(made) == [(key, "unreadable class") for key in "234"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("bell\ncra\n", "line 2: 'cra' is no class of .*'car'"),
        ("bell\na bell\n", "lines 1 and 2 are both the class 'bell'"),
        ("bell\n\ncar\n", "line 2: ''"),
    ],
)
def test_lines_that_are_no_classes_are_errors(listed, lines, message):
    (listed / "classnames.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        webdataset.positions(str(listed), "classnames.txt")
    with pytest.raises(FileNotFoundError, match=r"names\.txt: not found"):
        webdataset.positions(str(listed), "names.txt")


def odd() -> dict[str, tuple[bytes, str]]:
    """Pictures that a person sees otherwise than a plain decoder shows them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 60
    clear = np.full((24, 40, 4), 200, np.uint8)
    clear[:9, :, 3] = 0
    return {
        "turned": (jpeg(exif=exif), "jpg"),
        "deep": (encoded(Image.fromarray(grey)), "png"),
        "clear": (encoded(Image.fromarray(clear)), "png"),
    }


def opaque() -> bytes:
    return encoded(Image.fromarray(np.full((24, 40, 4), 255, np.uint8)))


def plain(content: bytes) -> np.ndarray:
    """What any other tool sees."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("name", list(odd()))
def test_imagefolder_stores_what_a_person_sees(tmp_path, name):
    content, end = odd()[name]
    (tmp_path / "raw/bell").mkdir(parents=True)
    (tmp_path / f"raw/bell/a.{end}").write_bytes(content)
    (tmp_path / "raw/bell/b.jpg").write_bytes(jpeg())
    (tmp_path / "raw/bell/c.png").write_bytes(opaque())
    options = ImageFolder(source="imagefolder", raw="raw")
    found = list(read_imagefolder(tmp_path / "raw", KNOWN, options, Limits()))
    dataset.write(tmp_path / "made", found, shard_size=9, max_drop_fraction=0.0)
    made = dataset.read(tmp_path / "made")
    stored = dict(made.images())
    seen = picture.decode(content)
    assert np.array_equal(plain(stored[0]), np.asarray(seen))
    assert [stored[1], stored[2]] == [jpeg(), opaque()]
    assert made.table["converted"].to_pylist() == [True, False, False]
    assert made.table["uid"].to_pylist()[:2] == [dataset.uid(content), dataset.uid(jpeg())]
    row = made.table.slice(0, 1).to_pylist()[0]
    assert (row["width"], row["height"]) == seen.size
    assert made.image([0]) == [stored[0]]


@pytest.mark.parametrize("decode", ["header", "draft", "full"])
@pytest.mark.parametrize("name", list(odd()))
def test_tars_say_what_is_converted_and_exports_write_it(tmp_path, name, decode):
    content, end = odd()[name]
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars/0.tar", "w") as out:
        for key, (image, kind) in enumerate([(content, end), (jpeg(), "jpg"), (opaque(), "png")]):
            for ending, data in ((kind, image), ("txt", b"x")):
                header = tarfile.TarInfo(f"{key}.{ending}")
                header.size = len(data)
                out.addfile(header, io.BytesIO(data))
    where, limits = str(tmp_path / "tars"), Limits(decode=decode)
    parts = webdataset.parts(where, "*.tar", Texts(), limits, Engine(), "pool")
    in_place.write(tmp_path / "made", where, parts, max_drop_fraction=0.0)
    pool = manifest.read(tmp_path / "made")
    assert pool.table["converted"].to_pylist() == [True, False, False]
    assert dict(pool.images())[0] == content
    row = pool.table.slice(0, 1).to_pylist()[0]
    seen = picture.decode(content)
    assert (row["uid"], (row["width"], row["height"])) == (dataset.uid(content), seen.size)
    chosen = split.everything(len(pool))
    shared = export_split.alike(pool, chosen)
    first, second, third = export_split.of_part(pool, chosen, export_split.Part(0, 0, 2), shared)
    # all by one name, that of the first picture which stays as it came
    assert {one.extension for one in (first, second, third)} == {"jpg"}
    assert Image.open(io.BytesIO(first.image)).format == "PNG"
    assert np.array_equal(plain(first.image), np.asarray(seen))
    assert first.origin["uid"] == dataset.uid(content)
    assert (second.image, third.image) == (jpeg(), opaque())


def test_a_class_counts_once_a_row_whichever_caption_names_it(tmp_path):
    column = [["a bell", "my bell", "a car"], ["nothing"], ["a thing", "one key"]]
    made = table(tmp_path, {"TEXT": column})
    classes = {name: {"names": [name], "negatives": []} for name in KNOWN}
    task = Mentions(made.folder, classes, Frequency(matcher="substring", wordnet="none"))
    task.start()
    found = task(0)
    assert list(zip(found["row"].tolist(), found["class"].tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (2, 2),
    ]
