"""Classification: with a grant, in memory, bound to image and model on the ledger."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medseal import weights
from medseal.classification import Classifier, load
from medseal.datasets.phantom import mr_phantom
from medseal.errors import (
    AccessRefusedError,
    ModelMismatchError,
    UnsupportedImageError,
    WeightsError,
)
from medseal.imaging import read, write
from medseal.ledger import EventKind
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.classify import (
    ResultFiles,
    classify_file,
    classify_image,
    default_model,
)
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load(weights.default_for("tumour"))


@pytest.fixture
def slice_file(tmp_path: Path) -> Path:
    write(mr_phantom(generator=np.random.default_rng(4)), tmp_path / "slice.png")
    return tmp_path / "slice.png"


@pytest.fixture
def image_id(workspace: Workspace, slice_file: Path) -> str:
    [outcome] = seal(workspace, [slice_file])
    assert outcome.image_id is not None
    return outcome.image_id


def test_the_event_binds_image_model_and_result(
    workspace: Workspace, image_id: str, classifier: Classifier
) -> None:
    outcome = classify_image(workspace, image_id, classifier=classifier)
    assert outcome.receipt is not None
    [*_, (_, event)] = workspace.ledger.events()
    assert event.kind == EventKind.CLASSIFY
    assert event.subject == workspace.catalogue.images()[0].commitment
    assert event.details["model"] == classifier.card.id
    assert event.details["model_digest"] == str(classifier.card.sha256)
    assert str(event.details["result"]).startswith("sha256:")
    assert sum(outcome.prediction.probabilities.values()) == pytest.approx(1)


def test_the_result_on_the_ledger_depends_on_the_workspace(
    workspace: Workspace, image_id: str, classifier: Classifier
) -> None:
    classify_image(workspace, image_id, classifier=classifier)
    classify_image(workspace, image_id, classifier=classifier)
    results = [
        event.details["result"]
        for _, event in workspace.ledger.events()
        if event.kind == EventKind.CLASSIFY
    ]
    assert len(results) == 2
    assert len(set(results)) == 1


def test_a_grant_to_view_is_no_grant_to_classify(
    workspace: Workspace, image_id: str, classifier: Classifier
) -> None:
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view"))
    with pytest.raises(AccessRefusedError, match="may not classify"):
        classify_image(workspace, image_id, classifier=classifier, name="ann")
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="classify"))
    assert classify_image(workspace, image_id, classifier=classifier, name="ann").receipt


def test_sealed_and_plain_give_the_same_answer(
    workspace: Workspace, image_id: str, slice_file: Path, classifier: Classifier
) -> None:
    sealed = classify_image(workspace, image_id).prediction
    plain = classify_file(slice_file, classifier=classifier)
    assert plain.receipt is None
    assert plain.prediction == sealed


def test_no_model_for_this_modality(workspace: Workspace, ct_file: Path) -> None:
    [outcome] = seal(workspace, [ct_file])
    with pytest.raises(ModelMismatchError, match="no model for CT"):
        classify_image(workspace, outcome.image_id or "")


def test_the_watermark_is_no_model_of_a_class(slice_file: Path) -> None:
    # It fits every modality, and must be no second answer to what fits this one.
    assert default_model(read(slice_file)) == weights.default_for("tumour", "MR")
    with pytest.raises(WeightsError, match="has no classes"):
        load(weights.default_for("watermark"))


def test_the_explanation_is_a_picture(
    slice_file: Path, tmp_path: Path, classifier: Classifier
) -> None:
    classify_file(
        slice_file, classifier=classifier, files=ResultFiles(explanation=tmp_path / "heat.png")
    )
    picture = Image.open(tmp_path / "heat.png")
    assert picture.mode == "RGB"
    assert picture.size == Image.open(slice_file).size


@pytest.fixture
def mr_file(tmp_path: Path) -> Path:
    path = Path(get_testdata_file("MR_small.dcm"))
    (tmp_path / "mr.dcm").write_bytes(path.read_bytes())
    return tmp_path / "mr.dcm"


def test_the_dicom_results_are_bound_to_the_receipt(
    workspace: Workspace, mr_file: Path, tmp_path: Path, classifier: Classifier
) -> None:
    [sealed] = seal(workspace, [mr_file])
    files = ResultFiles(report=tmp_path / "sr.dcm")
    classify_image(workspace, sealed.image_id or "", classifier=classifier, files=files)
    [*_, (_, event)] = workspace.ledger.events()
    assert event.details["report"] == (
        f"sha256:{workspace.keys.result((tmp_path / 'sr.dcm').read_bytes())}"
    )
    report = dcmread(tmp_path / "sr.dcm")
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    assert str(classifier.card.sha256).encode() in (tmp_path / "sr.dcm").read_bytes()


def test_no_result_is_written_without_an_entry(
    workspace: Workspace, image_id: str, tmp_path: Path, classifier: Classifier
) -> None:
    files = ResultFiles(report=tmp_path / "sr.dcm")
    before = len(list(workspace.ledger.events()))
    with pytest.raises(UnsupportedImageError, match="need a DICOM image"):
        classify_image(workspace, image_id, classifier=classifier, files=files)
    assert not (tmp_path / "sr.dcm").exists()
    assert len(list(workspace.ledger.events())) == before
