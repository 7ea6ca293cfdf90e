"""`medseal doctor`: check codecs, optional parts, models and the workspace."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import click

from medseal import __version__, weights
from medseal.cli.options import Common, common, emit
from medseal.imaging.codecs import supported_transfer_syntaxes
from medseal.pipeline.workspace import Workspace

SOME_FAILED = 1
# Module to what needs it, and what to install for it.
_PARTS = {
    "openvino": ("release, verify and classify need it", "medseal"),
    "cv2": ("release, verify and classify need it", "medseal"),
    "torch": ("training, and classification without an exported model, need it", "medseal[learn]"),
    "sklearn": ("training the linear SVM needs it", "medseal[learn]"),
    "skimage": ("the linear SVM needs it", "medseal[learn]"),
    "onnxruntime": ("a second runtime for exported models", "medseal[runtime]"),
    "simplejpeg": ("decoding JPEG at reduced size needs it", "medseal[runtime]"),
    "onnx": ("export needs it", "medseal[export]"),
}
_DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
}
_LOW_SPACE_BYTES = 1024**3


@click.command(name="doctor")
@common
def command(options: Common) -> int:
    """Say what works here and what to do about what does not.

    The workspace is checked too when there is one: it is opened, which finishes what an
    interrupted command left.
    """
    rows = [
        ("medseal", "ok", f"{__version__} on Python {platform.python_version()}"),
        *_codecs(),
        *_parts(),
        *_models(),
        *_workspace(options),
    ]
    for name, outcome, detail in rows:
        emit(
            options,
            {"name": name, "outcome": outcome, "detail": detail},
            f"{outcome:8} {name}: {detail}",
        )
    return SOME_FAILED if any(outcome == "fail" for _, outcome, _ in rows) else 0


def _codecs() -> list[tuple[str, str, str]]:
    return [
        (f"decode {name}", "ok", decoder) for name, decoder in supported_transfer_syntaxes().items()
    ]


def _parts() -> list[tuple[str, str, str]]:
    rows = []
    for module, (purpose, wanted) in _PARTS.items():
        name = _DISTRIBUTIONS.get(module, module)
        if find_spec(module) is None:
            rows.append((name, "missing", f"{purpose}; pip install '{wanted}'"))
            continue
        try:
            rows.append((name, "ok", version(name)))
        except PackageNotFoundError:
            rows.append((name, "ok", "version unknown"))
    return rows


def _models() -> list[tuple[str, str, str]]:
    rows = []
    for card in weights.models():
        weights.load(card.id)
        default = ", default" if card.default else ""
        rows.append((f"model {card.id}", "ok", f"{card.task}, {card.modality}{default}"))
    return rows


def _workspace(options: Common) -> list[tuple[str, str, str]]:
    free = shutil.disk_usage(_existing(options.workspace)).free
    space = "fail" if free < _LOW_SPACE_BYTES else "ok"
    rows = [("free space", space, f"{free // 1024**2} MiB at {options.workspace}")]
    if not (options.workspace / "keystore.medseal").is_file():
        rows.append(("workspace", "missing", "none here; run 'medseal init'"))
        return rows
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        counts = ", ".join(f"{k} {v}" for k, v in workspace.catalogue.counts().items())
        rows.append(("workspace", "ok", counts or "empty"))
        rows.append(("ledger", "ok", f"{workspace.ledger.size} entries, head verified"))
    return rows


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
