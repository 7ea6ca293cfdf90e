import re
from pathlib import Path

import pytest

from medseal.protection.encryption import Recipient, header, keystore

SPEC = Path(__file__).parents[3] / "docs" / "spec"


@pytest.mark.parametrize(
    ("page", "module"), [("sealed-package.md", header), ("keystore.md", keystore)]
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
