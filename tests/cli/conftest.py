"""Run the real command line in this process and return what a shell would see."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest

from medseal.cli import main


@dataclass(frozen=True)
class Finished:
    """Exit code and output of one call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def medseal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDSEAL_PASSPHRASE", "correct horse")

    def run(*arguments: str | Path) -> Finished:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Finished(caught.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def ct_file() -> Path:
    return Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"


@pytest.fixture
def image_id(medseal: Callable[..., Finished], ct_file: Path) -> str:
    assert medseal("init").code == 0
    [line] = medseal("seal", ct_file, "--json").json
    found: str = line["image_id"]
    return found
