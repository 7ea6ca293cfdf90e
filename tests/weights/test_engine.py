"""OpenVINO is loaded without what reports its use."""

import subprocess
import sys

import pytest

# Ends with 1 where OpenVINO has loaded what sends its reports.
_SENDS = "\nimport sys; sys.exit('openvino_telemetry.utils.sender' in sys.modules)"


def _run(code: str, home: object) -> int:
    # The code is a constant of this file.
    command = [sys.executable, "-c", code + _SENDS]
    return subprocess.run(command, check=False, env={"HOME": str(home)}).returncode  # noqa: S603


@pytest.mark.parametrize(
    "code",
    [
        "from medseal.weights.engine import load_openvino; load_openvino().Core()",
        "import medseal.pipeline.release, medseal.pipeline.verify\n"
        "from medseal.protection.watermark import inference; inference.load()",
    ],
    ids=["alone", "release and verify"],
)
def test_nothing_is_reported_and_nothing_is_written_at_home(code, tmp_path):
    assert _run(code, tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_runs_already_is_left_alone():
    code = (
        "import sys, types; sys.modules['openvino_telemetry'] = found = types.ModuleType('found')\n"
        "from medseal.weights.engine import without_telemetry; without_telemetry()\n"
        "sys.exit(sys.modules['openvino_telemetry'] is not found)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_a_missing_engine_is_named():
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from medseal.weights.engine import load_openvino\n"
        "try:\n    load_openvino()\nexcept ModuleNotFoundError as error:\n"
        "    sys.exit(error.name != 'openvino')\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
