import importlib.util

import pytest

from medseal.errors import ConfigurationError, InputError
from medseal.protection.watermark.baselines import (
    BlindWatermark,
    InvisibleWatermark,
    installed_peers,
)
from medseal.protection.watermark.baselines import peers as module
from tests.protection.pictures import KEY, grey


def test_only_installed_packages_are_offered():
    packages = {"imwatermark", "blind_watermark"}
    found = {name for name in packages if importlib.util.find_spec(name)}
    assert bool(installed_peers()) == bool(found)


@pytest.mark.parametrize(
    ("method", "package"),
    [(InvisibleWatermark(), "invisible-watermark"), (BlindWatermark(), "blind-watermark")],
)
def test_a_missing_package_is_named(monkeypatch, method, package):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=f"pip install {package}"):
        method.embed(grey(300, 300), bytes(8), KEY)


@pytest.mark.skipif(not installed_peers(), reason="needs one of two optional packages")
@pytest.mark.parametrize("method", installed_peers(), ids=lambda method: method.name)
def test_a_peer_returns_bits_of_an_eight_bit_colour_copy(method):
    payload = b"\x5a\xc3\x0f\x99\x21\x7e\x44\xb8"[: method.payload_bytes]
    copy = method.embed(grey(272, 288), payload, KEY)
    assert copy.photometric_interpretation == "RGB"
    reading = method.extract(copy, KEY)
    assert len(reading.payload) == method.payload_bytes
    assert reading.bit_probabilities.size == 8 * method.payload_bytes


@pytest.mark.skipif(
    importlib.util.find_spec("imwatermark") is None, reason="needs invisible-watermark"
)
def test_a_small_image_is_refused():
    with pytest.raises(InputError, match="256 x 256"):
        InvisibleWatermark().embed(grey(100, 100), bytes(8), KEY)
