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
