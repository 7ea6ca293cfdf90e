import json
from pathlib import Path

import pytest

from benchmarks.encryption import PARTS, main
from medseal.protection.encryption.cipher_image import NO_CLAIM


def test_the_measurement_writes_times_and_ratios_and_keeps_other_parts(tmp_path: Path) -> None:
    arguments = ["--quick", "--output", str(tmp_path), "--only"]
    main([*arguments, "brute_force", "critical_values"])
    main([*arguments, "package"])
    result = json.loads((tmp_path / "encryption.quick.json").read_text())["result"]
    assert result["claim"] == NO_CLAIM
    assert set(result) == {"claim", "package", "brute_force", "critical_values"}
    assert result["brute_force"]["10 bits"]["is_found"]
    package = result["package"]
    assert package["keystore"]["median_seconds"] > 0
    for name, size in (("512x512x16", 2**19), ("2048x2048x16", 2**23)):
        row = package[name]
        assert row["data_bytes"] == size
        assert row["overhead_bytes"] < 1024
        for verb, plain in (("seal", "plain_encrypt"), ("open", "plain_decrypt")):
            expected = row[verb]["median_ms"] / row[plain]["median_ms"]
            assert row[f"{verb}_ratio"] == pytest.approx(expected, rel=0.01)
        assert 0 < row["rewrap"]["median_ms"] <= row["rewrap"]["p95_ms"]


def test_parts_that_need_images_are_left_out_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--output", str(tmp_path), "--only", "learned", "suite"])
    assert "suite: left out, it needs --data DIR" in capsys.readouterr().err
    result = json.loads((tmp_path / "encryption.quick.json").read_text())["result"]
    assert set(result) == {"claim"}
    assert {"learned", "suite", "rounds", "channel", "analog", "exactness"} < set(PARTS)
