"""Export, the folder it writes, and the runtimes that serve it, on the tiny trained network."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from onnx import numpy_helper

from medseal.classification import load_folder
from medseal.classification.examples import Examples
from medseal.classification.export import ExportConfig, Material, export, export_model
from medseal.classification.exported import (
    CARD_NAME,
    MAX_METADATA_BYTES,
    MODEL_NAME,
    RECORD_NAME,
    onnx_metadata,
    parse_record,
    read_exported,
    write_record,
)
from medseal.classification.gate import GateBounds
from medseal.classification.onnx_graph import OPSET, serialised, to_onnx
from medseal.classification.quantise import RECIPES, quantised
from medseal.classification.runtime import logits_of_network, open_model, serve
from medseal.datasets import mr_phantom
from medseal.errors import (
    ConfigurationError,
    DigestMismatchError,
    ExportRefusedError,
    ModelMismatchError,
    WeightsError,
)
from medseal.imaging import display_values, write
from medseal.imaging.preprocess import standardise
from medseal.imaging.reduced import ReducedImage

FEW = GateBounds(least_images=4, probability_change=0.2, changed_share=0.1)


@pytest.fixture(scope="module")
def classifier(trained):
    return load_folder(trained.folder)


@pytest.fixture(scope="module", autouse=True)
def graph(classifier):
    """The graph of the tiny network, traced once: each tracing takes seconds."""
    traced = to_onnx(classifier)

    def again(_):
        new = type(traced)()
        new.CopyFrom(traced)
        return new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medseal.classification.export.to_onnx", again)
        yield traced


@pytest.fixture(scope="module")
def images():
    return [
        mr_phantom(generator=np.random.default_rng(200 + i), rows=64, columns=64, lesion=i % 2 == 0)
        for i in range(12)
    ]


@pytest.fixture(scope="module")
def material(classifier, images):
    arrays = np.stack(
        [standardise(display_values(image), config=classifier.preprocess) for image in images]
    )
    labels = np.array([1 - i % 2 for i in range(len(images))], dtype=np.int64)
    return Material(
        validation=Examples(images=arrays, labels=labels),
        calibration=arrays,
        facts={"data_set": "phantoms of a test"},
    )


@pytest.fixture(scope="module")
def folder(classifier, material, tmp_path_factory):
    """The tiny network, exported once in bfloat16."""
    output = tmp_path_factory.mktemp("exported")
    export_model(classifier, material, output, config=ExportConfig(bounds=FEW))
    return output / classifier.card.id


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the exported folder that a test may damage."""
    new = tmp_path / folder.name
    new.mkdir()
    for path in folder.iterdir():
        (new / path.name).write_bytes(path.read_bytes())
    return new


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
def test_an_exported_model_says_what_the_trained_one_says(classifier, images, folder, runtime):
    served = open_model(folder, runtime=runtime)
    assert served.runtime == {"openvino": "openvino bf16", "onnx": "onnx f32"}[runtime]
    assert served.digest == read_exported(folder).record.model_sha256 != served.card.sha256
    assert served.card == classifier.card
    for one, other in zip(served.predict(images), classifier.predict(images), strict=True):
        assert one.label == other.label
        tolerance = 1e-5 if runtime == "onnx" else 0.05
        assert one.probabilities == pytest.approx(dict(other.probabilities), abs=tolerance)


def test_a_result_does_not_depend_on_its_company(folder, material):
    logits = open_model(folder).logits
    together = logits(material.validation.images)
    alone = [logits(material.validation.images[i : i + 1])[0] for i in range(len(together))]
    assert np.array_equal(together, alone)


def test_the_record_says_what_was_found(folder, material):
    record = read_exported(folder).record
    assert set(record.gates) == {"openvino", "onnx"}
    for found in record.gates.values():
        assert found["images"] == len(material.validation.labels)
        assert float(found["probability_change"]) < FEW.probability_change
    assert float(record.gates["onnx"]["probability_change"]) < 1e-5
    assert record.facts["bounds"]["least_images"] == FEW.least_images
    assert parse_record(write_record(record), name="x") == record


def test_the_network_carries_what_is_needed_to_use_it(folder):
    exported = read_exported(folder)
    found = onnx_metadata(exported.network, name="x")
    assert found["medseal.card_sha256"] == str(exported.record.card_sha256)
    assert json.loads(found["medseal.classes"]) == list(exported.card.classes)
    assert json.loads(found["medseal.preprocess"])["digest"] == str(exported.preprocess.digest)
    temperature = exported.card.calibration["temperature"]
    assert json.loads(found["medseal.temperature"]) == temperature
    assert found["medseal.limits"] == exported.card.limits


def test_the_number_of_images_stays_open(graph):
    sides = graph.graph.input[0].type.tensor_type.shape.dim
    assert sides[0].dim_param
    assert [side.dim_value for side in sides[1:]] == [64, 64]
    assert graph.opset_import[0].version == OPSET


def test_a_relu_stands_before_its_pooling(graph):
    """Where engines fuse it into the convolution; the answers are compared elsewhere."""
    kinds = [node.op_type for node in graph.graph.node]
    places = [place for place, kind in enumerate(kinds) if kind == "Conv"]
    assert len(places) == 5
    assert all(kinds[place + 1 : place + 3] == ["Relu", "MaxPool"] for place in places)


def test_int8_goes_through_the_same_gate(classifier, material, tmp_path):
    config = ExportConfig(precision="int8", bounds=FEW)
    exported = export_model(classifier, material, tmp_path, config=config)
    assert exported.record.gates["openvino"]["images"] == 12
    served = open_model(tmp_path / classifier.card.id)
    assert served.runtime == "openvino int8"
    change = float(exported.record.gates["openvino"]["probability_change"])
    assert 1e-6 < change <= FEW.probability_change
    assert exported.record.facts["recipe"] == RECIPES[0]
    strict = ExportConfig(
        precision="int8", bounds=dataclasses.replace(FEW, probability_change=1e-6)
    )
    with pytest.raises(
        ExportRefusedError, match="is not exported in int8: with openvino"
    ) as caught:
        export_model(classifier, material, tmp_path / "none", config=strict)
    assert float(caught.value.evidence["probability_change"]) > 1e-6
    with pytest.raises(ConfigurationError, match="int8 needs training images"):
        export_model(
            classifier, dataclasses.replace(material, calibration=None), tmp_path, config=config
        )


def test_the_next_recipe_is_tried_where_the_first_is_refused(classifier, material, tmp_path):
    """As if the graph of the first recipe gave the opposite answers."""

    def made(graph, images, *, recipe):
        result = quantised(graph, images, recipe=recipe)
        if recipe == RECIPES[0]:
            weights = result.graph.initializer
            last = next(w for w in weights if w.name == result.graph.node[-1].input[2])
            last.CopyFrom(numpy_helper.from_array(np.array([50, -50], np.float32), last.name))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medseal.classification.export.quantised", made)
        config = ExportConfig(precision="int8", bounds=FEW)
        record = export_model(classifier, material, tmp_path, config=config).record
    assert record.facts["recipe"] == RECIPES[1]
    assert list(record.facts["refused"]) == [RECIPES[0]]
    assert "a probability changed" in record.facts["refused"][RECIPES[0]]
    assert parse_record(write_record(record), name="x") == record


def test_a_large_network_in_8_bits_takes_images_together(classifier, material, monkeypatch):
    network = serialised(quantised(to_onnx(classifier), material.calibration), {}, name="x")
    settings = {"engine": "openvino", "precision": "int8", "name": "x"}
    alone = logits_of_network(network, classifier.preprocess, **settings)
    monkeypatch.setattr("medseal.classification.runtime._LARGE_BYTES", 0)
    together = logits_of_network(network, classifier.preprocess, **settings)
    for count in (1, 4, 11):
        images = material.validation.images[:count]
        assert np.array_equal(together(images), alone(images))


def test_too_few_images_are_no_evidence(classifier, material, tmp_path):
    with pytest.raises(ExportRefusedError, match="12 images, at least 100 are needed"):
        export_model(classifier, material, tmp_path, config=ExportConfig())
    assert list(tmp_path.iterdir()) == []


def test_changed_decisions_are_refused(classifier, material, tmp_path):
    """As if the network had been exported wrong."""
    other = dataclasses.replace(classifier, logits=lambda images: -classifier.logits(images))
    with pytest.raises(ExportRefusedError, match="12 of 12 decisions changed") as caught:
        export_model(other, material, tmp_path, config=ExportConfig(bounds=FEW))
    assert caught.value.evidence["changed_decisions"] == 12
    assert list(tmp_path.iterdir()) == []


def test_export_needs_the_data_of_training(trained, brain_folder, images, tmp_path):
    exported = export(trained.folder, brain_folder, tmp_path, config=ExportConfig(bounds=FEW))
    assert exported.record.facts["part"] == "validation"
    assert exported.record.facts["split_digest"] == exported.card.training["split_digest"]
    assert exported.record.reduced is None
    for number, image in enumerate(images):
        (tmp_path / "other" / ("no_tumour", "tumour")[number % 2]).mkdir(
            parents=True, exist_ok=True
        )
        label = ("no_tumour", "tumour")[number % 2]
        write(image, tmp_path / "other" / label / f"{number}.png")
    with pytest.raises(ConfigurationError, match="is not the data that tiny-cnn was trained on"):
        export(trained.folder, tmp_path / "other", tmp_path)


def test_a_model_without_a_network_is_not_exported(trained_svm, material, tmp_path):
    machine = load_folder(trained_svm.folder)
    with pytest.raises(ConfigurationError, match="has no network that could be exported"):
        export_model(machine, material, tmp_path, config=ExportConfig(bounds=FEW))


@pytest.mark.parametrize("name", [CARD_NAME, MODEL_NAME])
def test_another_file_is_refused_before_it_is_parsed(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(DigestMismatchError, match="is not the one that was exported") as caught:
        read_exported(copy)
    assert caught.value.expected != caught.value.actual


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {**r, "format": "medseal/exported-model/v9"}, "not of the form"),
        (lambda r: {**r, "more": 1}, "not of the form"),
        (lambda r: {**r, "precision": "f64"}, "unknown engine or precision"),
        (lambda r: {**r, "gates": {"tensorrt": {}}}, "unknown engine or precision"),
        (lambda r: {**r, "gates": [1]}, "is malformed"),
        (lambda r: {**r, "model_sha256": "sha256:00"}, "is malformed"),
        (lambda r: {**r, "model_id": "another"}, "the record belongs to another"),
        (lambda r: {**r, "precision": "f32"}, "exported with other settings than its card"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(copy, change, message):
    path = copy / RECORD_NAME
    changed = change(json.loads(path.read_bytes()))
    path.write_bytes(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(WeightsError, match=message):
        read_exported(copy)


@pytest.mark.parametrize("name", [CARD_NAME, MODEL_NAME, RECORD_NAME])
def test_a_missing_or_huge_file_is_refused(copy, name):
    path = copy / name
    with path.open("ab") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(WeightsError, match="missing or too large"):
        read_exported(copy)
    path.unlink()
    with pytest.raises(WeightsError, match="missing"):
        read_exported(copy)


def test_metadata_are_read_strictly(graph):
    good = serialised(graph, {"medseal.a": "1", "other": "2"}, name="x")
    assert onnx_metadata(good, name="x") == {"medseal.a": "1"}
    for damaged in (b"\xff" * 20, good[:-1], b"\x72\xff"):
        with pytest.raises(WeightsError, match="is no ONNX file"):
            onnx_metadata(damaged, name="x")
    entry = b"\x72\x0e\x0a\x09medseal.a\x12\x01b"
    with pytest.raises(WeightsError, match="too many metadata"):
        onnx_metadata(entry * 2, name="x")
    long = serialised(graph, {"medseal.a": "1" * MAX_METADATA_BYTES}, name="x")
    with pytest.raises(WeightsError, match="too many metadata"):
        onnx_metadata(long, name="x")


def test_an_engine_that_cannot_read_the_network_says_so(folder):
    exported = dataclasses.replace(read_exported(folder), network=b"\x08\x01")
    for runtime in ("openvino", "onnx"):
        with pytest.raises(WeightsError, match="cannot read the network"):
            serve(exported, runtime=runtime)


def test_a_runtime_is_never_replaced_silently(folder, trained, monkeypatch, caplog):
    with pytest.raises(ConfigurationError, match="name the trained one to run it on torch"):
        open_model(folder, runtime="torch")
    with pytest.raises(ConfigurationError, match="is not an exported model"):
        open_model(trained.folder, runtime="openvino")
    with pytest.raises(ConfigurationError, match="runtime must be one of"):
        open_model(folder, runtime="cuda")
    assert open_model(trained.folder).runtime == "torch"
    exported = read_exported(folder)
    only = dataclasses.replace(exported.record, gates={"onnx": dict(exported.record.gates["onnx"])})
    ungated = dataclasses.replace(exported, record=only)
    with pytest.raises(ConfigurationError, match="was not gated on openvino"):
        serve(ungated, runtime="openvino")
    assert serve(ungated).runtime == "onnx f32"
    assert "runs on ONNX Runtime, which is slower" in caplog.text
    monkeypatch.setattr("medseal.classification.runtime.installed_engines", tuple)
    with pytest.raises(ConfigurationError, match=r"pip install 'medseal\[runtime\]'"):
        serve(exported)


def test_other_arrays_are_refused(folder, material):
    served = open_model(folder)
    arrays = material.validation.images
    for wrong in (arrays[:0], arrays[:, :32], arrays.astype(np.float32)):
        with pytest.raises(ModelMismatchError, match="takes 8-bit images"):
            served.logits(wrong)


def test_reduced_decoding_needs_its_own_gate(classifier, material, images, tmp_path):
    shown = tuple(display_values(images[0]) for _ in range(2))
    image = ReducedImage(
        shown=shown,
        factor=2,
        modality="MR",
        photometric_interpretation="MONOCHROME2",
        decoder="none",
    )
    config = ExportConfig(bounds=FEW)
    export_model(classifier, material, tmp_path, config=config)
    folder = tmp_path / classifier.card.id
    with pytest.raises(ModelMismatchError, match="was not gated for reduced decoding"):
        open_model(folder).predict([image])
    both = dataclasses.replace(
        material, full=material.validation, reduced=material.validation.images
    )
    export_model(classifier, both, tmp_path, config=config)
    assert read_exported(folder).record.reduced["allowed"] is True
    [prediction] = open_model(folder).predict([image])
    [whole] = open_model(folder).predict([images[0]])
    assert prediction.probabilities == pytest.approx(dict(whole.probabilities))
    mixed = dataclasses.replace(both, reduced=material.validation.images[::-1])
    export_model(classifier, mixed, tmp_path, config=config)
    assert read_exported(folder).record.reduced["allowed"] is False
    with pytest.raises(ModelMismatchError, match="was not gated for reduced decoding"):
        open_model(folder).predict([image])


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
def test_serving_needs_no_torch(folder, images, tmp_path, runtime):
    """Only NumPy, OpenCV, the readers of images and one engine, in a process of its own."""
    write(images[0], tmp_path / "slice.png")
    other = {"openvino": "onnxruntime", "onnx": "openvino"}[runtime]
    script = (
        "import sys\n"
        f"for name in ('torch', 'sklearn', 'skimage', 'scipy', 'onnx', '{other}'):\n"
        "    sys.modules[name] = None\n"
        "from medseal.classification.runtime import open_model\n"
        "from medseal.imaging import read\n"
        f"classifier = open_model(sys.argv[1], runtime='{runtime}')\n"
        "print(classifier.predict([read(sys.argv[2])])[0].probabilities['tumour'])\n"
    )
    # The command is a constant of this file.
    finished = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script, str(folder), str(tmp_path / "slice.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    expected = open_model(folder, runtime=runtime).predict([images[0]])[0]
    assert float(finished.stdout) == pytest.approx(expected.probabilities["tumour"], abs=1e-6)
