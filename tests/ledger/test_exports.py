"""What the ledger exports: all of it can be reached, and the network only when it is asked for."""

import subprocess
import sys

import pytest

from medseal import ledger

HEAVY = {"web3", "eth_account", "eth_abi", "eth_utils", "rlp", "coincurve"}


def test_every_export_can_be_reached() -> None:
    assert len(ledger.__all__) == len(set(ledger.__all__))
    for name in ledger.__all__:
        assert getattr(ledger, name) is not None


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"'medseal\.ledger' has no attribute 'nothing'"):
        _ = ledger.nothing


@pytest.mark.parametrize(
    ("statement", "is_loaded"),
    [
        ("import medseal.ledger", False),
        ("import medseal.ledger.ethereum", False),
        ("import medseal.ledger.ethereum.codec", False),
        ("from medseal.ledger import EmbeddedLedger", False),
        ("from medseal.ledger import EthereumLedger", True),
    ],
)
def test_the_network_is_loaded_when_it_is_asked_for(statement: str, is_loaded: bool) -> None:
    script = f"import sys\n{statement}\nprint(bool({HEAVY!r} & set(sys.modules)))"
    # The command is a constant of this file.
    finished = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == str(is_loaded)
