"""Names that are no text, pipes, devices and full disks: one line, and nothing half done."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medseal.cli.options import on_one_line

Run = Callable[..., Any]
NO_TEXT = "a\udcff"
PROGRAM = [sys.executable, "-c", "from medseal.cli import main; main()"]


def is_one_line(text: str) -> bool:
    return text.startswith("medseal: ") and text.endswith("\n") and text.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["open", NO_TEXT, "--output", "out"],
        ["open", "IMAGE", "--as", NO_TEXT, "--output", "out"],
        ["classify", NO_TEXT],
        ["release", "IMAGE", "--to", NO_TEXT, "--output", "out"],
        ["access", "grant", "ann", "IMAGE", "--action", "view", "--purpose", NO_TEXT],
        ["access", "break-glass", "ann", "IMAGE", "--reason", NO_TEXT],
        ["erase", "--patient", NO_TEXT, "--yes"],
        ["ledger", "prove", NO_TEXT, "--output", "out"],
        ["cipher", "encrypt", "out", "--output", "out", "--recipient", NO_TEXT],
    ],
)
def test_words_that_are_no_text(medseal: Run, image_id: str, arguments: list[str]) -> None:
    finished = medseal(*(image_id if word == "IMAGE" else word for word in arguments))
    assert finished.code == 2
    assert "not UTF-8 text" in finished.err
    assert is_one_line(finished.err)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 65])
def test_a_name_is_checked_before_it_is_refused(medseal: Run, image_id: str, name: str) -> None:
    finished = medseal("open", image_id, "--as", name, "--output", "out")
    assert finished.code == 2
    assert "printable" in finished.err
    assert is_one_line(finished.err)


def test_breaking_the_glass_takes_a_reason(medseal: Run, image_id: str) -> None:
    medseal("access", "grant", "ann", image_id, "--action", "share")
    finished = medseal("access", "break-glass", "ann", image_id, "--reason", " ")
    assert finished.code == 2
    assert "--reason" in finished.err


@pytest.mark.parametrize("name", ["new\nline.dcm", "escape\x1b[31m.dcm", "bytes\udcff.dcm"])
@pytest.mark.usefixtures("image_id")
def test_odd_file_names_stay_on_one_line(medseal: Run, name: str) -> None:
    finished = medseal("seal", name, "--json")
    assert finished.code == 2
    assert is_one_line(finished.err)
    assert "\x1b" not in finished.err
    [line] = finished.json
    assert line["file"] == name


def test_on_one_line() -> None:
    assert on_one_line("Müller a\nb\x1b\u2028") == "Müller a\\nb\\x1b\\u2028"


@pytest.mark.parametrize(
    "arguments",
    [
        ["seal", "pipe"],
        ["verify", "pipe"],
        ["deid", "pipe", "--output", "out"],
        ["ledger", "verify", "pipe"],
        ["ledger", "verify", "file", "--log-key", "pipe"],
        ["seal", "/dev/zero"],
    ],
)
@pytest.mark.usefixtures("image_id")
def test_a_pipe_is_refused_and_not_waited_for(medseal: Run, arguments: list[str]) -> None:
    os.mkfifo("pipe")
    finished = medseal(*arguments)
    assert finished.code == 2
    assert "a pipe or a device" in finished.err


@pytest.mark.parametrize("place", ["folder", "pipe", "missing/out.dcm"])
@pytest.mark.parametrize("command", ["open", "release"])
def test_an_output_that_cannot_be_written_leaves_no_trace(
    medseal: Run, image_id: str, place: str, command: str
) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    to = ["--to", "ann"] if command == "release" else []
    finished = medseal(command, image_id, *to, "--output", place)
    assert finished.code == 1
    assert place in finished.err
    assert is_one_line(finished.err)
    assert Path("pipe").is_fifo()
    assert medseal("ledger", "status", "--json").json[0]["size"] == 2


def test_an_output_format_that_does_not_fit_is_named(medseal: Run, image_id: str) -> None:
    finished = medseal("release", image_id, "--to", "ann", "--output", "out.png")
    assert finished.code == 2
    assert finished.err.startswith("medseal: out.png: ")


@pytest.mark.usefixtures("image_id")
def test_a_file_that_is_no_receipt_is_named(medseal: Run, ct_file: Path) -> None:
    finished = medseal("ledger", "verify", ct_file)
    assert finished.code == 1
    assert str(ct_file) in finished.err
    assert is_one_line(finished.err)


@pytest.mark.parametrize(
    ("place", "reason"), [("/dev/full", "no space left"), (None, "not a directory")]
)
def test_what_the_system_refuses_is_one_line(image_id: str, place: str | None, reason: str) -> None:
    output = Path(place) if place is not None else Path("output")
    if place is not None and not output.is_char_device():
        pytest.skip(f"needs {place}, a device of Linux")
    if place is None:
        receipts = Path(".medseal/receipts")
        receipts.rename("moved")
        receipts.touch()
    command = [*PROGRAM, "open", image_id, "--output", "copy"]
    with output.open("w") as stream:
        done = subprocess.run(  # noqa: S603 (a constant of this file)
            command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert reason in done.stderr
    assert is_one_line(done.stderr)


@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-8:strict"])
@pytest.mark.usefixtures("image_id")
def test_output_in_any_encoding(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    name = os.fsdecode("Müller".encode() + b"\xff.dcm")
    for form in ([], ["--json"]):
        command = [*PROGRAM, "seal", name, *form]
        # The command is a constant of this file.
        done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr
    assert json.loads(done.stdout)["file"] == name


@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_catalogue_is_not_replaced_by_an_empty_one(
    medseal: Run, image_id: str, ct_file: Path, content: bytes | None
) -> None:
    catalogue = Path(".medseal/catalogue.sqlite")
    catalogue.unlink()
    if content is not None:
        catalogue.write_bytes(content)
    for arguments in (["ledger", "audit"], ["seal", ct_file], ["open", image_id, "--output", "x"]):
        finished = medseal(*arguments)
        assert finished.code == 1
        assert "restore it from a backup" in finished.err
        assert is_one_line(finished.err)


def test_an_image_without_its_entry_fails_the_audit(medseal: Run, image_id: str) -> None:
    with sqlite3.connect(".medseal/catalogue.sqlite") as connection:
        connection.execute("UPDATE images SET leaf = X'7b7d'")
    finished = medseal("ledger", "audit")
    assert finished.code == 1
    assert image_id in finished.err
    assert is_one_line(finished.err)


def test_a_damaged_receipt_is_made_again(medseal: Run, image_id: str, ct_file: Path) -> None:
    Path(f".medseal/receipts/{image_id}.receipt").write_bytes(b"junk")
    assert medseal("ledger", "prove", image_id, "--output", "fresh").code == 0
    assert medseal("verify", ct_file, "--receipt", "fresh").code == 0
