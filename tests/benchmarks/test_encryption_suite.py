from pathlib import Path

import numpy as np

from benchmarks.encryption_suite import ALPHA, Material, run, verdicts
from tests.benchmarks.encryption_material import FEW, named, pictures

MATERIAL = Material(
    known=pictures(40, 32, seed=2),
    small=pictures(12, 32),
    middle=pictures(4, 80),
    large=pictures(1, 128),
)
QUICKLY = ("recognition", "nonce misuse", "size")


def test_records_are_kept_and_a_half_written_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    subjects = [named("AES-GCM"), named("fixed permutation")]
    rows = run(subjects, MATERIAL, FEW, path, attacks=QUICKLY)
    assert len(rows) == 6
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    again = run(subjects, MATERIAL, FEW, path, attacks=QUICKLY)
    assert [(row["subject"], row["attack"], row["result"]) for row in again] == [
        (row["subject"], row["attack"], row["result"]) for row in rows
    ]
    assert len(path.read_text().splitlines()) == 6


def test_verdicts_name_the_attack_and_never_say_secure(tmp_path: Path) -> None:
    subjects = [named(name) for name in ("AES-GCM", "fixed permutation", "AES-CTR, nonce repeated")]
    rows = run(subjects, MATERIAL, FEW, tmp_path / "suite.jsonl", attacks=QUICKLY)
    found = verdicts(rows)
    ciphers = found["ciphers"]
    assert ciphers["AES-GCM"]["verdict"] == "not broken by this suite"
    assert "recognition" in ciphers["fixed permutation"]["broken_by"]
    assert "nonce misuse" in ciphers["AES-CTR, nonce repeated"]["broken_by"]
    assert found["not_as_they_must_count"] == 0
    assert found["tests"] == sum(row["tests"] for row in ciphers.values())
    assert "secure" not in {row["verdict"] for row in ciphers.values()}


def row(kind: str, attack: str, p_value: float, *, counts: bool = True) -> dict[str, object]:
    result = {"one": {"p_value": p_value}, "other": {"p_value": 0.5}}
    return {"subject": kind, "kind": kind, "attack": attack, "counts": counts, "result": result}


def test_a_verdict_that_must_not_be_is_counted() -> None:
    found = verdicts(
        [
            row("sound", "distinguisher", ALPHA / 2),
            row("known bad", "distinguisher", ALPHA * 2),
            row("product", "diffusion", 0.0, counts=False),
            row("other", "recognition", 0.0),
        ]
    )
    assert found["not_as_they_must"] == ["sound", "known bad"]
    assert found["ciphers"]["sound"]["broken_by"] == {"distinguisher": ["one"]}
    assert found["ciphers"]["product"]["verdict"] == "not broken by this suite"
    assert found["tests"] == 6


def test_a_stream_cipher_is_not_blamed_for_what_a_repeated_nonce_opens(tmp_path: Path) -> None:
    rows = run(
        [named("AES-CTR"), named("fixed keystream")],
        MATERIAL,
        FEW,
        tmp_path / "suite.jsonl",
        attacks=("nonce misuse",),
    )
    counted = {each["subject"]: each["counts"] for each in rows}
    assert counted == {"AES-CTR": False, "fixed keystream": True}
    assert all(each["result"]["p_value"] < ALPHA for each in rows)
    assert np.all([each["seconds"] >= 0 for each in rows])
