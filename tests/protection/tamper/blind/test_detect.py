import numpy as np
import pytest

from medseal.protection.tamper.blind import detect
from medseal.protection.tamper.blind.inference import load_folder
from tests.protection.pictures import grey, picture, texture
from tests.protection.tamper.blind.test_inference import saved

# So wide that every image is one of those that the detector was made for.
EVERYTHING = 1e9


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_folder(saved(tmp_path_factory.mktemp("m"), more={"most_distance": EVERYTHING}))


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory):
    more = {"most_distance": EVERYTHING, "threshold": 0.0, "map_threshold": -99.0}
    return load_folder(saved(tmp_path_factory.mktemp("m"), model_id="alarmed", more=more))


@pytest.fixture(scope="module")
def shy(tmp_path_factory):
    more = {"most_distance": 0.0, "threshold": 0.0}
    return load_folder(saved(tmp_path_factory.mktemp("m"), model_id="shy", more=more))


@pytest.mark.parametrize(
    "image",
    [
        grey(150, 200),
        picture(np.rint(texture(100, 90) * 4000).astype(np.uint16), bits=12),
        picture(np.rint(texture(100, 90) * 3000 - 1500).astype(np.int16)),
        picture(texture(80, 90).astype(np.float32)),
        picture(grey(80, 90).stored_values, photometric="MONOCHROME1"),
        picture(np.repeat(grey(80, 90).stored_values, 3, axis=3), photometric="RGB"),
    ],
    ids=str,
)
def test_an_opinion_has_the_shape_of_the_image(model, image):
    report = detect(image, model=model)
    assert report.mask.shape == report.reliability.shape == (image.rows, image.columns)
    assert 0 <= report.score <= 1
    assert 0 <= report.reliability.min() <= report.reliability.max() <= 1
    assert report.flagged == (report.score >= report.operating_point.threshold)
    assert not report.abstained
    assert report.model_id == "tiny"
    assert not report.mask.flags.writeable


def test_the_same_image_gives_the_same_opinion(model):
    first, again = detect(grey(), model=model), detect(grey(), model=model)
    assert first.score == again.score
    assert np.array_equal(first.mask, again.mask)


def test_a_low_threshold_flags_everything(alarmed):
    report = detect(grey(100, 100), model=alarmed)
    assert report.flagged
    assert report.mask.all()


def test_where_nothing_varies_nothing_is_reliable(model):
    image = grey(128, 128)
    report = detect(image, model=model)
    assert not report.reliability[:4, :4].any()
    assert report.reliability[64, 64] > 0


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (grey(63, 200), "fewer than 64"),
        (picture(np.full((1, 1), 7, np.uint8)), "fewer than 64"),
        (picture(np.full((100, 100), 7, np.uint8)), "nothing varies"),
        (picture(np.full((100, 100), np.nan, np.float32)), "nothing varies"),
    ],
    ids=str,
)
def test_an_image_that_says_nothing_is_abstained_from(alarmed, image, reason):
    report = detect(image, model=alarmed)
    assert report.abstained
    assert not report.flagged
    assert reason in report.reason
    assert report.score == 0.5
    assert not report.mask.any()
    assert report.mask.shape == (image.rows, image.columns)


def test_an_image_unlike_all_others_is_abstained_from_with_a_score(shy):
    report = detect(grey(100, 100), model=shy)
    assert report.abstained
    assert not report.flagged
    assert "unlike" in report.reason


def test_the_most_suspicious_frame_counts(model):
    frames = [grey(100, 100, seed=seed).stored_values[0] for seed in range(4)]
    scores = [detect(picture(frame[None]), model=model).score for frame in frames]
    report = detect(picture(np.stack(frames)), model=model)
    assert report.frame == int(np.argmax(scores))
    # Four looks instead of one: the same finding says less.
    assert report.score < max(scores)
    alone = detect(picture(frames[report.frame][None]), model=model)
    assert np.array_equal(report.mask, alone.mask)


def test_the_installed_detector_says_its_operating_point():
    report = detect(grey(224, 224))
    assert report.model_id == "tamper-blind"
    assert not report.abstained
    assert report.operating_point.false_alarm_rate == pytest.approx(0.05, abs=0.01)
    assert report.flagged == (report.score >= report.operating_point.threshold)


def test_the_installed_detector_does_not_know_plain_noise():
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    report = detect(picture(noise))
    assert report.abstained
    assert not report.flagged
