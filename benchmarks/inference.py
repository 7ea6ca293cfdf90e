"""How fast a picture becomes a probability on one core: engines, files, workers, the command.

Each time of one core is the least processor time of many repetitions on one thread; workers and
the command are timed by the clock. Ratios were taken in one run. Networks are exported behind the
gate on the validation images of their split, and the least time counts only precisions that pass
it. The five-layer network is the shipped one; ResNet-50 is that in the folder of --models, exported
and scored on its test part too, or has random weights and no gate. The limit is what matrix
products reach on the same core. `--full` classifies 100,000 files instead of 20,000.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.inference_engines import (
    fastest,
    limits,
    measure_network,
    networks_of,
    operations_of,
)
from benchmarks.inference_files import (
    dicom_files,
    jpeg_files,
    probability,
    reduction,
    two_workers,
)
from benchmarks.report import arguments, write_result
from medseal import weights
from medseal.classification import Classifier, load
from medseal.classification.evaluation import examine
from medseal.classification.export import ExportConfig, export_model, material_of
from medseal.classification.exported import ExportedModel, Precision
from medseal.classification.networks import NetworkConfig, build
from medseal.classification.outcome import score
from medseal.classification.predict import load_folder
from medseal.classification.runtime import open_model
from medseal.digest import Digest
from medseal.errors import ExportRefusedError
from medseal.imaging import read
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card
from medseal.weights.store import CARD_NAME

MODEL = "five-layer-cnn-brain-mri"
RESNET = "resnet50-brain-mri"
SECONDS, QUICK_SECONDS = 0.8, 0.02
BATCHES = (1, 4, 8)
FILES, QUICK_FILES, FULL_FILES = 20_000, 40, 100_000
_CALLS, _QUICK_CALLS = 2000, 20
_RUNS, _QUICK_RUNS = 3, 1
_CALIBRATION = 24
_TURNS = 2
_MILLI, _GIGA, _MINUTE = 1000, 1e9, 60
_REAL = {
    "chest_xray_native": "*.jp*g",
    "fundus_idrid": "*.jp*g",
    "fundus_chase": "*.jp*g",
    "ct_lung": "*.jp*g",
}
_REAL_IMAGES = 60
_PRECISIONS: tuple[Precision, ...] = ("bf16", "int8")
_TESTED = ("accuracy", "balanced_accuracy", "auroc")


def random_resnet() -> Classifier:
    """Return ResNet-50 with random weights, 224 x 224 in colour."""
    preprocess = PreprocessConfig(colour=True)
    network = build("resnet50", NetworkConfig(channels=3), seed=1).eval()
    card = Card(
        id="resnet50-random",
        version="1",
        task="speed",
        modality="any",
        method="resnet50",
        sha256=Digest(value=bytes(32)),
        default=False,
        limits="random weights",
        classes=("no", "yes"),
    )
    return Classifier(
        card=card, preprocess=preprocess, logits=lambda _: np.zeros((1, 2)), network=network
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """A network by precision, and which precisions may serve.

    Attributes
    ----------
    models
        What the gate let pass.
    networks
        ONNX files, also those that the gate refused: their speed is a figure too.
    found
        What the gate found, by precision and engine.
    """

    models: Mapping[Precision, ExportedModel]
    networks: Mapping[Precision, bytes]
    found: Mapping[str, Any]


def gated(trained: Classifier, folder: Path | None, data: Path, output: Path) -> Gated:
    """Export a model in each precision into a folder of its name below `output`."""
    material = material_of(trained, folder, data, precision="int8")
    models: dict[Precision, ExportedModel] = {}
    found: dict[str, Any] = {}
    for precision in _PRECISIONS:
        place = output / precision
        place.mkdir(exist_ok=True)
        try:
            settings = ExportConfig(precision=precision)
            models[precision] = export_model(trained, material, place, config=settings)
            record = models[precision].record
            found[precision] = {engine: dict(gate) for engine, gate in record.gates.items()}
            how = {key: record.facts[key] for key in ("recipe", "refused") if key in record.facts}
            found[precision] |= {"how": how} if how else {}
        except ExportRefusedError as error:
            found[precision] = {"refused": str(error), **error.evidence}
    if set(models) == set(_PRECISIONS):
        networks = {name: model.network for name, model in models.items()}
        networks["f32"] = networks["bf16"]
    else:
        if material.calibration is None:
            raise ValueError("8 bits need training images")
        networks = dict(networks_of(trained, material.calibration))
    return Gated(models=models, networks=networks, found=found)


def resnet(
    models: Path | None, data: Path, output: Path, limit: dict[str, float], seconds: float
) -> dict[str, Any]:
    """Return the speed of the trained ResNet-50 with its gate, or of one with random weights."""
    folder = None if models is None else models / RESNET
    if folder is None or not (folder / CARD_NAME).is_file():
        plain = random_resnet()
        noise = np.random.default_rng(1).integers(0, 256, (_CALIBRATION, 224, 224, 3), np.uint8)
        networks = networks_of(plain, noise)
        return {"resnet50_random_weights": engines(plain, networks, limit, seconds)}
    trained = load_folder(folder)
    exported = gated(trained, folder, data, output)
    figures = engines(trained, exported.networks, limit, seconds, allowed=("f32", *exported.models))
    origin = {"model": trained.card.id, "sha256": str(trained.card.sha256)}
    places = {"torch f32": folder}
    places |= {f"exported {key}": output / key / trained.card.id for key in exported.models}
    tested = {name: on_test_part(place, data) for name, place in places.items()}
    return {"resnet50": {**origin, "gate": dict(exported.found), "test_part": tested, **figures}}


def on_test_part(folder: Path, data: Path) -> dict[str, Any]:
    """Return what a trained or an exported model reaches on the test part of its split."""
    outcome = examine(folder, data).outcome
    figures = score(outcome, classes=weights.read_card(folder).classes)["figures"]
    return {"images": len(outcome.labels), **{name: figures[name] for name in _TESTED}}


def engines(
    classifier: Classifier,
    networks: Mapping[Precision, bytes],
    limit: dict[str, float],
    seconds: float,
    *,
    allowed: Collection[str] = ("f32", *_PRECISIONS),
) -> dict[str, Any]:
    """Return times, arithmetic and the share of the limit of one network.

    The least time is that of the `allowed` precisions.
    """
    network, config = classifier.network, classifier.preprocess
    if network is None:
        raise ValueError("only a network has layers to count")
    inputs = torch.zeros(1, 3 if config.colour else 1, config.rows, config.columns)
    operations = operations_of(network, inputs)
    times = measure_network(classifier, networks, batches=BATCHES, seconds=seconds)
    shares = {
        name: operations / (min(row.values()) / _MILLI) / 1e12 / limit[name.split("_")[1]]
        for name, row in times.items()
    }
    return {
        "gigaoperations_an_image": round(operations / _GIGA, 4),
        "milliseconds_an_image": times,
        "least_milliseconds": min(
            min(row.values()) for name, row in times.items() if name.split("_")[1] in allowed
        ),
        "share_of_the_limit": {name: round(share, 3) for name, share in shares.items()},
    }


def workers(models: Mapping[Precision, ExportedModel], folder: Path, calls: int) -> dict[str, Any]:
    """Return images a second of the network alone, in one and in two one-thread processes."""
    found: dict[str, Any] = {}
    for precision, model in models.items():
        place = folder / precision / model.card.id
        # Both are repeated: another process of the machine may disturb either.
        rates = {
            count: max(two_workers(place, count=calls, workers=count) for _ in range(_TURNS))
            for count in (1, 2)
        }
        found[precision] = {
            "one": round(rates[1], 1),
            "two": round(rates[2], 1),
            "ratio": round(rates[2] / rates[1], 3),
        }
    return found


def files(data: Path, output: Path, classifier: Classifier, seconds: float) -> dict[str, Any]:
    """Return milliseconds from a file to its probability, with and without reduced decoding."""
    jpegs = jpeg_files(data, output)
    paths = {"jpeg_rgb_600x450": jpegs[0], **dicom_files(data, output)}
    found: dict[str, Any] = {}
    for name, path in paths.items():
        full = fastest(partial(probability, path, classifier, reduced=False), seconds=seconds)
        small = fastest(partial(probability, path, classifier), seconds=seconds)
        found[name] = {
            "file_bytes": path.stat().st_size,
            "full_ms": round(full * _MILLI, 3),
            "reduced_ms": round(small * _MILLI, 3),
        }
    return found


def many(folder: Path, jpegs: Sequence[Path], count: int) -> dict[str, Any]:
    """Return the time of very many JPEG files in two one-thread processes."""
    rate = two_workers(folder, count=count // 2, workers=2, files=jpegs)
    return {
        "files_classified": count,
        "images_a_second": round(rate, 1),
        "minutes_for_100000": round(FULL_FILES / rate / _MINUTE, 3),
        "extrapolated": count < FULL_FILES,
    }


def command_seconds(arguments_of: Sequence[str], runs: int) -> float:
    """Return the shortest wall time of `medseal` with these arguments, in processes of its own."""
    script = "import sys; from medseal.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        # The arguments are paths of this run.
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", script, *arguments_of],
            check=True,
            capture_output=True,
            env=environment,
        )
        times.append(time.perf_counter() - start)
    return min(times)


def product(folder: Path, data: Path, runs: int, seconds: float) -> dict[str, Any]:
    """Return the time of `medseal classify` and of `predict`, trained and exported."""
    path = min((data / "brain_mri").rglob("*.jpg"))
    image = read(path)
    trained, exported = load(MODEL), open_model(folder)
    found = {
        "predict_torch_ms": fastest(lambda: trained.predict([image]), seconds=seconds) * _MILLI,
        "predict_exported_ms": fastest(lambda: exported.predict([image]), seconds=seconds) * _MILLI,
        "command_torch_s": command_seconds(["classify", str(path), "--model", MODEL], runs),
        "command_exported_s": command_seconds(
            ["classify", str(path), "--model", str(folder)], runs
        ),
    }
    return {name: round(value, 4) for name, value in found.items()}


def reductions(data: Path, classifier: Classifier, count: int) -> dict[str, Any]:
    """Return what reduced decoding changes on real images, with and without equalisation.

    The five-layer network was not trained on them: its changes show how far the input moves its
    answer, not how well it decides.
    """
    plain = dataclasses.replace(
        classifier,
        preprocess=dataclasses.replace(classifier.preprocess, equalise_histogram=False),
    )
    found = {}
    for name, pattern in _REAL.items():
        paths = sorted((data / name).rglob(pattern))
        chosen = paths[:: max(1, len(paths) // count)][:count]
        found[name] = {
            "equalised": reduction(chosen, classifier),
            "plain": reduction(chosen, plain),
        }
    return found


def measure(data: Path, models: Path | None, *, quick: bool, full: bool) -> dict[str, Any]:
    """Return the whole result."""
    seconds = QUICK_SECONDS if quick else SECONDS
    count = QUICK_FILES if quick else FULL_FILES if full else FILES
    runs, calls = (_QUICK_RUNS, _QUICK_CALLS) if quick else (_RUNS, _CALLS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        trained = load(MODEL)
        five = gated(trained, None, data, home)
        limit = limits(seconds)
        best = home / ("int8" if "int8" in five.models else "bf16") / MODEL
        served = open_model(best)
        made = home / "files"
        made.mkdir()
        return {
            "limit_teraoperations_a_second": {key: round(v, 4) for key, v in limit.items()},
            "gate": dict(five.found),
            "five_layer": engines(
                trained, five.networks, limit, seconds, allowed=("f32", *five.models)
            ),
            **resnet(models, data, home, limit, seconds),
            "workers_images_a_second": workers(five.models, home, calls),
            "files_to_probability": {
                "runtime": served.runtime,
                **files(data, made, served, seconds),
            },
            "many_jpeg_files": many(best, jpeg_files(data, made), count),
            "medseal_classify": product(best, data, runs, seconds),
            "reduced_decoding": reductions(data, served, 3 if quick else _REAL_IMAGES),
        }


def measure_resnet(
    data: Path, models: Path | None, stored: Mapping[str, Any], *, quick: bool
) -> dict[str, Any]:
    """Return the result of a stored file with ResNet-50 measured anew, and when the rest was."""
    seconds = QUICK_SECONDS if quick else SECONDS
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        limit = limits(seconds)
        found = resnet(models, data, Path(name), limit, seconds)
    rest = {key: row for key, row in stored["result"].items() if not key.startswith("resnet50")}
    earlier = [row for key, row in stored["result"].items() if key.startswith("resnet50")]
    # A result that was itself measured apart says when the rest was.
    known = [row["measured_apart"] for row in earlier if "measured_apart" in row]
    apart = {
        "all_else_measured_at": (
            known[0]["all_else_measured_at"] if known else stored["measured_at"]
        ),
        "limit_teraoperations_a_second": {key: round(v, 4) for key, v in limit.items()},
        "load_of_the_machine": round(os.getloadavg()[0], 1),
    }
    return {**rest, **{key: {**row, "measured_apart": apart} for key, row in found.items()}}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``inference.json``."""
    parser = arguments("How fast a picture becomes a probability on one core.")
    parser.add_argument("--models", type=Path, help=f"folder that holds {RESNET}")
    parser.add_argument("--full", action="store_true", help="classify 100,000 files")
    parser.add_argument(
        "--resnet-only", action="store_true", help="keep what is stored of everything else"
    )
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data is needed: the folder with MANIFEST.csv")
    if chosen.resnet_only:
        stored = json.loads((chosen.output / "inference.json").read_text())
        result = measure_resnet(chosen.data, chosen.models, stored, quick=chosen.quick)
    else:
        result = measure(chosen.data, chosen.models, quick=chosen.quick, full=chosen.full)
    write_result("inference", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
