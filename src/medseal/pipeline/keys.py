"""Sub-keys of a workspace, one for each purpose, and the keyed lookups made with them."""

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from medseal.digest import Digest
from medseal.errors import KeystoreError
from medseal.imaging import ImageDigests, MedicalImage

__all__ = ["ROOT_BYTES", "WorkspaceKeys"]

ROOT_BYTES = 32
_ACCOUNT_HEX_DIGITS = 32


class WorkspaceKeys:
    """Keys derived from the root secret of a workspace.

    Whoever lacks the root can neither look an image up, nor read a watermark, nor make a tile MAC
    that fits.

    Parameters
    ----------
    root
        32 bytes from the keystore.

    Raises
    ------
    KeystoreError
        The root has another length.
    """

    def __init__(self, root: bytes) -> None:
        if len(root) != ROOT_BYTES:
            raise KeystoreError(f"the root secret has {len(root)} bytes instead of {ROOT_BYTES}")
        self._index = self._derive(root, "index")
        self._account = self._derive(root, "account")
        self.watermark = self._derive(root, "watermark")
        self.fingerprint = self._derive(root, "fingerprint")
        self.cipher = self._derive(root, "cipher")
        self._deidentification = self._derive(root, "deidentification")

    def __repr__(self) -> str:
        """Show no key."""
        return "WorkspaceKeys()"

    @staticmethod
    def new_root() -> bytes:
        """Return a fresh root secret."""
        return secrets.token_bytes(ROOT_BYTES)

    @staticmethod
    def _derive(root: bytes, purpose: str) -> bytes:
        info = f"medseal/workspace/{purpose}/v1".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)

    def _lookup(self, kind: str, *parts: bytes) -> bytes:
        message = Digest.of(f"medseal/index/{kind}/v1", *parts).value
        return hmac.digest(self._index, message, hashlib.sha256)

    def account(self, name: str) -> str:
        """Return the pseudonymous account of a name: 32 hexadecimal digits."""
        mac = hmac.digest(self._account, name.encode(), hashlib.sha256)
        return mac.hex()[:_ACCOUNT_HEX_DIGITS]

    def deidentification(self, account: str) -> bytes:
        """Return the key of new UIDs and pseudonyms in the releases for one account: 32 bytes.

        The instances of a study stay together for one recipient; two recipients who compare their
        copies find nothing in common.
        """
        return hmac.digest(self._deidentification, account.encode(), hashlib.sha256)

    def reason(self, words: str) -> str:
        """Return the keyed digest of a stated reason: 64 hexadecimal digits."""
        return self._lookup("reason", words.encode()).hex()

    def result(self, result: bytes) -> str:
        """Return the keyed digest of a result, as the ledger sees it: 64 hexadecimal digits."""
        return self._lookup("result", result).hex()

    def identity_key(self, digests: ImageDigests) -> bytes:
        """Return the lookup of what makes a file the same image: every byte of it.

        A copy whose file meta a PACS has rewritten is sealed beside the first: to call it the
        same would lose its preamble and its file meta. Their stored values share a `values_key`.
        """
        return self._lookup("identity", digests.file.value)

    def values_key(self, values: Digest) -> bytes:
        """Return the lookup of stored values."""
        return self._lookup("values", values.value)

    def instance_key(self, image: MedicalImage) -> bytes | None:
        """Return the lookup of the SOP instance UID, or None when there is none."""
        uid = image.attributes.get("SOPInstanceUID")
        return self._lookup("instance", str(uid).encode()) if uid else None

    def patient_key(self, patient_id: str) -> bytes | None:
        """Return the lookup of a patient identifier, or None when it is empty."""
        text = patient_id.strip()
        return self._lookup("patient", text.encode()) if text else None

    def geometry_key(self, image: MedicalImage) -> bytes:
        """Return the lookup of the shape; a quarter turn does not change it."""
        short, long = sorted((image.rows, image.columns))
        shape = f"{image.frames}x{short}x{long}x{image.samples}"
        return self._lookup("geometry", shape.encode())
