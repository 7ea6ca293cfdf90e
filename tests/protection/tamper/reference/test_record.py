import numpy as np
import pytest

from medseal.errors import FingerprintError
from medseal.protection.tamper.canonical import CanonicalGrid, brightness, resampled, tile_means
from medseal.protection.tamper.fingerprint import MAX_ROBUST_BYTES
from medseal.protection.tamper.reference.codes import COARSE_LEVELS, MIXTURES
from medseal.protection.tamper.reference.inference import MODEL_TAG_BYTES, load_folder
from medseal.protection.tamper.reference.picture import QUANTILES
from medseal.protection.tamper.reference.record import (
    MAX_FRAME_BYTES,
    enrol,
    frame_records,
    model_tag,
    readout,
)
from tests.protection.pictures import KEY, grey, picture
from tests.protection.tamper.reference.test_inference import saved, tensors_of
from tests.protection.tamper.reference.test_networks import network_of


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return load_folder(saved(tmp_path_factory.mktemp("model"), tensors_of(network_of())))


def enrolled(image, networks, key=KEY):
    return enrol(image, key, networks=networks)


def record_of(image, networks, *, robust=None):
    grid = CanonicalGrid.of(image.frames, image.rows, image.columns)
    robust = enrolled(image, networks) if robust is None else robust
    return frame_records(robust, frames=image.frames, grid=grid)


def frames_of(count, rows=40, columns=40):
    drawn = np.random.default_rng(0).integers(0, 256, (count, rows, columns, 1), np.uint8)
    return picture(drawn)


@pytest.mark.parametrize(
    ("rows", "columns"), [(512, 512), (128, 120), (2000, 700), (24, 24), (40, 480)]
)
def test_a_frame_takes_less_than_two_kilobytes(networks, rows, columns):
    robust = enrolled(grey(rows, columns), networks)
    assert 1600 < len(robust) <= MODEL_TAG_BYTES + MAX_FRAME_BYTES <= 2048
    assert model_tag(robust) == networks.tag


def test_the_largest_frame_is_that_of_a_square_image(networks):
    assert len(enrolled(grey(64, 64), networks)) == MODEL_TAG_BYTES + MAX_FRAME_BYTES


def test_many_frames_share_the_room(networks):
    image = frames_of(20)
    robust = enrolled(image, networks)
    assert len(robust) <= MAX_ROBUST_BYTES
    records = record_of(image, networks)
    assert len(records) == 20
    assert not np.array_equal(records[0].codes, records[1].codes)


def test_the_same_image_and_key_give_the_same_record(networks):
    image = grey(100, 100)
    assert enrolled(image, networks) == enrolled(image, networks)
    other = enrolled(image, networks, bytes(32))
    assert other != enrolled(image, networks)
    # The coarse picture holds no secret.
    size = MODEL_TAG_BYTES + COARSE_LEVELS + QUANTILES + 1024 * 3 // 8
    assert other[:size] == enrolled(image, networks)[:size]


def test_equal_frames_are_read_by_different_sub_keys(networks):
    single = grey(100, 100).stored_values
    image = picture(np.concatenate([single, single]))
    first, second = record_of(image, networks)
    assert np.array_equal(first.picture.coarse, second.picture.coarse)
    assert np.mean(first.codes == second.codes) < 0.5


def test_a_record_holds_what_was_seen(networks):
    image = grey(150, 140)
    (record,) = record_of(image, networks)
    grid = CanonicalGrid.of(1, image.rows, image.columns)
    plane = resampled(brightness(image.stored_values[0, :, :, 0].astype(np.float32)), grid.shape)
    apart = record.picture.coarse - tile_means(plane)
    assert record.picture.coarse.shape == (grid.down, grid.across)
    assert record.codes.shape == (grid.tiles, MIXTURES)
    # What the record says of its own error is about right.
    assert float(np.sqrt(np.mean(apart**2))) == pytest.approx(record.picture.error, rel=0.3)
    codes = readout(KEY, 0, grid=grid, networks=networks).codes(networks.read(plane).features)
    assert np.array_equal(record.codes, codes)


@pytest.mark.parametrize(
    "image",
    [
        picture(np.full((64, 64), 77, np.uint8)),
        grey(20, 200),
        grey(30, 400),
        frames_of(251, 24, 24),
        picture(grey(64, 64).stored_values, photometric="PALETTE COLOR"),
    ],
    ids=["constant", "tiny", "long", "many frames", "palette"],
)
def test_where_nothing_can_be_compared_nothing_is_kept(networks, image):
    assert enrolled(image, networks) == b""


def test_one_frame_with_content_is_enough(networks):
    values = np.zeros((3, 64, 64, 1), np.uint8)
    values[1] = grey(64, 64).stored_values[0]
    records = record_of(picture(values), networks)
    assert [record.picture.error > 0 for record in records] == [False, True, False]


def test_colour_and_inverted_values_have_the_record_of_what_they_show(networks):
    values = grey(64, 64).stored_values
    colour = picture(np.repeat(values, 3, axis=3), photometric="RGB")
    inverted = picture(255 - values, photometric="MONOCHROME1")
    plain = record_of(picture(values), networks)[0]
    for other in (colour, inverted):
        assert np.mean(record_of(other, networks)[0].codes == plain.codes) > 0.99


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_another_length_is_refused(networks, change):
    robust = change(enrolled(grey(64, 64), networks))
    with pytest.raises(FingerprintError, match="wrong length"):
        record_of(grey(64, 64), networks, robust=robust)


def test_levels_that_fall_are_refused(networks):
    robust = bytearray(enrolled(grey(64, 64), networks))
    robust[MODEL_TAG_BYTES] = 255
    with pytest.raises(FingerprintError, match="do not rise"):
        record_of(grey(64, 64), networks, robust=bytes(robust))


def test_unused_bits_are_zero(networks):
    # 9 x 108 tiles: 2916 bits of the picture, so that 4 bits of its last byte are unused.
    image = grey(24, 288)
    robust = bytearray(enrolled(image, networks))
    robust[MODEL_TAG_BYTES + COARSE_LEVELS + QUANTILES + 2916 // 8] |= 1
    with pytest.raises(FingerprintError, match="unused bits"):
        record_of(image, networks, robust=bytes(robust))
