"""`medseal cipher` on cipher images: each form and file, lost headers, wrong keys, what it says."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from medseal.imaging import read
from medseal.protection.encryption.cipher_image import NO_CLAIM
from tests.cli.conftest import Finished

Run = Callable[..., Finished]


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "key").write_text(bytes(range(32)).hex() + "\n")
    return ("--key-file", "key")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a small colour picture that is no noise."""
    rows, columns = np.mgrid[0:48, 0:40]
    plane = 128 + 60 * np.sin(rows / 9) + 50 * np.cos(columns / 7)
    colours = np.stack([plane, plane[::-1], 255 - plane], axis=-1).clip(0, 255)
    Image.fromarray(colours.astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def is_one_line(text: str) -> bool:
    return text.startswith("medseal: ") and text.count("\n") == 1


@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_the_integer_form_gives_back_every_value(
    medseal: Run, key: tuple[str, str], photo: Path, suffix: str
) -> None:
    encrypt = ("cipher", "encrypt", photo, "--form", "integer", "--output", f"c{suffix}", *key)
    [line] = medseal(*encrypt, "--json").json
    assert line["form"] == "integer"
    assert line["backbone"] == "unet"
    assert line["note"] == NO_CLAIM
    assert line["size_bytes"] == Path(f"c{suffix}").stat().st_size
    assert not np.array_equal(read(f"c{suffix}").stored_values, read(photo).stored_values)
    decrypt = ("cipher", "decrypt", f"c{suffix}", "--output", "back.png", *key)
    [line] = medseal(*decrypt, "--json").json
    assert (line["form"], line["exact"], line["note"]) == ("integer", True, NO_CLAIM)
    assert np.array_equal(read("back.png").stored_values, read(photo).stored_values)


def test_a_ct_comes_back_signed_with_the_key_of_the_workspace(medseal: Run, ct_file: Path) -> None:
    assert medseal("init").code == 0
    encrypt = ("cipher", "encrypt", ct_file, "--form", "integer", "--backbone", "resnet")
    assert medseal(*encrypt, "--output", "c.dcm").code == 0
    sent = pydicom.dcmread("c.dcm")
    assert sent.PixelRepresentation == 0
    assert "Modality" in sent
    finished = medseal("cipher", "decrypt", "c.dcm", "--output", "back.dcm")
    assert finished.code == 0
    assert NO_CLAIM in finished.out
    plain, back = read(ct_file), read("back.dcm")
    assert np.array_equal(plain.stored_values, back.stored_values)
    assert (back.is_signed, back.bits_stored) == (plain.is_signed, plain.bits_stored)


def test_the_sentence_stands_in_help_and_output(
    medseal: Run, key: tuple[str, str], photo: Path
) -> None:
    for words in (("cipher",), ("cipher", "encrypt"), ("cipher", "decrypt")):
        assert NO_CLAIM in " ".join(medseal(*words, "--help").out.split())
    encrypt = ("cipher", "encrypt", photo, "--form", "integer", "--output", "c.png", *key)
    assert NO_CLAIM in medseal(*encrypt).out


def test_a_copy_that_lost_its_header(medseal: Run, key: tuple[str, str], photo: Path) -> None:
    encrypt = ("cipher", "encrypt", photo, "--form", "integer", "--output", "c.png", *key)
    assert medseal(*encrypt, "--header", "c.mcipher", "--json").json[0]["header"] == "c.mcipher"
    Image.open("c.png").save("stripped.png")
    decrypt = ("cipher", "decrypt", "stripped.png", "--output", "back.png", *key)
    lost = medseal(*decrypt)
    assert lost.code == 1
    assert "give the header file" in lost.err
    assert is_one_line(lost.err)
    assert medseal(*decrypt, "--header", "c.mcipher").code == 0
    assert np.array_equal(read("back.png").stored_values, read(photo).stored_values)
    data = bytearray(Path("c.mcipher").read_bytes())
    data[30] ^= 1
    Path("c.mcipher").write_bytes(data)
    damaged = medseal(*decrypt, "--header", "c.mcipher")
    assert damaged.code == 1
    assert "damaged" in damaged.err
    Path("c.mcipher").write_bytes(b"x" * 1000)
    assert is_one_line(medseal(*decrypt, "--header", "c.mcipher").err)


def test_another_key_and_changed_pixels_are_refused(
    medseal: Run, key: tuple[str, str], photo: Path
) -> None:
    encrypt = ("cipher", "encrypt", photo, "--form", "integer", "--output", "c.png", *key)
    assert medseal(*encrypt, "--header", "h").code == 0
    Path("other").write_text("ab" * 32)
    wrong = medseal("cipher", "decrypt", "c.png", "--output", "b.png", "--key-file", "other")
    assert wrong.code == 1
    assert "does not belong" in wrong.err
    pixels = np.array(Image.open("c.png"))
    pixels[3, 3, 0] ^= 1
    Image.fromarray(pixels).save("changed.png")
    changed = medseal(
        "cipher", "decrypt", "changed.png", "--output", "b.png", "--header", "h", *key
    )
    assert changed.code == 1
    assert is_one_line(changed.err)
    pixels = pixels[:-1]
    Image.fromarray(pixels).save("cut.png")
    cut = medseal("cipher", "decrypt", "cut.png", "--output", "b.png", "--header", "h", *key)
    assert cut.code != 0
    assert is_one_line(cut.err)
    assert not Path("b.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--form", "integer", "--recipient", "medseal1x"), "--recipient goes with"),
        (("--header", "h"), "go with a cipher image"),
        (("--key-file", "key"), "go with a cipher image"),
        (("--form", "integer", "--output", "c.jpg"), "written as .png or .dcm"),
        (("--form", "integer", "--header", "no/such/folder"), "no such folder"),
    ],
)
@pytest.mark.usefixtures("key")
def test_words_that_do_not_go_together(
    medseal: Run, photo: Path, words: tuple[str, ...], message: str
) -> None:
    more = ("--key-file", "key") if "integer" in words else ()
    finished = medseal("cipher", "encrypt", photo, "--output", "c.png", *words, *more)
    assert finished.code != 0
    assert message in finished.err
    assert is_one_line(finished.err)
    assert not Path("c.png").exists()


def test_several_frames_go_into_dicom_and_not_into_png(
    medseal: Run, key: tuple[str, str], tmp_path: Path
) -> None:
    frames = [Image.fromarray(np.full((20, 24), 40 * k, np.uint8)) for k in range(3)]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    encrypt = ("cipher", "encrypt", "stack.tif", "--form", "integer", *key, "--output")
    refused = medseal(*encrypt, "c.png")
    assert refused.code == 2
    assert "write a .dcm file" in refused.err
    assert medseal(*encrypt, "c.dcm", "--json").json[0]["frames"] == 3
    assert medseal("cipher", "decrypt", "c.dcm", "--output", "back.tif", *key).code == 0
    assert np.array_equal(read("back.tif").stored_values, read("stack.tif").stored_values)


def test_decrypt_of_what_is_no_cipher_image(
    medseal: Run, key: tuple[str, str], photo: Path, ct_file: Path
) -> None:
    for file in (photo, ct_file):
        finished = medseal("cipher", "decrypt", file, "--output", "b.png", *key)
        assert finished.code == 1
        assert "no header of a cipher image" in finished.err
    no_suffix = medseal("cipher", "decrypt", photo, "--output", "b", *key)
    assert no_suffix.code == 2
    assert "needs a suffix" in no_suffix.err


def test_a_release_as_a_cipher_image(medseal: Run, image_id: str) -> None:
    [made] = medseal("init", "--workspace", "theirs", "--json").json
    words = ("release", image_id, "--to", "ann", "--output", "copy.dcm")
    refused = medseal(*words, "--recipient", made["recipient"])
    assert refused.code == 2
    assert "--recipient goes with --cipher" in refused.err
    words += ("--cipher", "integer", "--recipient", made["recipient"])
    [line] = medseal(*words, "--json").json
    assert (line["cipher"], line["package"], line["note"]) == ("integer", "copy.dcm.key", NO_CLAIM)
    decrypt = ("cipher", "decrypt", "copy.dcm", "--package", "copy.dcm.key", "--output", "r.dcm")
    # The package is for them, not for the workspace that made it.
    own = medseal(*decrypt)
    assert own.code == 1
    assert is_one_line(own.err)
    both = medseal(*decrypt, "--key-file", "key")
    assert both.code == 2
    assert "--package holds key and header" in both.err
    assert medseal(*decrypt, "--workspace", "theirs", "--json").json[0]["note"] == NO_CLAIM
    [report] = medseal("verify", "r.dcm", "--json").json
    assert report["verdict"] == "authentic"
    assert report["release_id"] == line["release_id"]


def as_jpeg_dicom(source: str, output: str, quality: int) -> None:
    """Write a DICOM file again with its pixels as JPEG baseline, as an archive may."""
    dataset = pydicom.dcmread(source)
    stream = BytesIO()
    Image.fromarray(dataset.pixel_array).save(stream, "JPEG", quality=quality)
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(output)


@pytest.mark.parametrize("file", ["photo", "ct_file"])
def test_the_digital_form_is_exact_through_lossy_dicom(
    medseal: Run, key: tuple[str, str], request: pytest.FixtureRequest, file: str
) -> None:
    source: Path = request.getfixturevalue(file)
    encrypt = ("cipher", "encrypt", source, "--form", "digital", "--output", "c.dcm", *key)
    [line] = medseal(*encrypt, "--json").json
    assert (line["form"], line["backbone"]) == ("digital", None)
    as_jpeg_dicom("c.dcm", "lossy.dcm", 80)
    assert not np.array_equal(read("lossy.dcm").stored_values, read("c.dcm").stored_values)
    [line] = medseal("cipher", "decrypt", "lossy.dcm", "--output", "b.dcm", *key, "--json").json
    assert line["exact"] is True
    assert np.array_equal(read("b.dcm").stored_values, read(source).stored_values)
    as_jpeg_dicom("c.dcm", "ruined.dcm", 5)
    ruined = medseal("cipher", "decrypt", "ruined.dcm", "--output", "never.dcm", *key)
    assert ruined.code == 1
    assert is_one_line(ruined.err)
    assert not Path("never.dcm").exists()


def test_the_analog_form_comes_back_nearly_and_says_so(
    medseal: Run, key: tuple[str, str], ct_file: Path
) -> None:
    encrypt = ("cipher", "encrypt", ct_file, "--form", "analog", "--output", "c.dcm", *key)
    [line] = medseal(*encrypt, "--json").json
    assert (line["form"], line["rows"], line["columns"]) == ("analog", 128, 128)
    as_jpeg_dicom("c.dcm", "lossy.dcm", 90)
    finished = medseal("cipher", "decrypt", "lossy.dcm", "--output", "b.dcm", *key, "--json")
    assert finished.json[0]["exact"] is False
    assert finished.json[0]["note"] == NO_CLAIM
    assert "do not diagnose" in finished.err
    plain, back = read(ct_file).stored_values, read("b.dcm").stored_values
    error = np.sqrt(np.mean((plain.astype(float) - back) ** 2))
    assert 0 < error < 0.05 * np.ptp(plain)
