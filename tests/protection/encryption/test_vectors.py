import hashlib
import runpy
from pathlib import Path

import pytest

from medseal import errors
from medseal.protection.encryption import (
    Identity,
    Keystore,
    PassphraseIdentity,
    SealedPackage,
)
from medseal.protection.encryption import open as open_package

VECTORS = Path(__file__).parents[2] / "vectors"
PACKAGES = sorted((VECTORS / "sealed-package").glob("*.txt"))
KEYSTORES = sorted((VECTORS / "keystore").glob("*.txt"))


def read(path: Path) -> tuple[dict[str, str], bytes]:
    """Return the fields and the bytes of a vector."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    fields = dict(line.split(":", 1) for line in head.splitlines())
    return {name: value.strip() for name, value in fields.items()}, bytes.fromhex(body)


def expected_error(fields: dict[str, str]) -> type[errors.PackageError]:
    error = getattr(errors, fields["expect"])
    assert issubclass(error, errors.PackageError)
    return error


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.stem)
def test_sealed_package(path: Path) -> None:
    fields, data = read(path)
    identity: Identity | PassphraseIdentity
    if "passphrase" in fields:
        identity = PassphraseIdentity(fields["passphrase"])
    else:
        identity = Identity(bytes.fromhex(fields["identity-secret"]))
    if fields["expect"] != "success":
        with pytest.raises(errors.PackageError, match=r"^[^\n]+$") as caught:
            open_package(SealedPackage.from_bytes(data), identity)
        assert type(caught.value) is expected_error(fields)
        return
    package = SealedPackage.from_bytes(data)
    assert package.to_bytes() == data
    assert package.associated_data == bytes.fromhex(fields["associated-data"])
    plaintext = open_package(package, identity)
    assert hashlib.sha256(plaintext).hexdigest() == fields["plaintext-sha256"]


@pytest.mark.parametrize("path", KEYSTORES, ids=lambda path: path.stem)
def test_keystore(path: Path, tmp_path: Path) -> None:
    fields, data = read(path)
    file = tmp_path / "keystore"
    file.write_bytes(data)
    if fields["expect"] != "success":
        with pytest.raises(errors.PackageError, match=r"^[^\n]+$") as caught:
            Keystore.load(file, fields["passphrase"])
        assert type(caught.value) is expected_error(fields)
        return
    keystore = Keystore.load(file, fields["passphrase"])
    found = " ".join(f"{name}={keystore.get(name).hex()}" for name in keystore.names())
    assert found == fields["secrets"]


def test_each_error_of_a_package_has_a_vector() -> None:
    outcomes = {read(path)[0]["expect"] for path in PACKAGES}
    assert outcomes == {
        "success",
        "HeaderAuthenticationError",
        "HeaderFormatError",
        "NoMatchingIdentityError",
        "PayloadAuthenticationError",
        "TruncatedPackageError",
        "WrongPassphraseError",
    }


def test_the_generators_write_these_very_files() -> None:
    packages = runpy.run_path(str(VECTORS / "sealed-package" / "generate.py"))["vectors"]()
    keystores = runpy.run_path(str(VECTORS / "keystore" / "generate.py"))["vectors"]()
    assert {f"{v.name}.txt": v.text() for v in packages} == {
        path.name: path.read_text(encoding="utf-8") for path in PACKAGES
    }
    assert {f"{name}.txt": text for name, text in keystores} == {
        path.name: path.read_text(encoding="utf-8") for path in KEYSTORES
    }
