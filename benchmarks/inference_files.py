"""Files of the inference measurement: made from real images, and classified by workers."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless

from medseal.classification.classifier import Classifier
from medseal.classification.runtime import open_model
from medseal.imaging import display_values, read_bytes
from medseal.imaging.preprocess import standardise
from medseal.imaging.reduced import needed_size, read_reduced

__all__ = ["dicom_files", "jpeg_files", "probability", "reduction", "two_workers"]

_JPEG_ROWS, _JPEG_COLUMNS, _QUALITY = 450, 600, 90
_DICOM_SIDE, _BITS = 1024, 12
# Of a detector, in stored values; an image without noise would compress too well.
_NOISE = 8.0
_WARM_UP = 20
_READY = "ready\n"
_ROOT = Path(__file__).parents[1]


def jpeg_files(data: Path, output: Path) -> list[Path]:
    """Write RGB JPEG files of 450 x 600 cut from fundus photographs of 960 x 999."""
    written = []
    for path in sorted((data / "fundus_chase").glob("*.jpg")):
        with Image.open(path) as picture:
            whole = picture.convert("RGB")
        top, left = (whole.height - _JPEG_ROWS) // 2, (whole.width - _JPEG_COLUMNS) // 2
        part = whole.crop((left, top, left + _JPEG_COLUMNS, top + _JPEG_ROWS))
        file = output / path.name
        part.save(file, "JPEG", quality=_QUALITY)
        written.append(file)
    if not written:
        raise FileNotFoundError(f"{data}/fundus_chase holds no JPEG file")
    return written


def dicom_files(data: Path, output: Path) -> dict[str, Path]:
    """Write a chest X-ray of 1024 x 1024 in 12 bits, losslessly, as JPEG 2000 and as HTJ2K."""
    path = min((data / "chest_xray_native").rglob("*.jp*g"))
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
    sized = cv2.resize(grey, (_DICOM_SIDE, _DICOM_SIDE), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(1).normal(0, _NOISE, sized.shape)
    values = np.clip(np.rint(sized * 16.0 + noise), 0, (1 << _BITS) - 1).astype(np.uint16)
    streams = {
        "jpeg_2000": (
            JPEG2000Lossless,
            imagecodecs.jpeg2k_encode(
                values, level=0, reversible=True, codecformat="j2k", bitspersample=_BITS
            ),
        ),
        "htj2k": (HTJ2KLossless, imagecodecs.htj2k_encode(values, reversible=True)),
    }
    return {
        name: _write_dicom(output / f"{name}.dcm", bytes(stream), syntax)
        for name, (syntax, stream) in streams.items()
    }


def _write_dicom(path: Path, stream: bytes, syntax: str) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = _DICOM_SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, _BITS, _BITS - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True
    )
    path.write_bytes(buffer.getvalue())
    return path


def probability(path: Path, classifier: Classifier, *, reduced: bool = True) -> NDArray[np.float64]:
    """Return the probabilities of the classes for a file: read, decode, preprocess, network."""
    data = path.read_bytes()
    rows, columns = needed_size(classifier.preprocess)
    found = read_reduced(data, rows=rows, columns=columns, name=path.name) if reduced else None
    shown = found.shown[0] if found else display_values(read_bytes(data, name=path.name))
    image = standardise(shown, config=classifier.preprocess)
    result: NDArray[np.float64] = np.asarray(classifier.probabilities(np.stack([image])))[0]
    return result


def reduction(paths: Sequence[Path], classifier: Classifier) -> dict[str, Any]:
    """Return how far inputs and probabilities from reduced decoding are from those in full."""
    rows, columns = needed_size(classifier.preprocess)
    correlations, changes, flips, factors = [], [], 0, []
    for path in paths:
        data = path.read_bytes()
        found = read_reduced(data, rows=rows, columns=columns, name=path.name)
        if found is None:
            continue
        shown = (display_values(read_bytes(data, name=path.name)), found.shown[0])
        inputs = np.stack([standardise(one, config=classifier.preprocess) for one in shown])
        before, after = np.asarray(classifier.probabilities(inputs))
        flat = inputs.reshape(2, -1).astype(np.float64)
        correlations.append(float(np.corrcoef(flat[0], flat[1])[0, 1]))
        changes.append(float(np.abs(before - after).max()))
        flips += int(before.argmax() != after.argmax())
        factors.append(found.factor)
    if not factors:
        return {"images": 0}
    return {
        "images": len(factors),
        "largest_factor": max(factors),
        "correlation_median": float(np.median(correlations)),
        "correlation_least": min(correlations),
        "probability_change_median": float(np.median(changes)),
        "probability_change_largest": max(changes),
        "changed_decisions": flips,
    }


def two_workers(model: Path, *, count: int, workers: int, files: Sequence[Path] = ()) -> float:
    """Return images a second of one-thread processes that start together.

    Parameters
    ----------
    model
        Folder of an exported model.
    count
        Images a worker.
    workers
        Number of processes.
    files
        Classified in turn; without them the network alone is run.
    """
    paths = [str(path.resolve()) for path in (model, *files)]
    command = [sys.executable, "-m", "benchmarks.inference_files", str(count), *paths]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        # The command is this file with paths of this run.
        subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment,
        )
        for _ in range(workers)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes]
    for _, answers in pipes:
        if answers is None or answers.readline() != _READY:
            raise RuntimeError("a worker did not start")
    for orders, _ in pipes:
        if orders is not None:
            orders.write("\n")
            orders.flush()
    times = [json.loads(process.communicate()[0]) for process in processes]
    # The clock is one for all processes; from the first start to the last end.
    first, last = min(start for start, _ in times), max(end for _, end in times)
    return float(workers * count / (last - first))


def work(arguments: Sequence[str]) -> None:
    """Classify in turn when a line comes in, and print when that began and ended."""
    count, model, *paths = int(arguments[0]), *map(Path, arguments[1:])
    cv2.setNumThreads(1)
    classifier = open_model(model)
    config = classifier.preprocess
    image = np.random.default_rng(1).integers(0, 256, (1, config.rows, config.columns), np.uint8)

    def once(number: int) -> None:
        if paths:
            probability(paths[number % len(paths)], classifier)
        else:
            classifier.logits(image)

    for number in range(_WARM_UP):
        once(number)
    sys.stdout.write(_READY)
    sys.stdout.flush()
    sys.stdin.readline()
    start = time.perf_counter()
    for number in range(count):
        once(number)
    sys.stdout.write(json.dumps([start, time.perf_counter()]))


if __name__ == "__main__":
    work(sys.argv[1:])
