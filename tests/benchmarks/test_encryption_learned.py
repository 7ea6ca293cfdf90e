from pathlib import Path

import pytest

from benchmarks import encryption_learned
from benchmarks.encryption_learned import CLAIMED, measured, pairs
from medseal.protection.encryption.baselines.learned.cipher import key_of
from tests.benchmarks.encryption_material import stored


def test_claims_stand_beside_what_unseen_patients_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path)
    monkeypatch.setattr(encryption_learned, "SIDE", 32)
    monkeypatch.setattr(encryption_learned, "TRAINED_SIDE", 16)
    monkeypatch.setattr(encryption_learned, "_TIMED_SIDE", 32)
    work = tmp_path / "work"
    found = measured(tmp_path, work, quick=True)
    assert found["claimed"] == CLAIMED
    assert found["images"] == 3
    assert 0 < found["psnr_db"]["least"] <= found["psnr_db"]["mean"] < 60
    assert found["exact_share"] == 0.0
    assert found["decrypt_seconds_512x512"] > 0
    first = pairs(tmp_path, work, quick=True, count=1)
    again = pairs(Path("nowhere"), work, quick=True, count=1)
    assert key_of(first[0]) == key_of(again[0])
