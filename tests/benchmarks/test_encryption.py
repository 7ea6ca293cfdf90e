import json
from pathlib import Path

import pytest

from benchmarks.encryption import main


def test_the_measurement_writes_times_and_ratios(tmp_path: Path) -> None:
    main(["--quick", "--output", str(tmp_path)])
    result = json.loads((tmp_path / "encryption.quick.json").read_text())["result"]
    assert result["keystore"]["median_seconds"] > 0
    for name, size in (("512x512x16", 2**19), ("2048x2048x16", 2**23)):
        row = result[name]
        assert row["data_bytes"] == size
        assert row["overhead_bytes"] < 1024
        for verb, plain in (("seal", "plain_encrypt"), ("open", "plain_decrypt")):
            expected = row[verb]["median_ms"] / row[plain]["median_ms"]
            assert row[f"{verb}_ratio"] == pytest.approx(expected, rel=0.01)
        assert 0 < row["rewrap"]["median_ms"] <= row["rewrap"]["p95_ms"]
