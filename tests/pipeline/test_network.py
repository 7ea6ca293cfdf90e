"""The setting that names the network of a workspace."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from medseal.errors import ConfigurationError, WorkspaceError
from medseal.pipeline.network import NETWORK_FILE, NetworkSetting, checked_url

SETTING = NetworkSetting(
    url="http://127.0.0.1:8545", chain_id=31337, contract=f"0x{'ab' * 20}", account="cd" * 20
)


def test_a_setting_survives_the_way_through_its_file(tmp_path: Path) -> None:
    assert NetworkSetting.load(tmp_path) is None
    for setting in (SETTING, replace(SETTING, key_file="keys/gateway.json")):
        setting.save(tmp_path)
        assert NetworkSetting.load(tmp_path) == setting
    assert SETTING.name == f"31337-0x{'ab' * 20}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://user:secret@host:8545"}, "would be kept openly"),
        ({"url": "ftp://host"}, "a node is given as"),
        ({"chain_id": 0}, "chain id"),
        ({"chain_id": True}, "chain id"),
        ({"contract": "0xAB"}, "40 lower-case digits"),
        ({"account": "0" * 40}, "40 lower-case digits"),
    ],
)
def test_another_form_is_refused(change: dict[str, str | int], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        replace(SETTING, **change)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "node", "http://", "http://host:port", "file:///etc/passwd"])
def test_what_is_no_node(url: str) -> None:
    with pytest.raises(ConfigurationError, match="a node is given as"):
        checked_url(url)


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"url": 5}, {"chain_id": "5"}, {"more": 1}, {"contract": None}],
)
def test_a_damaged_file_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    SETTING.save(tmp_path)
    path = tmp_path / NETWORK_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WorkspaceError, match=r"network\.json"):
        NetworkSetting.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"{}"])
def test_another_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NETWORK_FILE).write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"network\.json"):
        NetworkSetting.load(tmp_path)
