"""What the shipped networks make of generated images, from end to end."""

import secrets
from functools import partial

import numpy as np
import pytest

from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.protection.attacks import distortions
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.levels import change_levels, levels_of
from medseal.protection.tamper import check, fingerprint
from tests.protection.pictures import KEY, grey

IMAGES = {
    "MR": lambda: mr_phantom(generator=np.random.default_rng(1)),
    "CT": lambda: ct_phantom(generator=np.random.default_rng(2), rows=320, columns=288),
    "8 bits": lambda: grey(256, 240),
}
HANDLED = {
    "JPEG 90": lambda image: distortions.jpeg(image, quality=90),
    "JPEG 60": lambda image: distortions.jpeg(image, quality=60),
    "half": lambda image: distortions.resize(image, factor=0.5),
    "rotation": lambda image: distortions.rotate(image, degrees=4),
    "gamma": lambda image: distortions.gamma(image, exponent=0.8),
    "noise": lambda image: distortions.gaussian_noise(image, sigma=3, rng=np.random.default_rng(0)),
}

# How often forgeries are missed is measured in docs/results.md; of those here these weights miss:
MISSED = {("CT", "JPEG 60")}
WORDS = {"half": "scaled by 0.50", "rotation": "rotated by", "gamma": "grey values"}


@pytest.fixture(scope="module", autouse=True)
def _same_salt():
    """What a key reads is drawn by the salt: the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda count: bytes(range(count)))
        yield


@pytest.fixture(scope="module", params=IMAGES)
def recorded(request):
    image = IMAGES[request.param]()
    return image, fingerprint(image, KEY)


def lesion_in(image):
    """Return the image with a blended lesion of some size, and where it is."""
    levels = levels_of(image, frame=0)
    for seed in range(400):
        edited = random_edit(np.random.default_rng(seed), levels, families=("lesion",))
        rows, columns = (np.flatnonzero(edited.mask.any(axis=axis)) for axis in (1, 0))
        inside = rows[0] > 48 and rows[-1] < image.rows - 48
        inside &= columns[0] > 48 and columns[-1] < image.columns - 48
        fits = edited.family == "lesion" and 24 <= edited.extent_pixels <= 60
        if inside and fits and edited.contrast > 0.2:
            return change_levels(image, partial(_given, edited.levels)), edited.mask
    raise AssertionError("no lesion of that size was drawn")


def _given(levels, _):
    return levels


def overlap(found, mask):
    return 2 * (found & mask).sum() / (found.sum() + mask.sum())


def test_the_record_is_small(recorded):
    _, record = recorded
    assert 1600 < len(record.robust) <= 2048


@pytest.mark.parametrize("name", HANDLED)
def test_an_untouched_copy_is_processed(recorded, name):
    image, record = recorded
    report = check(HANDLED[name](image), record, KEY)
    assert report.outcome == "processed", report.checks
    assert not report.mask.any()
    assert any(WORDS.get(name, "") in done for done in (*report.operations, ""))


@pytest.mark.parametrize("name", ["JPEG 90", "JPEG 60", "gamma"])
def test_a_lesion_behind_processing_is_found_where_it_lies(recorded, name, request):
    image, record = recorded
    if (request.node.callspec.params["recorded"], name) in MISSED:
        request.applymarker(pytest.mark.xfail(reason="missed by these weights", strict=True))
    forged, mask = lesion_in(image)
    report = check(HANDLED[name](forged), record, KEY)
    assert report.outcome == "tampered", report.checks
    assert overlap(report.mask, mask) > 0.3
    rows, columns = np.nonzero(mask)
    middle = rows.mean(), columns.mean()
    assert any(
        one.row <= middle[0] < one.row + one.height
        and one.column <= middle[1] < one.column + one.width
        for one in report.regions
    )


def test_the_mask_lies_on_the_copy_as_it_was_turned(recorded):
    image, record = recorded
    forged, mask = lesion_in(image)
    copy = distortions.jpeg(distortions.quarter_turn(forged, turns=1), quality=85)
    report = check(copy, record, KEY)
    assert report.outcome == "tampered", report.checks
    assert report.mask.shape == (copy.rows, copy.columns)
    assert overlap(report.mask, np.rot90(mask)) > 0.3


def test_the_mask_lies_on_the_copy_as_it_was_scaled(recorded):
    image, record = recorded
    forged, mask = lesion_in(image)
    report = check(distortions.resize(forged, factor=2), record, KEY)
    assert report.outcome == "tampered", report.checks
    assert overlap(report.mask, np.kron(mask, np.ones((2, 2), np.bool_))) > 0.3


def test_another_image_is_unverifiable(recorded):
    image, record = recorded
    other = mr_phantom(generator=np.random.default_rng(77), rows=image.rows, columns=image.columns)
    if image.modality == "MR":
        other = ct_phantom(
            generator=np.random.default_rng(77), rows=image.rows, columns=image.columns
        )
    report = check(distortions.jpeg(other, quality=90), record, KEY)
    assert report.outcome == "unverifiable", report.checks
    assert not report.mask.any()
