"""RSA key pairs that follow from 32 bytes, so that RSA fits the interface of the other baselines.

For measuring alone: a real key pair is drawn by the library and never follows from a shared key. No
security claim rests on a learned method.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import rsa

from medseal.protection.encryption.baselines.method import generator_of

__all__ = ["PUBLIC_EXPONENT", "rsa_key"]

PUBLIC_EXPONENT = 65537
_TRIES = 24
_SMALL_PRIMES = tuple(
    number for number in range(3, 2000, 2) if all(number % d for d in range(3, 45, 2) if d < number)
)


def _is_prime(number: int) -> bool:
    """Return whether an odd number passes Miller-Rabin to fixed bases (FIPS 186-5, B.3.1)."""
    if any(number % prime == 0 for prime in _SMALL_PRIMES):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, *_SMALL_PRIMES[: _TRIES - 1]):
        value = pow(base, odd, number)
        if value in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True


@lru_cache(maxsize=8)
def rsa_key(key: bytes, bits: int) -> rsa.RSAPrivateKey:
    """Return the key pair of 32 bytes with a modulus of `bits` bits."""
    generator = generator_of(key, "rsa")
    primes: list[int] = []
    while len(primes) < 2:  # noqa: PLR2004  two factors
        drawn = int.from_bytes(generator.bytes(bits // 16), "big")
        # The two highest bits, so that the product has all its bits; odd.
        candidate = drawn | (3 << (bits // 2 - 2)) | 1
        if (candidate - 1) % PUBLIC_EXPONENT and candidate not in primes and _is_prime(candidate):
            primes.append(candidate)
    p, q = max(primes), min(primes)
    d = pow(PUBLIC_EXPONENT, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(PUBLIC_EXPONENT, p * q),
    ).private_key()
