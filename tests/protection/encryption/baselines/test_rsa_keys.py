from medseal.protection.encryption.baselines.rsa_keys import _is_prime, rsa_key
from tests.protection.encryption.baselines.images import KEY, OTHER


def test_primes_are_told_from_products() -> None:
    # 2^127 - 1 is prime; 561 is a Carmichael number; the last is a product of two primes.
    assert _is_prime(2**127 - 1)
    assert not _is_prime(561)
    assert not _is_prime((2**61 - 1) * (2**31 - 1))


def test_a_key_pair_follows_from_the_key() -> None:
    first, second = (rsa_key(key, 1024).private_numbers() for key in (KEY, OTHER))
    rsa_key.cache_clear()
    assert rsa_key(KEY, 1024).private_numbers() == first
    assert first.public_numbers.n != second.public_numbers.n
    assert first.public_numbers.n.bit_length() == 1024
