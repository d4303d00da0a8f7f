"""Files of data sets on the hub, by the real client, against a server of this machine."""

import io
import os
import re
from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipcause.data import cells, hub, listing, place
from tests import hub_server
from tests.hub_server import COMMIT, Hub, Repo

OTHER = "0" * 40
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
CC3M = f"hf://datasets/pixparse/cc3m-wds@{COMMIT}"
GATED = f"hf://datasets/timm/imagenet-1k-wds@{COMMIT}"
FIRST, SECOND = (bytes(range(256)) * size for size in (4000, 3000))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hub]:
    files = {
        "README.md": b"a card\n",
        "cc3m-train-0000.tar": FIRST,
        "cc3m-train-0001.tar": SECOND,
        "_info.json": b"{}",
    }
    repos = {
        "pixparse/cc3m-wds": Repo(files, page=3),
        "timm/imagenet-1k-wds": Repo({"imagenet1k-train-0000.tar": FIRST}, gated=TOKEN),
    }
    monkeypatch.setattr(hub, "_trees", {})
    monkeypatch.setattr(hub, "_gated", set())
    monkeypatch.setattr(hub, "WAIT", 0.0)
    # of 10 MB; what came of the piece in which a connection broke is lost
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path / "hub"))
    monkeypatch.delenv(hub.TOKEN, raising=False)
    monkeypatch.delenv(hub.LIMIT, raising=False)
    with hub_server.serving(repos) as serving:
        monkeypatch.setenv("HF_ENDPOINT", serving.url)
        yield serving


def read(url: str) -> bytes:
    with place.opened(url) as stream:
        return stream.read()


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "hub").rglob("*") if path.is_file())


def test_a_commit_is_listed_page_by_page_and_its_files_read(server: Hub) -> None:
    """Tars come by way of the storage, other files from the hub itself."""
    listed = place.listing(CC3M)
    assert list(listed) == ["README.md", "_info.json", "cc3m-train-0000.tar", "cc3m-train-0001.tar"]
    assert listed["cc3m-train-0000.tar"].bytes == len(FIRST)
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST
    assert read(f"{CC3M}/README.md") == b"a card\n"
    assert place.beginning(f"{CC3M}/_info.json") == b"{}"
    spans = [(10, 20), (300, 305)]
    assert place.pieces(f"{CC3M}/cc3m-train-0001.tar", spans) == [SECOND[a:b] for a, b in spans]
    assert place.facts(f"{CC3M}/cc3m-train-0001.tar").bytes == len(SECOND)


def test_what_was_fetched_is_read_without_the_hub(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(f"{CC3M}/cc3m-train-0000.tar")
    monkeypatch.setattr(hub, "_trees", {})  # another process
    before = len(server.asked)
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST
    assert len(server.asked) == before


def test_parquet_is_read_as_the_hub_stores_pictures(server: Hub) -> None:
    """`image: {bytes, path}` in row groups, in `data/train-00000-of-00001.parquet`."""
    pictures = [{"bytes": bytes([n]) * 50, "path": f"{n}.jpg"} for n in range(6)]
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": pictures, "label": range(6)}), stream, row_group_size=2)
    name = "data/train-00000-of-00001.parquet"
    server.repos["pixparse/cc3m-wds"].files[name] = stream.getvalue()
    url = f"{CC3M}/{name}"
    assert list(place.listing(f"{CC3M}/data")) == ["train-00000-of-00001.parquet"]
    known = cells.footer(url, place.facts(url).bytes)
    with cells.opened(url, known) as file:
        assert file.read_row_group(1).to_pydict() == {"image": pictures[2:4], "label": [2, 3]}


@pytest.mark.parametrize("branch", ["", "@main", f"@{COMMIT[:7]}", "@refs/pr/1"])
def test_only_a_commit_is_read(server: Hub, branch: str) -> None:
    url = f"hf://datasets/pixparse/cc3m-wds{branch}/cc3m-train-0000.tar"
    with pytest.raises(ValueError, match=r"all 40 digits.*hub pin"):
        place.listing(url)
    with pytest.raises(ValueError, match=re.escape(url)):
        place.check(url)
    assert not server.asked


def test_a_fetch_goes_on_where_it_broke_off(server: Hub) -> None:
    repo = server.repos["pixparse/cc3m-wds"]
    repo.fail = ["cut", "cut"]
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST
    ranges = [said for which, _, _, said in server.asked if which == "s"]
    half, quarter = len(FIRST) // 2, len(FIRST) // 2 + len(FIRST) // 4
    assert ranges == ["", f"bytes={half}-", f"bytes={quarter}-"]


def test_a_fetch_that_was_given_up_goes_on_in_the_next_process(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = server.repos["pixparse/cc3m-wds"]
    repo.fail = ["cut", *[503] * 50]
    with pytest.raises(ConnectionError, match=r"cc3m-train-0000\.tar: the hub fails \(503\)"):
        read(f"{CC3M}/cc3m-train-0000.tar")
    repo.fail = []
    server.asked.clear()
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST
    ranges = [said for which, _, _, said in server.asked if which == "s"]
    assert ranges == [f"bytes={len(FIRST) // 2}-"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_failures_that_pass_are_tried_again(server: Hub, status: int) -> None:
    repo = server.repos["pixparse/cc3m-wds"]
    repo.fail.extend([status, status])
    repo.fail_lists.append(status)
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST


def test_too_many_requests_is_one_line(server: Hub) -> None:
    server.repos["pixparse/cc3m-wds"].fail = [429] * 50
    with pytest.raises(ConnectionError, match=r"too many requests \(429\)") as caught:
        read(f"{CC3M}/cc3m-train-0000.tar")
    assert "\n" not in str(caught.value)


def test_a_gated_set_says_where_its_terms_are(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 without a token, 403 with one of an account that has not accepted them."""
    url = f"{GATED}/imagenet1k-train-0000.tar"
    page = re.escape(f"{server.url}/datasets/timm/imagenet-1k-wds")
    with pytest.raises(PermissionError, match=rf"gated \(401\): accept.*{page}.*HF_TOKEN"):
        read(url)
    monkeypatch.setenv(hub.TOKEN, "hf_another")
    with pytest.raises(PermissionError, match=rf"gated \(403\): accept.*{page}") as caught:
        read(url)
    assert "hf_another" not in str(caught.value)


def test_a_token_goes_to_the_hub_alone_and_only_where_it_is_needed(
    server: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv(hub.TOKEN, TOKEN)
    server.repos["timm/imagenet-1k-wds"].fail = ["cut", 503]
    assert read(f"{GATED}/imagenet1k-train-0000.tar") == FIRST
    read(f"{CC3M}/cc3m-train-0001.tar")
    listing.files(GATED)
    with_token = {(which, "imagenet" in path) for which, path, token, _ in server.asked if token}
    assert with_token == {("hub", True)}
    # nor is it in what is said or kept
    everything = caplog.text + "".join(capfd.readouterr())
    for path in (tmp_path / "hub").rglob("*"):
        everything += str(path)
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
    assert TOKEN not in everything


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"{CC3M}/cc3m-train-00.tar", r"not found in that commit; did you mean 'cc3m-train-000"),
        (f"hf://datasets/pixparse/cc3m-wds@{OTHER}/x.tar", rf"no such commit.*newest is {COMMIT}"),
        (f"hf://datasets/pixparse/cc3-wds@{COMMIT}/x.tar", r"no such data set.*'pixparse/cc3m-wds"),
    ],
)
def test_what_is_not_there_has_its_nearest_name(server: Hub, url: str, said: str) -> None:
    with pytest.raises(FileNotFoundError, match=said) as caught:
        read(url)
    assert "\n" not in str(caught.value)


def test_a_token_that_is_not_taken_is_said(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hub.TOKEN, TOKEN)
    server.repos["pixparse/cc3m-wds"].fail_lists = [401, 401]
    with pytest.raises(PermissionError, match=r"does not take the token of HF_TOKEN \(401\)"):
        place.listing(CC3M)


def test_without_a_way_to_the_hub_one_line_says_so(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        place.listing(CC3M)


def test_content_that_is_not_the_commits_is_an_error_that_names_the_file(
    server: Hub, tmp_path: Path
) -> None:
    """Of the same size, under the same name and commit."""
    repo = server.repos["pixparse/cc3m-wds"]
    repo.told = {"cc3m-train-0000.tar": FIRST[:-1] + b"?"}
    with pytest.raises(ValueError, match=r"cc3m-train-0000\.tar: changed under its commit"):
        read(f"{CC3M}/cc3m-train-0000.tar")
    assert not any((tmp_path / "hub/files").rglob("*.*"))
    repo.told = {"README.md": b"a curd\n"}
    hub.listing(CC3M, again=True)
    with pytest.raises(ValueError, match=r"README\.md: changed under its commit"):
        read(f"{CC3M}/README.md")


def test_a_listing_that_changed_under_its_commit_stops_the_stage(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(f"places: {{pool: '{CC3M}'}}\n")
    assert "4 files: 4 new" in listing.write("pool")
    assert "as they were" in listing.write("pool")
    before = (tmp_path / "data/places/pool").read_text()
    server.repos["pixparse/cc3m-wds"].told = {"cc3m-train-0001.tar": FIRST}
    with pytest.raises(ValueError, match=r"cc3m-train-0001\.tar: changed under its commit"):
        listing.write("pool")
    assert (tmp_path / "data/places/pool").read_text() == before


def test_a_part_of_another_content_is_begun_anew(server: Hub, tmp_path: Path) -> None:
    """What a damaged disk or an earlier version of the file left is no part of it."""
    part = tmp_path / "hub/parts" / hub.file(f"{CC3M}/cc3m-train-0000.tar").hash
    part.parent.mkdir()
    part.write_bytes(b"something else")
    assert read(f"{CC3M}/cc3m-train-0000.tar") == FIRST
    assert not part.exists()


def test_the_folder_holds_what_is_allowed(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read last stays; a file that is larger than all is no reason to remove others."""
    monkeypatch.setenv(hub.LIMIT, str((len(FIRST) + 100) / 1e9))
    read(f"{CC3M}/README.md")
    read(f"{CC3M}/cc3m-train-0000.tar")
    os.utime(hub.fetched(f"{CC3M}/cc3m-train-0000.tar"), ns=(0, 0))
    hub.fetched(f"{CC3M}/README.md")
    assert read(f"{CC3M}/cc3m-train-0001.tar") == SECOND
    here = {name for name, said in hub.listing(CC3M).items() if hub.have(said)}
    assert here == {"README.md", "cc3m-train-0001.tar"}
    monkeypatch.setenv(hub.LIMIT, "0.0001")
    with pytest.raises(ValueError, match=r"1,024,000 bytes, and CLIPCAUSE_HUB_GB allows 100,000"):
        read(f"{CC3M}/cc3m-train-0000.tar")
    assert hub.have(hub.file(f"{CC3M}/README.md"))
    monkeypatch.setenv(hub.LIMIT, "much")
    with pytest.raises(ValueError, match="CLIPCAUSE_HUB_GB=much"):
        read(f"{CC3M}/cc3m-train-0000.tar")


def test_names_of_what_is_kept_are_hashes(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name that the hub says is a path here, and a hash that is none is refused."""
    read(f"{CC3M}/README.md")
    read(f"{CC3M}/cc3m-train-0000.tar")
    trees = f"pixparse--cc3m-wds@{COMMIT}.json"
    assert all(hub.HASH.fullmatch(n.removesuffix(".lock")) or n == trees for n in kept(tmp_path))
    said = Repo.entry(server.repos["pixparse/cc3m-wds"], "README.md") | {"oid": "../../outside"}
    monkeypatch.setattr(Repo, "entry", lambda *_: said)
    with pytest.raises(ValueError, match=r"outside' is no hash"):
        place.listing(CC3M, again=True)
