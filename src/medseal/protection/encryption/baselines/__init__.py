"""Ciphers that are measured beside the product: some sound, some known to be bad; none is offered.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package.
"""

from medseal.protection.encryption.baselines.aes_cbc import AesCbc
from medseal.protection.encryption.baselines.aes_ctr import AesCtr
from medseal.protection.encryption.baselines.aes_ecb import AesEcb
from medseal.protection.encryption.baselines.aes_gcm import AesGcm
from medseal.protection.encryption.baselines.block_scrambling import BlockScrambling
from medseal.protection.encryption.baselines.chacha20 import ChaCha20
from medseal.protection.encryption.baselines.fixed_keystream import FixedKeystream
from medseal.protection.encryption.baselines.fixed_permutation import FixedPermutation
from medseal.protection.encryption.baselines.method import Bytes, PixelCipher
from medseal.protection.encryption.baselines.rsa_chunked import RsaChunked
from medseal.protection.encryption.baselines.rsa_transport import RsaTransport

__all__ = [
    "AesCbc",
    "AesCtr",
    "AesEcb",
    "AesGcm",
    "BlockScrambling",
    "Bytes",
    "ChaCha20",
    "FixedKeystream",
    "FixedPermutation",
    "PixelCipher",
    "RsaChunked",
    "RsaTransport",
]
