"""Encrypted attributes of DICOM: against pydicom, and dcmtk and openssl where they are installed.

The keys in the vectors are public: they protect nothing.
"""

import copy
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from medseal.errors import (
    EncryptedAttributesError,
    EncryptedAttributesKeyError,
    EncryptedAttributesMissingError,
    InputError,
)
from medseal.protection.encryption import cms, cms_envelope
from medseal.protection.encryption.cms import encrypt_attributes, restore_attributes

VECTORS = Path(__file__).parents[2] / "vectors" / "encrypted-attributes"
OPENSSL, DCMDUMP = shutil.which("openssl") or "", shutil.which("dcmdump") or ""
TAGS = ("PatientName", "PatientID", 0x00100030, "AccessionNumber", "SOPInstanceUID")


def certificate(name: str) -> Certificate:
    return load_pem_x509_certificate((VECTORS / f"{name}.pem").read_bytes())


def private_key(name: str) -> RSAPrivateKey:
    key = load_pem_private_key((VECTORS / f"{name}.key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


FIRST, FIRST_KEY = certificate("first"), private_key("first")
SECOND, SECOND_KEY = certificate("second"), private_key("second")


@pytest.fixture
def dataset() -> Dataset:
    file = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    found = pydicom.dcmread(file)
    found.PatientID = "unmistakable"
    return found


def enveloped(content: bytes) -> Dataset:
    """Return a data set with one encrypted item."""
    item = Dataset()
    item.EncryptedContentTransferSyntaxUID = ExplicitVRLittleEndian
    item.EncryptedContent = content + b"\0" * (len(content) % 2)
    result = Dataset()
    result.PatientName = ""
    result.EncryptedAttributesSequence = [item]
    return result


def saved(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_what_is_encrypted_is_not_in_the_file_and_comes_back(dataset: Dataset) -> None:
    before = copy.deepcopy(dataset)
    hidden = encrypt_attributes(dataset, TAGS, [FIRST])
    assert dataset == before
    data = saved(hidden)
    for word in (str(before.PatientName), str(before.PatientID), str(before.SOPInstanceUID)):
        assert word.encode() in saved(before)
        assert word.encode() not in data
    received = pydicom.dcmread(BytesIO(data))
    assert received.PatientName == ""
    assert received.file_meta.MediaStorageSOPInstanceUID == received.SOPInstanceUID
    restored = restore_attributes(received, FIRST, FIRST_KEY)
    assert restored == before
    assert restored.file_meta.MediaStorageSOPInstanceUID == before.SOPInstanceUID
    assert "EncryptedAttributesSequence" not in restored
    # The copy that was given stays encrypted.
    assert "EncryptedAttributesSequence" in received


def test_each_of_several_recipients_restores_alone(dataset: Dataset) -> None:
    hidden = encrypt_attributes(dataset, TAGS, [FIRST, SECOND, FIRST])
    assert restore_attributes(hidden, FIRST, FIRST_KEY) == dataset
    assert restore_attributes(hidden, SECOND, SECOND_KEY) == dataset


@pytest.mark.parametrize("characters", range(0, 36, 5))
def test_any_length_of_the_content(dataset: Dataset, characters: int) -> None:
    dataset.PatientID = "x" * (characters + 1)
    hidden = encrypt_attributes(dataset, ["PatientID"], [FIRST])
    [item] = hidden.EncryptedAttributesSequence
    assert len(item.EncryptedContent) % 2 == 0
    received = pydicom.dcmread(BytesIO(saved(hidden)))
    assert restore_attributes(received, FIRST, FIRST_KEY).PatientID == dataset.PatientID


@pytest.mark.parametrize("extra", [0, 1])
def test_an_envelope_of_odd_length_gets_one_byte(extra: int) -> None:
    content = (VECTORS / "valid.der").read_bytes()
    assert len(content) % 2 == 0
    found = enveloped(content + b"\0" * (2 * extra))
    if extra:
        with pytest.raises(EncryptedAttributesError, match="cut off"):
            restore_attributes(found, FIRST, FIRST_KEY)
    else:
        assert restore_attributes(found, FIRST, FIRST_KEY).PatientID == "ODD"


def test_an_earlier_item_keeps_the_first_value(dataset: Dataset) -> None:
    once = encrypt_attributes(dataset, ["PatientName"], [FIRST])
    once.PatientName = "Pseudonym"
    twice = encrypt_attributes(once, ["PatientName", "PatientID"], [FIRST])
    assert len(twice.EncryptedAttributesSequence) == 2
    assert restore_attributes(twice, FIRST, FIRST_KEY) == dataset


def test_an_item_for_others_stays(dataset: Dataset) -> None:
    once = encrypt_attributes(dataset, ["PatientName"], [FIRST])
    twice = encrypt_attributes(once, ["PatientID"], [SECOND])
    partly = restore_attributes(twice, SECOND, SECOND_KEY)
    assert partly.PatientID == dataset.PatientID
    assert partly.PatientName == ""
    assert restore_attributes(partly, FIRST, FIRST_KEY) == dataset


def test_line_ends_and_zeros_come_back_as_they_were(dataset: Dataset) -> None:
    dataset.ImageComments = "one\r\ntwo\nthree\r\r\n"
    hidden = encrypt_attributes(dataset, ["ImageComments"], [FIRST])
    assert restore_attributes(hidden, FIRST, FIRST_KEY).ImageComments == dataset.ImageComments


def test_a_sequence_comes_back_whole(dataset: Dataset) -> None:
    inner = Dataset()
    inner.PatientID = "older"
    dataset.OtherPatientIDsSequence = [inner]
    hidden = encrypt_attributes(dataset, ["OtherPatientIDsSequence"], [FIRST])
    assert len(hidden.OtherPatientIDsSequence) == 0
    assert restore_attributes(hidden, FIRST, FIRST_KEY) == dataset


def test_text_survives_another_character_set_on_the_way(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.StudyDescription = "Grüße^Jörg", "Äußeres"
    received = pydicom.dcmread(BytesIO(saved(encrypt_attributes(dataset, TAGS, [FIRST]))))
    received.decode()
    received.SpecificCharacterSet = "ISO_IR 192"
    received = pydicom.dcmread(BytesIO(saved(received)))
    restored = restore_attributes(received, FIRST, FIRST_KEY)
    again = pydicom.dcmread(BytesIO(saved(restored)))
    assert (str(again.PatientName), again.StudyDescription) == ("Grüße^Jörg", "Äußeres")


def test_a_big_endian_source() -> None:
    file = Path(pydicom.__file__).parent / "data" / "test_files" / "ExplVR_BigEnd.dcm"
    source = pydicom.dcmread(file)
    assert source.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    hidden = encrypt_attributes(source, ["StudyDate", "SeriesNumber", "PatientID"], [FIRST])
    assert restore_attributes(hidden, FIRST, FIRST_KEY) == source


@pytest.mark.parametrize("name", ["valid", "valid-aes128"])
def test_what_openssl_encrypted_is_restored(name: str) -> None:
    found = enveloped((VECTORS / f"{name}.der").read_bytes())
    restored = restore_attributes(found, FIRST, FIRST_KEY)
    assert (restored.PatientName, restored.PatientID) == ("Vector^Test", "ODD")
    assert restored.SOPInstanceUID == "1.2.3.4"


@pytest.mark.parametrize(
    ("name", "message"),
    [("streamed", "not encoded in DER"), ("triple-des", "openssl cms"), ("oaep", "openssl cms")],
)
def test_other_forms_of_the_envelope_are_refused_by_name(name: str, message: str) -> None:
    found = enveloped((VECTORS / f"{name}.der").read_bytes())
    with pytest.raises(EncryptedAttributesError, match=message):
        restore_attributes(found, FIRST, FIRST_KEY)


def test_no_encrypted_attributes(dataset: Dataset) -> None:
    with pytest.raises(EncryptedAttributesMissingError, match="no encrypted attributes"):
        restore_attributes(dataset, FIRST, FIRST_KEY)


def test_a_certificate_that_is_no_recipient(dataset: Dataset) -> None:
    hidden = encrypt_attributes(dataset, TAGS, [FIRST])
    with pytest.raises(EncryptedAttributesKeyError, match="other certificates"):
        restore_attributes(hidden, SECOND, SECOND_KEY)


def test_a_key_of_another_certificate(dataset: Dataset) -> None:
    hidden = encrypt_attributes(dataset, TAGS, [FIRST])
    with pytest.raises(InputError, match="not that of the certificate"):
        restore_attributes(hidden, FIRST, SECOND_KEY)


@pytest.mark.parametrize("place", [0, 3, 40, 120, 200, 450, 500, 520, 540, 600, 640, -1])
def test_a_changed_byte_is_refused_or_changes_a_value(place: int) -> None:
    content = bytearray((VECTORS / "valid.der").read_bytes())
    content[place] ^= 0x40
    try:
        restored = restore_attributes(enveloped(bytes(content)), FIRST, FIRST_KEY)
    except EncryptedAttributesError as error:
        message = str(error)
    else:
        message = ""
        assert restored.SOPInstanceUID == "1.2.3.4"
    assert "Vector" not in message


def test_a_changed_value_passes_unnoticed_as_the_documentation_says() -> None:
    """CBC: a bit turned in one cipher block turns that bit in the next plain block."""
    content = bytearray((VECTORS / "valid.der").read_bytes())
    plain = (VECTORS / "plain.bin").read_bytes()
    start = len(content) - (len(plain) // 16 + 1) * 16
    place = plain.rindex(b"no tag")
    content[start + place - 16 : start + place - 14] = bytes(
        old ^ ord(was) ^ ord(new)
        for old, was, new in zip(content[start + place - 16 :], "no", "NO", strict=False)
    )
    restored = restore_attributes(enveloped(bytes(content)), FIRST, FIRST_KEY)
    assert restored.EncapsulatedDocument.endswith(b"NO tag covers this. ")


@pytest.mark.parametrize("cut", [0, 2, 3, 300])
def test_a_cut_envelope(cut: int) -> None:
    content = (VECTORS / "valid.der").read_bytes()
    with pytest.raises(EncryptedAttributesError, match="cut off"):
        restore_attributes(enveloped(content[:cut]), FIRST, FIRST_KEY)


def test_another_transfer_syntax_is_refused() -> None:
    found = enveloped((VECTORS / "valid.der").read_bytes())
    found.EncryptedAttributesSequence[
        0
    ].EncryptedContentTransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    with pytest.raises(EncryptedAttributesError, match="not supported"):
        restore_attributes(found, FIRST, FIRST_KEY)


def test_a_data_set_of_another_kind_inside_is_refused() -> None:
    content = cms_envelope.envelope(b"\x10\x00\x10\x00PN\x04\x00Name", [FIRST])
    with pytest.raises(EncryptedAttributesError, match="damaged"):
        restore_attributes(enveloped(content), FIRST, FIRST_KEY)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("SOPClassUID", "must stay readable"),
        ("PixelData", "must stay readable"),
        ("Rows", "must stay readable"),
        (0x00090010, "private"),
        ("EncryptedAttributesSequence", "must stay readable"),
        ("NoSuchKeyword", "no DICOM attribute"),
        (-1, "no DICOM attribute"),
        ("PatientComments", "none of the attributes"),
    ],
)
def test_attributes_that_cannot_be_encrypted(
    dataset: Dataset, tag: int | str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encrypt_attributes(dataset, [tag], [FIRST])


def test_recipients_that_cannot_be_used(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="at least 3072 bits"):
        encrypt_attributes(dataset, TAGS, [FIRST, certificate("short")])
    with pytest.raises(InputError, match="1 to 64 certificates, not 0"):
        encrypt_attributes(dataset, TAGS, [])


def test_limits(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = encrypt_attributes(dataset, TAGS, [FIRST])
    monkeypatch.setattr(cms, "MAX_ITEMS", 0)
    with pytest.raises(EncryptedAttributesError, match="the limit is 0"):
        restore_attributes(hidden, FIRST, FIRST_KEY)
    with pytest.raises(InputError, match="0 encrypted items already"):
        encrypt_attributes(dataset, TAGS, [FIRST])
    monkeypatch.setattr(cms, "MAX_ITEMS", 64)
    monkeypatch.setattr(cms_envelope, "MAX_CONTENT_BYTES", 600)
    with pytest.raises(EncryptedAttributesError, match="the limit is 600"):
        restore_attributes(hidden, FIRST, FIRST_KEY)
    with pytest.raises(InputError, match="encrypt fewer attributes"):
        encrypt_attributes(dataset, TAGS, [FIRST])


@pytest.mark.skipif(not OPENSSL, reason="needs the openssl program")
def test_openssl_decrypts_what_is_written(dataset: Dataset, tmp_path: Path) -> None:
    hidden = encrypt_attributes(dataset, TAGS, [FIRST, SECOND])
    [item] = hidden.EncryptedAttributesSequence
    (tmp_path / "content.der").write_bytes(item.EncryptedContent)
    for name in ("first", "second"):
        command = [OPENSSL, "cms", "-decrypt", "-binary", "-inform", "DER"]
        command += ["-in", str(tmp_path / "content.der"), "-recip", str(VECTORS / f"{name}.pem")]
        command += ["-inkey", str(VECTORS / f"{name}.key.pem")]
        plain = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
        outer = read_dataset(BytesIO(plain), is_implicit_VR=False, is_little_endian=True)
        assert outer.ModifiedAttributesSequence[0].PatientID == dataset.PatientID


@pytest.mark.skipif(not DCMDUMP, reason="needs dcmtk")
def test_dcmtk_reads_what_is_written(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "hidden.dcm"
    file.write_bytes(saved(encrypt_attributes(dataset, TAGS, [FIRST])))
    finished = subprocess.run([DCMDUMP, str(file)], check=True, capture_output=True, text=True)  # noqa: S603
    assert "EncryptedAttributesSequence" in finished.stdout
    assert "(0400,0520) OB" in finished.stdout
    assert not finished.stderr
    assert str(dataset.PatientID) not in finished.stdout
