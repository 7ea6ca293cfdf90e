"""Opening: only with a grant, exact, and never without a trace."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medseal.errors import (
    AccessRefusedError,
    DigestMismatchError,
    PayloadAuthenticationError,
    UnknownImageError,
    UnsupportedImageError,
)
from medseal.imaging import read
from medseal.ledger import EventKind
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.open import open_image
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace


@pytest.fixture
def image_id(workspace: Workspace, mr_file: Path) -> str:
    [outcome] = seal(workspace, [mr_file])
    assert outcome.image_id is not None
    return outcome.image_id


@pytest.mark.parametrize("name", ["out.dcm", "out", "1.2.840.3"])
def test_the_owner_gets_the_file_itself(
    workspace: Workspace, image_id: str, mr_file: Path, tmp_path: Path, name: str
) -> None:
    outcome = open_image(workspace, image_id, tmp_path / name)
    assert outcome.exact == "file"
    assert (tmp_path / name).read_bytes() == mr_file.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".nii", ".nii.gz"])
def test_another_format_has_equal_stored_values(
    workspace: Workspace, image_id: str, mr_file: Path, tmp_path: Path, suffix: str
) -> None:
    outcome = open_image(workspace, image_id, tmp_path / f"out{suffix}")
    assert outcome.exact == "stored-values"
    np.testing.assert_array_equal(
        read(tmp_path / f"out{suffix}").stored_values, read(mr_file).stored_values
    )


def test_a_lossy_format_is_refused_before_anything_is_written(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedImageError, match="JPEG would change"):
        open_image(workspace, image_id, tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()


def test_a_stranger_is_refused_and_the_refusal_is_on_the_ledger(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    with pytest.raises(AccessRefusedError, match="no-grant") as caught:
        open_image(workspace, image_id, tmp_path / "out.dcm", name="stranger")
    assert caught.value.reason == "no-grant"
    assert not (tmp_path / "out.dcm").exists()
    [*_, (_, last)] = workspace.ledger.events()
    assert last.kind == EventKind.REFUSE
    assert last.actor == workspace.keys.account("stranger")


def test_with_a_grant_it_opens_and_leaves_an_event(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    grant(workspace, GrantRequest(name="Dr. Example", image_id=image_id, action="view"))
    outcome = open_image(workspace, image_id, tmp_path / "out.dcm", name="Dr. Example")
    assert outcome.receipt.is_file()
    [*_, (_, last)] = workspace.ledger.events()
    assert last.kind == EventKind.OPEN


def test_an_unknown_image(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match="no image"):
        open_image(workspace, "0" * 32, tmp_path / "out.dcm")


def test_a_damaged_object_gives_no_output(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    [address] = workspace.store.addresses()
    path = workspace.path / "objects" / address
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatchError, match="damaged"):
        open_image(workspace, image_id, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()


def test_the_package_of_another_image_is_refused(
    workspace: Workspace,
    image_id: str,
    tmp_path: Path,
    write_mr: Callable[..., Path],
) -> None:
    [other] = seal(workspace, [write_mr(tmp_path / "other.dcm", seed=2)])
    records = {record.image_id: record for record in workspace.catalogue.images()}
    # Somebody who can write the catalogue exchanges the two packages.
    first, second = records[image_id], records[other.image_id or ""]
    with workspace.catalogue._engine.begin() as connection:
        query = "UPDATE images SET package = ? WHERE image_id = ?"
        connection.exec_driver_sql(query, (second.package, first.image_id))
    with pytest.raises(PayloadAuthenticationError, match="that of another image"):
        open_image(workspace, image_id, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()
