import json

import pytest

from medseal import weights
from medseal.classification.checkpoint import CHECKPOINT_NAME
from medseal.classification.fit import LOG_NAME
from medseal.classification.predict import load_folder
from medseal.classification.train import EVALUATION_NAME, SPLIT_NAME, train
from medseal.datasets import Split, read_dataset
from medseal.errors import ConfigurationError, InputError


def test_folder_is_ready_to_ship(trained, brain_folder):
    card, tensors = weights.load_folder(trained.folder)
    assert card.id == "tiny-cnn"
    assert card.classes == ("no_tumour", "tumour")
    assert "phantoms" in card.limits
    assert card.training["split_digest"] == str(
        read_dataset("brain-mri", brain_folder).split(seed=1).digest
    )
    assert {str(t.dtype) for t in tensors.values() if t.ndim > 1} == {"float16"}
    assert card.training["storage"]["changed_decisions"] == 0
    assert card.training["storage"]["largest_probability_change"] < 0.01
    estimate, low, high = card.metrics["accuracy"]
    assert 0 <= low <= estimate <= high <= 1
    assert card.metrics["images"] == card.training["test_images"]


def test_card_says_what_the_evaluation_says(trained):
    card = weights.read_card(trained.folder)
    written = json.loads((trained.run_folder / EVALUATION_NAME).read_text())
    assert written == trained.evaluation
    for name in ("accuracy", "sensitivity", "specificity", "auroc", "brier"):
        figure = written["figures"][name]
        assert card.metrics[name] == [figure["estimate"], figure["low"], figure["high"]]


def test_run_folder_holds_split_log_and_checkpoint(trained):
    split = Split.read(trained.run_folder / SPLIT_NAME)
    card = weights.read_card(trained.folder)
    assert str(split.digest) == card.training["split_digest"]
    assert len((trained.run_folder / LOG_NAME).read_text().splitlines()) == card.training["epochs"]
    assert (trained.run_folder / CHECKPOINT_NAME).exists()


def test_second_run_writes_the_same_weights(trained, brain_folder):
    before = weights.read_card(trained.folder)
    config = trained.folder.parent / "config.toml"
    again = train(config, data_dir=brain_folder, output_dir=trained.folder.parent)
    assert weights.read_card(again.folder) == before
    assert [path.name for path in trained.folder.parent.iterdir() if path.name[0] == "."] == []


def test_other_settings_in_the_same_folder_are_refused(trained, brain_folder, tmp_path):
    text = (trained.folder.parent / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(text.replace("batch_size = 8", "batch_size = 4"))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        train(tmp_path / "config.toml", data_dir=brain_folder, output_dir=trained.folder.parent)


def test_calibration_comes_from_the_stored_weights(trained):
    classifier = load_folder(trained.folder)
    assert classifier.temperature > 0
    assert 0.5 <= classifier.card.calibration["abstain_below"] <= 1


def test_svm_is_written_the_same_way(trained_svm):
    card, tensors = weights.load_folder(trained_svm.folder)
    assert card.method == "linear-svm"
    assert card.training["cost"] in card.training["settings"]["costs"]
    assert set(tensors) == {"mean", "scale", "weights", "offsets"}


def test_empty_folder_is_refused(tmp_path, trained):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="no image of brain-mri"):
        train(
            trained.folder.parent / "config.toml",
            data_dir=tmp_path / "data",
            output_dir=tmp_path / "out",
        )


def test_colour_and_three_classes(trained_colour):
    card, tensors = weights.load_folder(trained_colour.folder)
    assert card.classes == ("normal", "benign", "malignant")
    assert dict(card.network) == {"dropout": 0.1, "mirror": True}
    assert card.training["left_out"] == ["elsewhere"]
    assert card.training["sources"] == ["here", "there"]
    assert tensors["stem.0.weight"].dtype == "int8"
    assert card.training["storage"]["precision"] == "int8"
    assert card.metrics["accuracy"][0] >= 0.8
    assert card.metrics["left_out"]["images"] == 39
    assert card.metrics["left_out"]["accuracy"][0] >= 0.8
    assert len(card.calibration["offsets"]) == 3
    assert sum(card.calibration["offsets"]) == pytest.approx(0, abs=1e-9)


def test_left_out_source_is_in_no_part(trained_colour, colour_folder):
    whole = read_dataset("ct-lung", colour_folder)
    outside = {r.path for r in whole.restrict(sources=["elsewhere"]).records}
    split = Split.read(trained_colour.run_folder / SPLIT_NAME)
    used = {name for part in ("train", "validation", "test") for name in split.names(part)}
    assert len(outside) == 39
    assert not used & outside


def test_without_the_test_the_figures_are_of_validation(brain_folder, tmp_path, trained_svm):
    config = trained_svm.folder.parent / "config.toml"
    result = train(config, data_dir=brain_folder, output_dir=tmp_path, test=False)
    card = weights.read_card(result.folder)
    assert card.metrics["part"] == "validation"
    assert card.metrics["images"] == card.training["validation_images"]


def test_ensemble_is_not_worse_than_its_members_on_validation(trained_ensemble):
    card, tensors = weights.load_folder(trained_ensemble.folder)
    assert card.network["members"] == ["tiny-cnn", "tiny-svm"]
    for name, digest in zip(card.network["members"], card.network["sha256"], strict=True):
        member = weights.read_card(trained_ensemble.folder.parent / name)
        assert member.sha256.value.hex() == digest
    assert tensors["shares"].sum() == pytest.approx(1)
    notes = card.training
    gain, error = notes["validation_gain"]
    shares = notes["shares"]
    assert list(shares) == card.network["members"]
    # One member alone says what it says itself, and needs no calibration of its own.
    assert (max(shares.values()) == 1) == (card.calibration["temperature"] == 1) == (gain <= error)
    if max(shares.values()) == 1:
        name = max(shares, key=shares.get)
        assert notes["validation_accuracy"] == notes["validation_accuracy_alone"][name]


def test_member_of_another_split_is_refused(trained_ensemble, brain_folder):
    text = (trained_ensemble.folder.parent / "config.toml").read_text()
    path = trained_ensemble.folder.parent / "other.toml"
    path.write_text(text.replace("[ensemble]", "split_seed = 2\n[ensemble]"))
    with pytest.raises(ConfigurationError, match="tiny-cnn was trained on another split"):
        train(path, data_dir=brain_folder, output_dir=trained_ensemble.folder.parent)


def test_empty_class_is_refused(brain_folder, tmp_path, trained_svm):
    lines = (brain_folder / "MANIFEST.csv").read_text().splitlines()
    for name in brain_folder.glob("*.png"):
        (tmp_path / name.name).write_bytes(name.read_bytes())
    healthy = [line for line in lines[1:] if "no_tumour" in line]
    sick = [line for line in lines[1:] if "no_tumour" not in line]
    kept = [lines[0], *healthy, sick[0]]
    (tmp_path / "MANIFEST.csv").write_text("\n".join(kept) + "\n")
    with pytest.raises(InputError, match=r"no image of class tumour in the \w+ part"):
        train(
            trained_svm.folder.parent / "config.toml",
            data_dir=tmp_path,
            output_dir=tmp_path / "out",
        )
