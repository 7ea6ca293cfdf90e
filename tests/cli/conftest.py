"""Run the real command line in this process and return what a shell would see."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from benchmarks.nodes import NodeProcess, start_anvil
from medseal.cli import main
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.network import NetworkSetting
from medseal.pipeline.roles import change_role
from medseal.pipeline.workspace import Workspace
from tests.cli.hospitals import PASSPHRASE, Hospitals, Run, Template, keystore


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


# --- Two hospitals ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("hospitals")
    keys = [keystore(folder / f"{number}.json", number) for number in (0, 1)]
    with start_anvil(state=folder / "chain.json") as node:
        for name in "ab":
            Workspace.create(folder / name, PASSPHRASE).close()
        # This node makes blocks of transactions alone, so its head may be of any age.
        request = JoinRequest(url=node.url, key_file=keys[0], max_head_age_seconds=None)
        contract = join(folder / "a", PASSPHRASE, request).contract
        request = replace(request, key_file=keys[1], contract=contract)
        gateway_b = join(folder / "b", PASSPHRASE, request).address
        with Workspace.open(folder / "a", PASSPHRASE) as workspace:
            change_role(workspace, gateway_b, "registrar", add=True)
            assert workspace.push().state == "final"
        # Ends and writes its chain.
        node.stop()
    return Template(folder=folder, contract=contract, gateway_b=gateway_b)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with start_anvil(state=tmp_path / "chain.json") as started:
        yield started


@pytest.fixture
def hospitals(medseal: Run, template: Template, tmp_path: Path) -> Iterator[Hospitals]:
    shutil.copytree(template.folder, tmp_path, dirs_exist_ok=True)
    with start_anvil(state=tmp_path / "chain.json") as node:
        for name in "ab":
            setting = NetworkSetting.load(tmp_path / name)
            assert setting is not None
            replace(setting, url=node.url).save(tmp_path / name)
        yield Hospitals(
            run=medseal, node=node, contract=template.contract, gateway_b=template.gateway_b
        )
