"""`medseal ledger audit` of an image and of a person: text, JSON lines and FHIR."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def used(medseal: Run, image_id: str) -> str:
    medseal("access", "grant", "ann", image_id, "--action", "view", "--purpose", "study 7")
    assert medseal("open", image_id, "--as", "ann", "--output", "a.dcm").code == 1
    opened = ("open", image_id, "--as", "ann", "--purpose", "study 7", "--output", "a.dcm")
    assert medseal(*opened).code == 0
    return image_id


def test_the_trail_as_a_table(medseal: Run, used: str) -> None:
    finished = medseal("ledger", "audit", used, "--names")
    header, *lines = finished.out.splitlines()
    assert finished.code == 0
    assert header.split() == [
        "entry", "time", "(UTC)", "event", "who", "role", "outcome", "purpose", "about",
    ]  # fmt: skip
    assert [line.split()[3] for line in lines] == ["seal", "grant", "refuse", "open"]
    assert "refused (purpose)" in lines[2]
    assert "allowed (granted 3)" in lines[3]
    assert "study-7" in lines[3]
    assert all("ann" in line for line in lines[1:])
    assert "4 entries, the proof of each verified" in finished.err
    assert "ann" not in medseal("ledger", "audit", used).out


def test_the_trail_as_json_with_proofs(medseal: Run, used: str) -> None:
    rows = medseal("ledger", "audit", used, "--proofs", "proofs", "--json").json
    assert [row["outcome"] for row in rows] == ["recorded", "recorded", "refused", "allowed"]
    for row in rows:
        [proof] = medseal("ledger", "verify", row["proof"], "--json").json
        assert (proof["index"], proof["kind"]) == (row["index"], row["kind"])
    [person] = {row["actor"] for row in medseal("ledger", "audit", "ann", "--json").json[2:]}
    assert person == rows[2]["actor"]


def test_the_trail_as_fhir(medseal: Run, used: str, tmp_path: Path) -> None:
    fhir = ("--format", "fhir", "--output", "bundle.json")
    [value] = medseal("ledger", "audit", used, *fhir, "--json").json
    bundle = json.loads((tmp_path / "bundle.json").read_text())
    assert bundle["resourceType"] == "Bundle"
    assert value["entries"] == len(bundle["entry"]) == 4
    assert medseal("ledger", "audit", *fhir).code == 0
    whole = json.loads((tmp_path / "bundle.json").read_text())
    [status] = medseal("ledger", "status", "--json").json
    assert len(whole["entry"]) == status["size"]


@pytest.mark.usefixtures("image_id")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no image, release or name 'nobody'"),
        (["--format", "fhir"], "belong together"),
        (["--output", "x"], "belong together"),
        (["ann", "--since", "head"], "--since checks the whole log"),
    ],
)
def test_wrong_uses_are_named(medseal: Run, arguments: list[str], words: str) -> None:
    finished = medseal("ledger", "audit", *arguments)
    assert (finished.code, finished.err.count("\n")) == (2, 1)
    assert words in finished.err
