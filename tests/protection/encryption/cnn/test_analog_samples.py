import hashlib

import cv2
import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.encryption.cnn.analog_features import estimate, gate
from medseal.protection.encryption.cnn.analog_samples import (
    Sample,
    disturbed,
    draw,
    read_samples,
    whole,
)
from tests.protection.pictures import texture


def groups(count: int, *, held_back: bool) -> list[str]:
    names = (f"g{number}" for number in range(10_000))
    chosen = (n for n in names if (hashlib.sha256(n.encode()).digest()[0] % 12 == 0) == held_back)
    return [name for name, _ in zip(chosen, range(count), strict=False)]


def write(folder, rows):
    """Write images and their manifest: (name, group, rows, columns) each."""
    lines = ["path,modality,group,split_hint\n"]
    for seed, (name, group, height, width) in enumerate(rows):
        (folder / name).parent.mkdir(exist_ok=True)
        values = np.rint(texture(height, width, seed=seed) * 255).astype(np.uint8)
        cv2.imwrite(str(folder / name), values)
        lines.append(f"{name},CT chest,{group},train\n")
    (folder / "MANIFEST.csv").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    first, second = groups(2, held_back=False)
    (last,) = groups(1, held_back=True)
    rows = [("a/1.png", first, 120, 100), ("a/2.png", second, 300, 310), ("a/3.png", first, 40, 90)]
    data = write(tmp_path_factory.mktemp("data"), [*rows, ("a/4.png", last, 90, 90)])
    return read_samples(data, per_collection=9, seed=1)


def test_groups_are_kept_apart_and_small_images_left_out(samples) -> None:
    assert sorted(sample.image.shape for sample in samples.training) == [(120, 100), (256, 256)]
    assert [sample.image.shape for sample in samples.validation] == [(90, 90)]
    assert len(samples.digest) == 64


def test_pictures_are_coarse_and_their_errors_are_known(samples) -> None:
    (sample,) = samples.validation
    fine = float(np.sqrt(np.mean((sample.image - sample.coarse) ** 2)))
    rough = float(np.sqrt(np.mean((sample.image - sample.base) ** 2)))
    assert sample.error == pytest.approx(fine, rel=1e-3)
    assert sample.base_error == pytest.approx(rough, rel=1e-3)
    assert 0 < fine < rough < 0.2


def test_cuts_have_the_side_asked_for(samples) -> None:
    rng = np.random.default_rng(1)
    for _ in range(6):
        cut = draw(samples.training, rng, side=128)
        assert cut.image.shape == cut.coarse.shape == cut.base.shape == (128, 128)
    assert whole(samples.validation[0], side_multiple=8).image.shape == (88, 88)


def test_channels_are_of_every_strength(samples) -> None:
    rng = np.random.default_rng(1)
    sample: Sample = samples.validation[0]
    drawn = [disturbed(sample, rng, base_share=0.2) for _ in range(60)]
    base = [one for one in drawn if one.picture is sample.base]
    assert 4 <= len(base) <= 22
    assert all(np.all(gate(one) == 1) for one in base)
    others = [one for one in drawn if one.picture is sample.coarse]
    assert any(one.noise == 0 for one in others)
    assert any(one.weight.mean() < 0.8 for one in others)
    better = [np.mean((estimate(one) - sample.image) ** 2) < sample.error**2 for one in others]
    assert np.mean(better) > 0.9


def test_without_images_there_is_nothing_to_train_on(tmp_path) -> None:
    (only,) = groups(1, held_back=False)
    with pytest.raises(InputError, match="to train on"):
        read_samples(write(tmp_path, [("a/1.png", only, 30, 30)]), per_collection=9, seed=1)
