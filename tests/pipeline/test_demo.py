"""The demo runs to its end on pydicom's files and generated slices, and its page stands alone."""

import base64
import io
import json
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from medseal.cli import main
from medseal.errors import ConfigurationError
from medseal.pipeline.demo import STEPS, Folders, demo

MAX_SECONDS = 60
_PNG = "data:image/png;base64,"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        if tag == "img":
            self.pictures.append(values)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@dataclass(frozen=True)
class _Finished:
    folders: Folders
    code: object
    steps: list[dict[str, object]]
    end: dict[str, object]
    page: _Page
    source: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> _Finished:
    folders = Folders(output=tmp_path_factory.mktemp("demo") / "out")
    command = "from medseal.cli import main; main()"
    done = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", command, "demo", "--json", "--output", str(folders.output)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    source = folders.report.read_text()
    return _Finished(
        folders=folders,
        code=done.returncode,
        steps=lines[:-1],
        end=lines[-1],
        page=_Page(source),
        source=source,
    )


def test_every_expectation_held(finished: _Finished) -> None:
    assert [step["step"] for step in finished.steps] == list(STEPS)
    failed = [step for step in finished.steps if not step["ok"]]
    assert failed == []
    assert finished.code == 0
    assert finished.end["ok"] is True
    found = re.search(r"(\d+) of (\d+) expectations held", finished.page.text)
    assert found is not None
    assert found[1] == found[2]
    assert "Not as expected" not in finished.page.text


def test_it_is_quick(finished: _Finished) -> None:
    assert sum(float(str(step["seconds"])) for step in finished.steps) < MAX_SECONDS


def test_every_picture_decodes_and_is_described(finished: _Finished) -> None:
    # Six releases in four pictures each, the attacked copies, the heat maps.
    assert len(finished.page.pictures) > 50
    for picture in finished.page.pictures:
        address = picture["src"] or ""
        assert address.startswith(_PNG)
        with Image.open(io.BytesIO(base64.b64decode(address.removeprefix(_PNG)))) as image:
            image.load()
            assert image.format == "PNG"
            assert (str(image.width), str(image.height)) == (picture["width"], picture["height"])
        assert picture["alt"]


def test_the_page_needs_nothing_else(finished: _Finished) -> None:
    assert re.search(r"https?:|//[a-z]+\.|@import|url\(", finished.source) is None
    assert finished.page.tags.isdisjoint({"script", "link", "iframe", "object", "embed"})
    assert all(address.startswith(_PNG) for address in finished.page.addresses)


def test_the_page_names_what_happened(finished: _Finished) -> None:
    for words in (
        "authentic",
        "transcoded",
        "tampered",
        "unverifiable",
        "refused (expired)",
        "refused (revoked)",
        "by its release-file, stored values equal",
        "takes the watermark out of a release of an image that was erased",
        "PayloadAuthenticationError",
        "CheckpointError",
        "ReceiptError",
        "Not a medical device",
    ):
        assert words in finished.page.text


def test_the_page_holds_no_value_of_an_identifying_attribute(finished: _Finished) -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    names = re.findall(r"pydicom/(\S+\.dcm)", finished.page.text)
    assert names
    for name in set(names):
        dataset = pydicom.dcmread(folder / name, stop_before_pixels=True)
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SOPInstanceUID"):
            value = str(dataset.get(keyword, ""))
            if len(value) > 3:
                assert value not in finished.page.text, keyword


def test_the_folder_lets_the_user_go_on(
    finished: _Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = finished.folders
    assert stat.S_IMODE(folders.passphrase.stat().st_mode) == 0o600
    assert finished.end["report"] == str(folders.report)
    assert finished.end["workspace"] == str(folders.workspace)
    release = next(folders.releases.glob("*.dcm"))
    arguments = [
        "--workspace",
        str(folders.workspace),
        "--passphrase-file",
        str(folders.passphrase),
    ]
    with pytest.raises(SystemExit, match="0"):
        main(["verify", str(release), "--json", *arguments])
    assert json.loads(capsys.readouterr().out)["verdict"] == "authentic"


def test_no_opened_original_is_left(finished: _Finished) -> None:
    assert list(finished.folders.opened.iterdir()) == []


def test_the_strip_fits_a_readme(finished: _Finished) -> None:
    assert finished.folders.picture.stat().st_size <= 250_000
    with Image.open(finished.folders.picture) as picture:
        assert picture.width > 4 * picture.height * 0.9


# --- The folder -------------------------------------------------------------------------------


def test_a_folder_of_its_own_is_replaced(tmp_path: Path) -> None:
    folders = Folders(output=tmp_path / "out")
    # An interrupted run: closed after sealing.
    interrupted = demo(folders.output)
    assert [step.name for step in islice(interrupted, 2)] == ["gather", "seal"]
    interrupted.close()  # type: ignore[attr-defined]
    before = folders.passphrase.read_text()
    mine = folders.output / "notes.txt"
    mine.write_text("keep me")
    again = demo(folders.output)
    assert all(step.held for step in islice(again, 2))
    again.close()  # type: ignore[attr-defined]
    assert folders.passphrase.read_text() != before
    assert mine.read_text() == "keep me"


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    treasure = tmp_path / "workspace"
    treasure.mkdir()
    (treasure / "data").write_text("mine")
    with pytest.raises(ConfigurationError, match="was not made by the demo"):
        next(demo(tmp_path))
    assert (treasure / "data").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigurationError, match="was not made by the demo"):
        next(demo(tmp_path / "out"))


# --- Given data -------------------------------------------------------------------------------


def test_unreadable_files_are_shown_failing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "noise.dcm").write_bytes(bytes(range(256)) * 9)
    (data / "text.png").write_text("no picture")
    Image.new("L", (200, 200), 90).save(data / "flat.png")
    # The output below the data is no image of theirs.
    run = demo(data / "out", data=data)
    gathered, sealed = islice(run, 2)
    run.close()  # type: ignore[attr-defined]
    assert "unreadable 3" in gathered.detail
    assert "3 refused with one line each" in sealed.detail
    assert sealed.held


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(ConfigurationError, match="no image below it"):
        next(demo(tmp_path / "out", data=data))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        next(demo(tmp_path / "out", data=tmp_path / "data"))


def test_nothing_loads_torch_before_it_is_needed() -> None:
    code = "import sys, medseal.cli.demo; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603 (ours)
