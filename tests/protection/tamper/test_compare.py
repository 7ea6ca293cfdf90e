import dataclasses
import secrets
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import FingerprintError, InputError
from medseal.imaging import read
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper import MODEL_ID, check, fingerprint, signer_of
from medseal.protection.tamper.changes import changes_of
from medseal.protection.tamper.compare import _tampered
from medseal.protection.tamper.exact import find
from tests.protection.pictures import KEY, grey, picture, texture

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
ORIENTATIONS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


def oriented(image, turns, mirrored):
    copy = distortions.quarter_turn(image, turns=turns)
    return distortions.flip(copy, axis="columns") if mirrored else copy


def oriented_mask(mask, turns, mirrored):
    turned = np.rot90(mask, turns)
    return turned[:, ::-1] if mirrored else turned


def test_an_equal_copy_is_authentic():
    image = grey()
    report = check(image, fingerprint(image, KEY), KEY)
    assert report.outcome == "authentic"
    assert report.score == 0.0
    assert not report.mask.any()
    assert report.model_id == MODEL_ID


@given(
    shape=st.tuples(
        st.integers(1, 3), st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3])
    ),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int16, np.int32]),
    is_constant=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_one_value_by_one_level_is_never_missed(shape, dtype, is_constant, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 100, shape).astype(dtype)
    if is_constant:
        values[...] = 7
    image = picture(values, photometric="RGB" if shape[3] == 3 else "MONOCHROME2")
    record = fingerprint(image, KEY)
    place = tuple(int(rng.integers(0, side)) for side in shape)
    edited = values.copy()
    edited[place] += rng.choice([-1, 1])
    copy = image.with_stored_values(edited)
    report = check(copy, record, KEY)
    assert report.outcome in ("tampered", "unverifiable")
    # Few tiles, of which each is a large share of the image, leave nothing to compare with.
    if record.grid.tiles > 64 or (is_constant and record.grid.tiles > 4):
        assert report.outcome == "tampered"
        assert report.score == 1.0
        assert report.proven[place[1], place[2]]
        assert report.proven.sum() <= record.grid.tile_rows * record.grid.tile_columns
        (region,) = report.regions
        assert region.row <= place[1] < region.row + region.height
        assert region.column <= place[2] < region.column + region.width


@pytest.mark.parametrize(("turns", "mirrored"), ORIENTATIONS)
def test_equal_values_in_another_orientation_are_transcoded(turns, mirrored):
    image = grey(200, 150)
    record = fingerprint(image, KEY)
    copy = oriented(image, turns, mirrored)
    for key in (KEY, None):
        report = check(copy, record, key)
        if (turns, mirrored) == (0, False):
            assert report.outcome == "authentic"
        else:
            assert report.outcome == "transcoded"
            assert len(report.operations) == 1
        assert report.score == 0.0
        assert not report.mask.any()


def test_the_orientation_is_named():
    image = grey(200, 150)
    record = fingerprint(image, KEY)
    seen = {check(oriented(image, *way), record, KEY).operations for way in ORIENTATIONS}
    assert len(seen) == 8
    assert check(oriented(image, 1, False), record, KEY).operations == ("turned by 90 degrees",)
    assert check(oriented(image, 0, True), record, KEY).operations == ("mirrored left to right",)
    upside_down = distortions.flip(image, axis="rows")
    assert check(upside_down, record, KEY).operations == ("mirrored top to bottom",)


@pytest.mark.parametrize(("turns", "mirrored"), ORIENTATIONS)
def test_an_edit_is_found_in_every_orientation(turns, mirrored):
    rng = np.random.default_rng(turns * 2 + mirrored)
    image = grey(331, 260)
    record = fingerprint(image, KEY)
    forged, mask = forgeries.insert_lesion(image, rng, radius=9)
    report = check(oriented(forged, turns, mirrored), record, KEY)
    assert report.outcome == "tampered"
    expected = oriented_mask(mask, turns, mirrored)
    assert not (expected & ~report.proven).any()
    assert report.proven.sum() < 0.05 * report.proven.size


FORGERIES = {
    "copy-move": lambda i, rng: forgeries.copy_move(i, rng, rows=40, columns=30),
    "splice": lambda i, rng: forgeries.splice(i, grey(seed=9), rng, rows=24, columns=24),
    "removal": lambda i, rng: forgeries.remove(i, rng, radius=8),
    "lesion": lambda i, rng: forgeries.insert_lesion(i, rng, radius=4),
    "one step": lambda i, rng: forgeries.change_block(i, rng, size=1, steps=1),
    "block": lambda i, rng: forgeries.change_block(i, rng, size=16, steps=3),
    "text": lambda i, rng: forgeries.burn_text(i, "L 12.3", rng),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_every_forgery_is_found_and_covered(name):
    rng = np.random.default_rng(1)
    image = grey(400, 400)
    record = fingerprint(image, KEY)
    for _ in range(5):
        forged, mask = FORGERIES[name](image, rng)
        report = check(forged, record, KEY)
        assert report.outcome == "tampered"
        assert not (mask & ~report.proven).any()
        assert report.regions


def test_several_edits_are_several_regions():
    image = grey(512, 512)
    record = fingerprint(image, KEY)
    values = image.stored_values.copy()
    for place in ((40, 40), (250, 250), (400, 100)):
        values[0][place] ^= 1
    report = check(image.with_stored_values(values), record, KEY)
    assert report.outcome == "tampered"
    assert len(report.regions) == 3


PROCESSED = {
    "JPEG": lambda i: distortions.jpeg(i, quality=75),
    "noise": lambda i: distortions.gaussian_noise(i, sigma=2, rng=np.random.default_rng(1)),
    "brightness": lambda i: distortions.brightness(i, share=0.1),
    "gamma": lambda i: distortions.gamma(i, exponent=0.9),
    "blur": lambda i: distortions.blur(i, sigma=1),
    "turned": lambda i: distortions.rotate(i, degrees=3),
    "JPEG 2000": lambda i: distortions.jpeg2000(i, psnr_db=45),
}


@pytest.mark.parametrize("name", PROCESSED)
def test_a_copy_processed_as_a_whole_is_handed_to_the_comparison(name):
    image = grey(400, 400)
    report = check(PROCESSED[name](image), fingerprint(image, KEY), KEY)
    assert 0 < report.score < 1
    names = [check[0] for check in report.checks]
    assert names[-1] == "fingerprint"
    assert "processed as a whole" in report.checks[names.index("tiles")][2]


@pytest.mark.parametrize(
    "change",
    [
        lambda i: distortions.crop(i, top=0, left=0, rows=300, columns=400),
        lambda i: distortions.resize(i, factor=0.5),
    ],
)
def test_another_geometry_is_handed_to_the_comparison(change):
    image = grey(400, 400)
    report = check(change(image), fingerprint(image, KEY), KEY)
    details = {name: detail for name, _, detail in report.checks}
    assert details["tiles"].startswith("geometry differs")
    assert "fingerprint" in details


def test_another_patients_image_is_not_called_an_edit():
    report = check(grey(400, 400, seed=1), fingerprint(grey(400, 400, seed=2), KEY), KEY)
    assert report.outcome == "unverifiable"


def test_wider_cells_are_the_same_values_and_added_samples_are_named():
    image = grey()
    record = fingerprint(image, KEY)
    wide = image.with_stored_values(image.stored_values.astype(np.uint16), bits_stored=16)
    assert check(wide, record, KEY).outcome == "authentic"
    grey_as_colour = np.repeat(image.stored_values, 3, axis=3)
    opaque = np.full_like(image.stored_values, 255)
    for values, name in (
        (grey_as_colour, "RGB"),
        (np.concatenate([image.stored_values, opaque], axis=3), "MONOCHROME2A"),
        (np.concatenate([grey_as_colour, opaque], axis=3), "RGBA"),
    ):
        copy = image.with_stored_values(values, photometric_interpretation=name)
        report = check(copy, record, KEY)
        assert report.outcome == "transcoded"
        assert report.operations == ("samples added",)


def test_colour_that_was_added_is_not_overlooked():
    image = grey()
    values = np.repeat(image.stored_values, 3, axis=3)
    values[0, 50, 50, 2] ^= 1
    copy = image.with_stored_values(values, photometric_interpretation="RGB")
    report = check(copy, fingerprint(image, KEY), KEY)
    assert report.outcome == "tampered"
    assert report.operations == ("samples added",)
    assert report.proven[50, 50]
    partly = np.full_like(image.stored_values, 255)
    partly[0, :9] = 0
    veiled = image.with_stored_values(
        np.concatenate([image.stored_values, partly], axis=3),
        photometric_interpretation="MONOCHROME2A",
    )
    report = check(veiled, fingerprint(image, KEY), KEY)
    assert report.outcome == "tampered"
    assert report.proven[:9].all()
    assert not report.proven[20:].any()


def test_a_value_that_only_wraps_around_to_the_original_is_an_edit():
    image = grey()
    values = image.stored_values.astype(np.uint16)
    values[0, 100, 100] += 256
    copy = image.with_stored_values(values, bits_stored=16)
    report = check(copy, fingerprint(image, KEY), KEY)
    assert report.outcome == "tampered"
    assert report.proven[100, 100]


def test_equal_values_that_are_shown_inverted_are_not_called_authentic():
    image = grey()
    record = fingerprint(image, KEY)
    inverted = dataclasses.replace(
        image, photometric_interpretation="MONOCHROME1", source_format="dicom"
    )
    report = check(inverted, record, KEY)
    assert report.outcome == "processed"
    assert report.operations == ("MONOCHROME2 declared as MONOCHROME1",)
    # A format that cannot say it is not to blame, and the check says what may be seen.
    silent = dataclasses.replace(image, photometric_interpretation="MONOCHROME1")
    report = check(silent, record, KEY)
    assert report.outcome == "transcoded"
    assert report.checks[-1][:2] == ("meaning", "unknown")


def test_the_changed_frame_is_named():
    volume = picture(
        np.stack([np.rint(texture(96, 96, seed=s) * 4000) for s in range(6)]).astype(np.uint16)[
            ..., None
        ],
        bits=12,
    )
    forged, mask = forgeries.change_block(
        volume, np.random.default_rng(3), size=4, steps=9, frame=4
    )
    report = check(forged, fingerprint(volume, KEY), KEY)
    assert report.outcome == "tampered"
    assert any("in frames 4 (counted from 0)" in detail for _, _, detail in report.checks)
    assert not (mask & ~report.proven).any()


def test_a_change_that_no_tile_shows_is_anywhere():
    """As often as two MACs of 16 bits are equal by chance: the digest differs, and no tile does."""
    image = grey(64, 64)
    record = fingerprint(image, KEY)
    found = find(image, record, KEY)
    changes = changes_of(image, found, record)
    assert not changes.proven.any()
    report = _tampered(image, record, KEY, found=found, changes=changes, checks=[])
    assert report.outcome == "tampered"
    assert report.mask.all()
    assert report.proven.all()
    assert "no tile shows where" in report.checks[-1][2]


def test_a_replaced_frame_is_found():
    values = np.stack([texture(96, 96, seed=s) * 255 for s in range(6)]).astype(np.uint8)
    record = fingerprint(picture(values[..., None]), KEY)
    values[2] = (texture(96, 96, seed=77) * 255).astype(np.uint8)
    report = check(picture(values[..., None]), record, KEY)
    assert report.outcome == "tampered"
    assert "frames 2 " in report.checks[-1][2]


def test_an_edit_of_a_nearly_symmetric_image_that_was_mirrored():
    half = np.rint(texture(128, 64) * 255).astype(np.uint8)
    values = np.concatenate([half, half[:, ::-1]], axis=1)
    values[64, 3] ^= 8
    image = picture(values)
    record = fingerprint(image, KEY)
    mirrored = distortions.flip(image, axis="columns")
    assert check(mirrored, record, KEY).outcome == "transcoded"
    edited = mirrored.stored_values.copy()
    edited[0, 10, 100] ^= 1
    report = check(mirrored.with_stored_values(edited), record, KEY)
    assert report.outcome == "tampered"
    assert report.proven[10, 100]


def test_not_a_number_and_minus_zero_are_values_like_others():
    values = texture(100, 100).astype(np.float32)
    values[3, 4] = np.nan
    image = picture(values)
    record = fingerprint(image, KEY)
    assert check(image, record, KEY).outcome == "authentic"
    values[3, 5] = np.nan
    assert check(picture(values), record, KEY).outcome == "tampered"


def test_without_a_record_nothing_is_decided():
    report = check(grey(), None, None)
    assert report.outcome == "unverifiable"
    assert report.checks == (("record", "unknown", "there is no fingerprint to compare with"),)


def test_without_a_key_a_change_is_not_located():
    image = grey()
    forged, _ = forgeries.change_block(image, np.random.default_rng(1), size=4, steps=9)
    assert check(forged, fingerprint(image, KEY), None).outcome == "unverifiable"
    assert check(image, fingerprint(image, KEY), None).outcome == "authentic"


def test_without_a_key_the_signature_must_fit():
    image = grey()
    record = fingerprint(image, KEY)
    named = check(image, record, None, signer=signer_of(KEY))
    assert (named.outcome, named.checks[0][1]) == ("authentic", "pass")
    unnamed = check(image, record, None)
    assert (unnamed.outcome, unnamed.checks[0][1]) == ("authentic", "unknown")
    assert record.signer.hex() in unnamed.checks[0][2]
    stripped = dataclasses.replace(record, textured=bytes(len(record.textured)))
    with pytest.raises(FingerprintError, match="its signature does not fit"):
        check(image, stripped, None)


@pytest.mark.parametrize("key", [KEY, None])
def test_another_signer_than_the_given_one_is_an_error(key):
    image = grey()
    with pytest.raises(FingerprintError, match="signed by another key than the given one"):
        check(image, fingerprint(image, KEY), key, signer=signer_of(bytes(32)))


def test_the_wrong_key_is_an_error_and_no_verdict():
    image = grey()
    with pytest.raises(FingerprintError, match="made with another key"):
        check(image, fingerprint(image, KEY), secrets.token_bytes(32))


def packaged_images():
    for path in sorted(PYDICOM_FILES.glob("*.dcm")):
        try:
            image = read(path)
        except InputError:
            continue
        if image.stored_values.size <= 2**20:
            yield path.name, image


def test_packaged_dicom_images():
    rng = np.random.default_rng(11)
    seen = 0
    for name, image in packaged_images():
        record = fingerprint(image, KEY)
        assert check(image, record, KEY).outcome == "authentic", name
        turned = distortions.quarter_turn(image, turns=1)
        assert check(turned, record, KEY).outcome in ("transcoded", "authentic"), name
        step = 1 if image.stored_values.dtype.kind != "f" else 0.5
        forged, mask = forgeries.change_block(image, rng, size=1, steps=step)
        report = check(forged, record, KEY)
        assert report.outcome == "tampered", (name, report.checks)
        assert not (mask & ~report.proven).any(), name
        seen += 1
    assert seen >= 30
