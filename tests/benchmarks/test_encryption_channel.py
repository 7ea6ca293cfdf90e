import json
from pathlib import Path

import numpy as np

from benchmarks import encryption_channel
from medseal.imaging import MedicalImage


def _image() -> MedicalImage:
    wave = np.sin(np.arange(64) / 9)[:, None] + np.cos(np.arange(48) / 7)[None]
    return MedicalImage(
        stored_values=((wave + 2) * 60).astype(np.uint8)[None, :, :, None],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="test",
    )


def test_a_trial_tells_exact_from_refused() -> None:
    records = encryption_channel.trial(_image(), seed=3)
    assert [record["quality"] for record in records] == list(encryption_channel.QUALITIES)
    for record in records:
        assert record["outcomes"]["none"] == "exact"
        assert record["outcomes"]["JPEG 70"] == "exact"
        assert "differs" not in record["outcomes"].values()
        assert record["factor_by_pixel"] == record["factor_by_value"]


def test_the_summary_counts_by_kind_and_damage() -> None:
    record = {
        "modality": "MR",
        "bits": 8,
        "samples": 1,
        "factor_by_pixel": 2.0,
        "factor_by_value": 2.0,
    }
    good, bad = (
        dict.fromkeys(encryption_channel.DAMAGES, "exact"),
        dict.fromkeys(encryption_channel.DAMAGES, "CipherChannelError"),
    )
    records = [
        record | {"quality": quality, "outcomes": outcomes}
        for quality in encryption_channel.QUALITIES
        for outcomes in (good, good, bad, bad)
    ]
    found = encryption_channel.summarised(records)["70"]
    assert found["images"] == 4
    assert found["kinds"]["MR 8 bits"]["images"] == 4
    assert found["damages"]["JPEG 70"]["exact_share"] == 0.5
    assert found["damages"]["none"]["outcomes"] == {"CipherChannelError": 2, "exact": 2}


def test_finished_images_are_not_measured_again(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({}))
    assert encryption_channel._records([], 3, state) == []


def test_times_are_measured() -> None:
    found = encryption_channel.timed(_image(), 1)
    assert found["encode_ms"] > 0
    assert found["decode_ms"] > 0
    assert found["factor_by_pixel"] > 0
