"""Data come from the web: nothing in them is run, written to, followed, fetched or believed."""

import ast
import io
import resource
import socket
import tarfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from clipcause.data import dataset
from clipcause.runtime import shard_cache as cache
from stages import prepare
from tests import web_tars

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for name in ("stages", "clipcause", "benchmarks") for path in (ROOT / name).rglob("*.py")
)
VERSIONS = yaml.safe_load((ROOT / "params.yaml").read_text())["versions"]

# modules that run what they read
FORBIDDEN = {"cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# calls that do, unless the argument beside them makes them harmless; ".x" is a method of anything
CALLS: dict[str, tuple[str, bool] | None] = {
    "eval": None,
    "exec": None,
    "pickle.load": None,
    "pickle.loads": None,
    "pickle.Unpickler": None,
    "torch.load": ("weights_only", True),
    "yaml.full_load": None,
    "yaml.unsafe_load": None,
    ".extractall": None,
    ".extract": None,
    ".read_pickle": None,
}
# arguments that are never given
ARGUMENTS = {("allow_pickle", True), ("shell", True), ("weights_only", False), ("verify", False)}
SAFE = {"yaml.SafeLoader", "yaml.CSafeLoader"}
# what the stage and its own workers say to each other, in memory
MESSAGES = {"clipcause/runtime/engine/cluster.py": {"pickle.loads()", "pickle.Unpickler"}}


def dangers(code: str) -> list[str]:
    """What a module does that data from the web must never reach."""
    tree = ast.parse(code)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {ast.unparse(base) for base in node.bases} for node in classes}
    safe = SAFE | {name for name, over in bases.items() if over & SAFE}
    found = [base for over in bases.values() for base in over if base in CALLS]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {f"{module}.{alias.name}" for alias in node.names}
            found += [module] if module.split(".")[0] in FORBIDDEN else []
            found += sorted(names & {*CALLS, "yaml.load", "yaml.load_all"})
        elif isinstance(node, ast.Call):
            found += _dangerous(node, safe)
    return found


def _dangerous(node: ast.Call, safe: set[str]) -> list[str]:
    name = ast.unparse(node.func)
    given = {
        (k.arg, k.value.value) for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)
    }
    found = [f"{name}={value}" for name, value in given if (name, value) in ARGUMENTS]
    # of a method the name, of a function the whole name: model.eval() is none
    called = {name, "." + name.rpartition(".")[2]}
    found += [f"{name}()" for call in called & CALLS.keys() if CALLS[call] not in given]
    if name in ("yaml.load", "yaml.load_all"):
        loaders = {ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"}
        found += [] if loaders and loaders <= safe else [f"{name}()"]
    return found


def test_the_search_for_dangers_finds_them():
    code = """
import pickle
from joblib import load
from pickle import loads
import numpy as np, torch, yaml
class Safe(yaml.SafeLoader): pass
class Odd(pickle.Unpickler): pass
np.load("x", allow_pickle=True)
pickle.load(x)
pickle.dumps(x)
torch.load("x")
torch.load("x", weights_only=False)
torch.load("x", weights_only=True)
yaml.load(text)
yaml.load(text, Loader=yaml.Loader)
yaml.load(text, Loader=Safe)
yaml.safe_load(text)
tar.extractall()
model.eval()
eval(text)
subprocess.run(x, shell=True)
"""
    assert sorted(dangers(code)) == [
        *("allow_pickle=True", "eval()", "joblib", "pickle.Unpickler", "pickle.load()"),
        *("pickle.loads", "shell=True", "tar.extractall()", "torch.load()", "torch.load()"),
        *("weights_only=False", "yaml.load()", "yaml.load()"),
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_can_run(path):
    allowed = MESSAGES.get(path.relative_to(ROOT).as_posix(), set())
    assert set(dangers(path.read_text())) <= allowed


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a pool to be prepared, and beside it a folder that nobody may touch."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "kept"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.jpg").write_bytes(web_tars.images(1)[0])
    (tmp_path / "outside/secret.txt").write_text("a secret")
    pool = {"source": "webdataset", "raw": "data/none", "place": str(tmp_path / "tars")}
    settings = {"image_size": 32, "shard_size": 2, "max_drop_fraction": 0.95}
    stated = {"versions": VERSIONS, "prepare": settings, "datasets": {"pool": pool}, "tests": {}}
    (work / "params.yaml").write_text(yaml.safe_dump(stated))
    return tmp_path


def ledger() -> set[tuple[str, str]]:
    drops = dataset.read_drops(Path("data/pool")).to_pylist()
    return {(drop["key"], drop["reason"]) for drop in drops}


def hostile(outside: Path) -> bytes:
    """A tar with every way out of a folder, and one good sample."""
    stream = io.BytesIO()
    image, text = web_tars.images(1)[0], b"hostile"
    with tarfile.open(fileobj=stream, mode="w") as tar:

        def add(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = ""):
            header = tarfile.TarInfo(name)
            header.size, header.type, header.linkname = len(content), kind, to
            tar.addfile(header, io.BytesIO(content))

        for key in (
            "../../out",
            "a/../../../out",
            f"{outside}/out",
            "C:\\out",
            "a\nb",
            "a\x1b[2J",
        ):
            add(f"{key}.jpg", image)
            add(f"{key}.txt", text)
        add("door", kind=tarfile.SYMTYPE, to=str(outside))
        add("door/through.jpg", image)
        add("door/through.txt", text)
        add("secret.jpg", kind=tarfile.SYMTYPE, to=str(outside / "secret.jpg"))
        add("secret.txt", kind=tarfile.LNKTYPE, to=str(outside / "secret.txt"))
        add("tty.jpg", kind=tarfile.CHRTYPE)
        add("disk.jpg", kind=tarfile.BLKTYPE)
        add("pipe.jpg", kind=tarfile.FIFOTYPE)
        add("good.jpg", image)
        add("good.txt", b"good")
    return stream.getvalue()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_no_name_in_a_tar_is_ever_used_as_a_path(here):
    web_tars.put(str(here / "tars"), {"0.tar": hostile(here / "outside")})
    before = files(here)
    prepare.main("pool")
    pool = dataset.read(Path("data/pool"))
    # a name through a link is only a name: nothing is there
    assert pool.table["key"].to_pylist() == ["door/through", "good"]
    assert dict(pool.images())[1] == web_tars.images(1)[0]
    made = files(here) - before
    own = {f"work/data/pool/{name}.parquet" for name in ("manifest", "members", "drops")}
    own |= {f"work/splits/all/pool/{name}" for name in ("rows.roaring", "card.json")}
    own |= {"work/metrics/prepare/pool.json"}
    assert {name for name in made if not name.startswith("kept/")} == own
    assert all(Path(name).suffix == ".table" for name in made - own)
    unsafe = {
        "../../out",
        "a/../../../out",
        f"{here}/outside/out",
        "C:\\out",
        "a\nb",
        "a\x1b[2J",
    }
    links = {"door", "secret.jpg", "secret.txt", "tty.jpg", "disk.jpg", "pipe.jpg"}
    assert ledger() == {(key, "unsafe name") for key in unsafe} | {
        (key, "not a file") for key in links
    }


def test_names_that_are_no_text_are_in_the_ledger(here):
    name = b"\xff\xfe\xfd"
    members = [("0000.jpg", web_tars.images(1)[0]), ("0000.txt", b"x")]
    content = web_tars.members_tar([*members, *web_tars.flat({"good": web_tars.sample(0)})])
    for old in (b"0000.jpg", b"0000.txt"):
        at = content.index(old)
        block = bytearray(content[at : at + 512])
        block[:4] = name + b"0"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        content = content[:at] + bytes(block) + content[at + 512 :]
    web_tars.put(str(here / "tars"), {"0.tar": content})
    prepare.main("pool")
    assert ledger() == {("\\udcff\\udcfe\\udcfd0", "unsafe name")}


def test_a_url_in_the_metadata_is_never_opened(here, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    web_tars.pool(str(here / "tars"), {"0.tar": 6, "1.tar": 3})
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    prepare.main("pool")
    assert len(dict(dataset.read(Path("data/pool")).images())) == 9
    assert ledger() == set()


def bomb(kind: str, side: int) -> bytes:
    """A small file of a large picture: one colour."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 255).save(stream, kind)
    return stream.getvalue()


def test_image_bombs_take_no_memory(here):
    bombs = {f"bomb{n}": {"png": bomb("PNG", 9_000), "txt": b"boom"} for n in range(4)} | {
        "last": {"jpg": bomb("JPEG", 9_000), "txt": b"boom"}
    }
    web_tars.put(
        str(here / "tars"),
        {"0.tar": web_tars.tar_of(bombs | {"z": web_tars.sample(0)})},
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare.main("pool")
    # a decoded one has 81 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10
    assert ledger() == {(key, "too large") for key in bombs}


def test_a_member_that_claims_eight_gigabytes_takes_no_memory(here):
    header = tarfile.TarInfo("huge.jpg")
    header.size = 8 << 30
    good = web_tars.members_tar(web_tars.flat({"good": web_tars.sample(0)}))
    content = good.rstrip(b"\0")
    content += bytes(-len(content) % 512) + header.tobuf(tarfile.GNU_FORMAT) + bytes(5000)
    web_tars.put(str(here / "tars"), {"0.tar": content})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare.main("pool")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10
    assert ledger() == {("", "truncated tar")}
    assert len(dict(dataset.read(Path("data/pool")).images())) == 1
