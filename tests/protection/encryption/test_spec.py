import re
from pathlib import Path

import pytest

from medseal.protection.encryption import (
    Recipient,
    channel_layout,
    cipher_header,
    header,
    keystore,
    ldpc,
)
from medseal.protection.encryption.cnn import integer
from medseal.protection.encryption.cnn.backbones import NETWORKS

SPEC = Path(__file__).parents[3] / "docs" / "spec"


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("sealed-package.md", header),
        ("keystore.md", keystore),
        ("cipher-image.md", cipher_header),
    ],
)
def test_the_limits_on_the_page_are_those_of_the_code(page: str, module: object) -> None:
    text = (SPEC / page).read_text(encoding="utf-8")
    stated = {
        name: int(value) for name, value in re.findall(r"\| `([A-Z_0-9]+)` \| (\d+) \|", text)
    }
    actual = {name: getattr(module, name) for name in dir(module) if re.match("(MIN|MAX)_", name)}
    own = {name: value for name, value in actual.items() if name in module.__all__}
    assert stated == own


def test_the_fields_on_the_page_fill_the_fixed_part() -> None:
    text = (SPEC / "sealed-package.md").read_text(encoding="utf-8")
    table = text.split("## Layout")[1].split("###")[0]
    sizes = [int(size) for size in re.findall(r"^\| `[a-z_0-9]+` \| (\d+) \|", table, re.MULTILINE)]
    # All fields of one size, less the wrap count and the MAC.
    assert sum(sizes) - 1 - header.MAC_BYTES == header._FIXED.size
    assert f"`{header.MAGIC[:-1].decode()}` and a zero byte" in table


def test_the_recipient_on_the_page_is_the_one_of_the_rfc() -> None:
    text = (SPEC / "sealed-package.md").read_text(encoding="utf-8")
    shown = re.search(r"`(medseal1[a-z0-9]+)`", text)
    assert shown is not None
    assert Recipient.parse(shown[1]).public_key == bytes.fromhex(
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    )


def test_the_page_of_the_cipher_image_states_its_sizes() -> None:
    text = (SPEC / "cipher-image.md").read_text(encoding="utf-8")
    table = text.split("## Header")[1].split("| limit |")[0]
    sizes = [int(size) for size in re.findall(r"^\| `[a-z_]+` \| (\d+) \|", table, re.MULTILINE)]
    assert sum(sizes) == cipher_header._FIXED.size
    assert f"| plain tag | {cipher_header.PLAIN_TAG_BYTES} |" in table
    assert f"| header tag | {cipher_header._HEADER_TAG_BYTES} |" in table
    assert f"| checksum | {cipher_header._CHECKSUM_BYTES} |" in table
    forms = ", ".join(f"{number} {name}" for number, name in enumerate(cipher_header.FORMS))
    assert f"| 1 | {forms} |" in table
    for number, name in enumerate(cipher_header.BACKBONES[1:], 1):
        assert f"{number} {name}" in table


def test_the_page_of_the_cipher_image_states_rounds_and_bounds() -> None:
    text = " ".join((SPEC / "cipher-image.md").read_text(encoding="utf-8").split())
    assert f"the number of rounds R = {integer.ROUNDS}." in text
    widest = max(inputs for kind in NETWORKS.values() for inputs, _ in kind.sizes.values())
    assert f"the largest column has {widest} weights" in text
    assert widest * 64 * 255 + 2 * 2**16 < 2**23


def test_the_page_of_the_digital_form_states_parameters_and_codes() -> None:
    text = (SPEC / "cipher-digital.md").read_text(encoding="utf-8")
    table = text.split("## Parameters")[1].split("A reader MUST")[0]
    sizes = [int(size) for size in re.findall(r"^\| `[a-z_]+` \| (\d+) \|", table, re.MULTILINE)]
    assert sum(sizes) == channel_layout._PARAMETERS.size
    rows = re.findall(r"^\| (\d+/\d+) \| (\d+) \| ([\d x,]+) \|$", text, re.MULTILINE)
    stated = {}
    for rate, count, columns in rows:
        degrees: list[int] = []
        for part in columns.split(", "):
            degree, _, times = part.partition(" x ")
            degrees += [int(degree)] * int(times or 1)
        stated[rate] = (int(count), tuple(degrees))
    assert list(stated.items()) == list(ldpc._DESIGNS.items())
    assert f"K / ({ldpc._MAX_LIFTING} k)" in text
    assert f"Z = max({ldpc._MIN_LIFTING}, " in text
    assert f"`{ldpc._SEED}/` rate" in text
