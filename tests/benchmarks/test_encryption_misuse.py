import numpy as np
import pytest

from benchmarks.encryption_misuse import brute_force, nonce_misuse, size_leakage
from tests.benchmarks.encryption_material import named, pictures


@pytest.mark.parametrize(
    ("name", "opens"), [("AES-CTR", True), ("fixed keystream", True), ("integer unet", False)]
)
def test_a_repeated_nonce_opens_stream_ciphers(name: str, opens: bool) -> None:
    found = nonce_misuse(named(name), pictures(12, 32), generator=np.random.default_rng(1))
    assert found["possible"]
    assert (found["p_value"] < 1e-6) is opens
    assert (found["xor"]["exact_share"] == 1.0) is opens


def test_a_form_that_draws_its_nonce_cannot_be_misused() -> None:
    transport = named("RSA key transport + AES-GCM")
    found = nonce_misuse(transport, pictures(3, 32), generator=np.random.default_rng(1))
    assert found == {"possible": False, "p_value": 1.0}


def test_a_short_key_is_found_by_trying() -> None:
    found = brute_force(pictures(1, 32)[0], bits=8, generator=np.random.default_rng(2))
    assert found["is_found"]
    assert 1 <= found["tries"] <= 256
    assert found["years_for_256_bits"] > 1e50


def test_the_size_of_aes_says_nothing_about_the_content() -> None:
    found = size_leakage(named("AES-GCM"), pictures(8, 32), generator=np.random.default_rng(3))
    assert found["sizes"] == 1
    assert found["p_value"] == 1.0
    assert found["bytes_a_value"] == pytest.approx(1 + 16 / 1024)
