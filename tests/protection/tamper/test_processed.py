import dataclasses
import secrets

import numpy as np
import pytest

from medseal.errors import FingerprintError
from medseal.protection.attacks import distortions
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import CanonicalGrid, brightness
from medseal.protection.tamper.fingerprint import fingerprint
from medseal.protection.tamper.processed import (
    Finding,
    _is_unlike,
    findings,
    frame_finding,
)
from medseal.protection.tamper.reference.alignment import Unreadable
from medseal.protection.tamper.reference.inference import load
from medseal.protection.tamper.reference.record import enrol, frame_records, readout
from medseal.weights import store
from tests.protection.pictures import KEY, grey, picture
from tests.protection.tamper.reference.test_inference import saved, tensors_of
from tests.protection.tamper.reference.test_networks import seeing_network

SIDE = 256
# Rows and columns of what was forged.
PLACE = np.s_[60:100, 140:190]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Install the network made by hand as the only model of the comparison."""
    folder = tmp_path_factory.mktemp("weights")
    saved(folder, tensors_of(seeing_network()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_SHIPPED", folder)
        # The same salt each time: what a key reads, and so how sure the network is, is drawn by it.
        patch.setattr(secrets, "token_bytes", lambda count: bytes(range(count)))
        load.cache_clear()
        yield load()
    load.cache_clear()


def original():
    return grey(SIDE, SIDE)


def forged():
    """Return the original with a bright ellipse, and where it is."""
    values = original().stored_values.copy()
    row, column = np.ogrid[-1:1:40j, -1:1:50j]
    inside = row**2 + column**2 < 1
    part = values[0, :, :, 0][PLACE]
    part[inside] = np.clip(part[inside].astype(int) + 70, 0, 255)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[PLACE] = inside
    return picture(values), mask


@pytest.fixture(scope="module")
def record(installed):
    assert installed.model_id == "tiny"
    return fingerprint(original(), KEY)


def finding(copy, record):
    (found,) = findings(copy, record, KEY)
    assert isinstance(found, Finding), found
    assert found.score_map.shape == found.mask.shape == (copy.rows, copy.columns)
    return found


def overlap(found, mask):
    """Return F1 of a mask."""
    return 2 * (found & mask).sum() / (found.sum() + mask.sum())


def test_an_equal_copy_shows_nothing(record):
    found = finding(original(), record)
    assert found.logit < -1
    assert not found.mask.any()
    assert found.operations == ()
    assert found.model_id == "tiny"


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (lambda image: distortions.jpeg(image, quality=80), ()),
        (lambda image: distortions.resize(image, factor=2), ("scaled by 2.00",)),
        (lambda image: distortions.gamma(image, exponent=0.8), ("grey values changed",)),
        (lambda image: distortions.flip(image, axis="columns"), ("mirrored",)),
    ],
    ids=["JPEG", "scaled", "gamma", "mirrored"],
)
def test_what_was_only_handled_shows_nothing_but_the_handling(record, handle, words):
    found = finding(handle(original()), record)
    assert found.logit < 0
    for word in words:
        assert any(word in name for name in found.operations), found.operations


@pytest.mark.parametrize(
    ("handle", "move"),
    [
        (lambda image: distortions.jpeg(image, quality=80), lambda mask: mask),
        (lambda image: distortions.quarter_turn(image, turns=1), np.rot90),
        (
            lambda image: distortions.crop(image, top=20, left=16, rows=220, columns=230),
            lambda mask: mask[20:240, 16:246],
        ),
        (
            lambda image: distortions.resize(image, factor=2),
            lambda mask: np.kron(mask, np.ones((2, 2), np.bool_)),
        ),
    ],
    ids=["JPEG", "turned", "cropped", "scaled"],
)
def test_a_forgery_shows_where_it_lies_on_the_copy(record, handle, move):
    image, mask = forged()
    found = finding(handle(image), record)
    assert found.logit > 0
    # The network made by hand sees tiles of eight places.
    assert overlap(found.mask, move(mask)) > 0.6
    assert found.score_map[~found.mask].max() < found.score_map[found.mask].min()


def test_the_calibration_shifts_the_logit_and_sets_the_mask(installed):
    image, _ = forged()
    grid = CanonicalGrid.of(1, SIDE, SIDE)
    robust = enrol(original(), KEY, networks=installed)
    (kept,) = frame_records(robust, frames=1, grid=grid)
    read = readout(KEY, 0, grid=grid, networks=installed)
    plane = brightness(levels_of(image, frame=0))

    def found(networks):
        return frame_finding(networks, plane, kept, read, shape=(SIDE, SIDE))

    plain = found(installed)
    scaled = dataclasses.replace(installed, scale=2.0, offset=-1.0, place_threshold=1e-9)
    assert found(scaled).logit == pytest.approx(2 * plain.logit - 1)
    assert found(scaled).mask.sum() > plain.mask.sum()


def test_another_key_reads_nothing_but_noise(installed):
    """Whoever knows the method but not the key cannot tell what the record holds."""
    grid = CanonicalGrid.of(1, SIDE, SIDE)
    robust = enrol(original(), KEY, networks=installed)
    (kept,) = frame_records(robust, frames=1, grid=grid)
    read = readout(bytes(32), 0, grid=grid, networks=installed)
    plane = brightness(levels_of(original(), frame=0))
    found = frame_finding(installed, plane, kept, read, shape=(SIDE, SIDE))
    assert isinstance(found, Unreadable)
    assert "features are unlike" in found.reason


@pytest.mark.parametrize(
    ("energies", "explained", "unlike"),
    [
        # What lossy handling leaves, as it should be and where greys changed unlike in places.
        ([0.2] * 80 + [0.35] * 20, 1.0, False),
        ([0.2] * 80 + [0.5] * 20, 0.85, False),
        # Much noise on the same image, and features that say nothing any more.
        ([0.43] * 100, 0.995, False),
        ([0.43] * 100, 0.97, True),
        ([0.5] * 100, 0.995, True),
        # Another image, parts of which are as dark as this one's.
        ([0.25] * 60 + [0.65] * 40, 0.9, True),
        # A fifth of the image is forged, the rest is as it was.
        ([0.15] * 80 + [0.65] * 20, 0.85, False),
    ],
)
def test_another_image_is_told_from_a_copy(energies, explained, unlike):
    assert _is_unlike(np.array(energies), explained) is unlike


def test_another_image_is_not_compared(record):
    (found,) = findings(grey(SIDE, SIDE, seed=7), record, KEY)
    assert isinstance(found, Unreadable)
    assert "another image" in found.reason or "could not be laid" in found.reason


def test_a_constant_copy_is_not_compared(record):
    (found,) = findings(picture(np.full((SIDE, SIDE), 90, np.uint8)), record, KEY)
    assert isinstance(found, Unreadable)


@pytest.mark.parametrize(
    ("copy", "reason"),
    [
        (picture(np.zeros((2, SIDE, SIDE, 1), np.uint8)), "2 frames, the original has 1"),
        (grey(20, 256), "less than 24 rows or columns"),
        (picture(original().stored_values, photometric="PALETTE COLOR"), "palette indices"),
    ],
    ids=["frames", "tiny", "palette"],
)
def test_what_cannot_be_compared_is_said(record, copy, reason):
    found = findings(copy, record, KEY)
    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_a_record_without_robust_part_needs_no_networks(tmp_path, monkeypatch, record):
    monkeypatch.setattr(store, "_SHIPPED", tmp_path)
    load.cache_clear()
    plain = dataclasses.replace(record, robust=b"")
    found = findings(original(), plain, KEY)
    assert isinstance(found, Unreadable)
    assert "no robust part" in found.reason


def test_the_record_of_another_model_is_not_read(record):
    other = dataclasses.replace(record, robust=bytes(4) + record.robust[4:])
    found = findings(original(), other, KEY)
    assert isinstance(found, Unreadable)
    assert "another model" in found.reason


def test_a_robust_part_of_the_wrong_length_is_refused(record):
    cut = dataclasses.replace(record, robust=record.robust[:-1])
    with pytest.raises(FingerprintError, match="wrong length"):
        findings(original(), cut, KEY)


def test_each_frame_is_compared_with_its_own():
    frames = [grey(96, 96, seed=seed).stored_values for seed in range(3)]
    image = picture(np.concatenate(frames))
    record = fingerprint(image, KEY)
    changed = image.stored_values.copy()
    changed[1, 30:60, 30:60] = 255
    found = findings(picture(changed), record, KEY)
    assert [one.logit > 0 for one in found] == [False, True, False]
