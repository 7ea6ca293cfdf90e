import json

from benchmarks.roundtrip import QUICK_FILES, main, packaged_files


def test_packaged_files_come_back(tmp_path, capsys):
    main(["--quick", "--output", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "roundtrip.quick.json")
    result = json.loads((tmp_path / "roundtrip.quick.json").read_text())["result"]
    assert result["files"] == min(QUICK_FILES, len(packaged_files()))
    assert result["readable"] + sum(result["unreadable"].values()) == result["files"]
    assert result["readable"] > 0
    sealed = result["sealed_and_opened"]
    opened = sealed["opened_with_equal_bytes"], sealed["opened_with_equal_values"]
    assert opened == (sealed["statuses"]["sealed"],) * 2
    assert sealed["different"] == []
    assert sealed["statuses"].get("failed", 0) == sum(result["unreadable"].values())
    assert all(written["different"] == [] for written in result["written_and_read"].values())
