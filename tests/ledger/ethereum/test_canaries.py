"""Nothing about a patient, an image or a person reaches a chain: canaries planted and searched."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from medseal.digest import Digest
from medseal.errors import AccessRefusedError
from medseal.ledger import (
    Consent,
    ConsentChange,
    ConsentDomain,
    EventKind,
    Opening,
    PauseChange,
    Receipt,
    State,
    new_patient_key,
    now_ms,
    patient_address,
    sign_consent,
)
from medseal.pipeline.access import GrantRequest, break_glass, grant, revoke
from medseal.pipeline.connect import JoinRequest, join
from medseal.pipeline.connection import KEY_NAME
from medseal.pipeline.consent import relay_consent
from medseal.pipeline.erase import erase
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.roles import change_role, pause
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import OWNER, Workspace
from tests.ledger.ethereum.canaries import (
    DIGEST_PREFIX_BYTES,
    Haystack,
    of_secret,
    of_text,
    read_chain,
    six_bits,
)
from tests.ledger.ethereum.nodes import NodeProcess, node_accounts, start_anvil

PASSPHRASE = "canary-passphrase-of-the-workspace"  # noqa: S105 - of a throw-away workspace
MR_FILE = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small.dcm"
PATIENT_NAME, PATIENT_ID = "Canarybird^Ophelia", "canary-patient-77421"
FILE_NAME = "canary-ophelia-of-ward-nine.dcm"
REASON = "canary unconscious after the collapse of a crane"
PEOPLE = (
    "doctor-canaryreader",
    "researcher-canaryfinch",
    "Service Canaryrelay",
    "Canary Recipient",
)
PURPOSE = "second-opinion"
# Fewer letters would be found by chance.
MIN_LETTERS = 7


class Planted:
    """What was planted while medseal was used, by name: texts and bytes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.secrets: dict[str, bytes] = {}
        # What stands on a chain on purpose: a search that does not find it is worth nothing.
        self.subjects: list[str] = []
        self.accounts: list[str] = []


def canary_file(folder: Path, planted: Planted) -> Path:
    """Write an image whose attributes are canaries."""
    data = pydicom.dcmread(MR_FILE)
    generator = np.random.default_rng(7)
    data.Rows = data.Columns = 256
    row, column = np.mgrid[-1:1:256j, -1:1:256j]
    values = 900 * np.exp(-2 * (row**2 + column**2)) * (1.3 + np.sin(17 * row * column))
    noisy = np.clip(values + generator.normal(0, 20, values.shape), 0, 4095)
    data.PixelData = noisy.astype("<u2").tobytes()
    data.PatientName, data.PatientID = PATIENT_NAME, PATIENT_ID
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(data, name, generate_uid())
        planted.texts[name] = str(data[name].value)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.AccessionNumber = "canary-accession"
    path = folder / FILE_NAME
    data.save_as(path)
    planted.secrets["digest of the file"] = Digest.plain(path.read_bytes()).value
    planted.secrets["stored values"] = data.PixelData[-64:]
    return path


def note_opening(planted: Planted, receipt_file: Path | None) -> None:
    """Take down what the receipt of a seal tells its owner."""
    assert receipt_file is not None
    opening = Receipt.parse(receipt_file.read_bytes()).opening
    assert isinstance(opening, Opening)
    number = len(planted.subjects)
    planted.secrets[f"salt {number}"] = opening.salt
    planted.secrets[f"digest of the stored values {number}"] = opening.values.value
    planted.secrets[f"digest of the metadata {number}"] = opening.metadata.value


def use(workspace: Workspace, folder: Path, planted: Planted) -> None:
    """Do with medseal what is done with it, and wait until the chain has all of it."""
    doctor, researcher, service, recipient = PEOPLE
    [outcome] = seal(workspace, [canary_file(folder, planted)])
    image_id = outcome.image_id or ""
    record = workspace.catalogue.image(image_id)
    assert record is not None, outcome.error
    note_opening(planted, outcome.receipt)
    planted.subjects.append(record.commitment)
    end = now_ms() + 3_600_000
    for name, role in ((doctor, "radiologist"), (researcher, "researcher")):
        request = GrantRequest(
            name=name,
            image_id=image_id,
            action="view",
            role=role,
            purpose=PURPOSE.replace("-", " "),
            until_ms=end,
        )
        grant(workspace, request)
        planted.accounts.append(workspace.known_account(name))
    # On a network the key of the gateway sends for the service, so the gateway holds its role too.
    change_role(workspace, service, "consent-service", add=True)
    change_role(workspace, OWNER, "consent-service", add=True)
    settle(workspace)
    open_image(workspace, image_id, folder / "out.dcm", name=doctor, purpose=PURPOSE)
    copy = ReleaseRequest(image_id=image_id, to=recipient)
    release_id = release(workspace, copy, folder / "canary-copy.dcm").release_id
    planted.texts |= {"image id": image_id, "release id": release_id}
    workspace.record_event(
        EventKind.CLASSIFY,
        actor=workspace.owner,
        subject=record.commitment,
        details={"label": "canary-label", "result": Digest.plain(b"canary-result").value.hex()},
    )
    planted.texts |= {"label": "canary-label", "result": "canary-result"}
    consents(workspace, image_id, folder, planted)
    break_glass(workspace, doctor, image_id, reason=REASON)
    refused = ReleaseRequest(image_id=image_id, to=recipient, name=researcher)
    with pytest.raises(AccessRefusedError, match="may not share"):
        release(workspace, refused, folder / "no.dcm")
    pause(workspace, PauseChange.PAUSE)
    pause(workspace, PauseChange.RESUME)
    revoke(workspace, researcher, image_id, "view")
    revoke(workspace, doctor, image_id, None)
    erase(workspace, image_id)
    settle(workspace)


def consents(workspace: Workspace, image_id: str, folder: Path, planted: Planted) -> None:
    """Relay a withdrawal and a consent that a patient has signed."""
    setting = workspace.network
    assert setting is not None
    domain = ConsentDomain(chain_id=setting.chain_id, contract=setting.contract)
    key = new_patient_key()
    planted.secrets["key of the patient"] = key
    planted.secrets["address of the patient"] = bytes.fromhex(patient_address(key)[2:])
    for number, change in enumerate((ConsentChange.WITHDRAW, ConsentChange.GIVE)):
        said = Consent(
            subject=planted.subjects[-1],
            change=change,
            purpose="canary-study",
            issued_ms=now_ms() + number,
        )
        signed = sign_consent(said, domain, key)
        planted.secrets[f"signature of the patient {number}"] = signed.signature
        planted.secrets[f"nonce of the patient {number}"] = bytes.fromhex(said.nonce)
        path = folder / f"{number}.consent"
        path.write_bytes(signed.to_bytes())
        relay_consent(workspace, image_id, path, change, signer=patient_address(key))
    planted.texts["purpose of the consent"] = "canary-study"


def settle(workspace: Workspace) -> None:
    """Wait until the chain has everything, and has refused nothing."""
    found = workspace.ledger.wait(State.FINAL, 30.0)  # type: ignore[union-attr]
    assert found.refused == 0
    assert found.final == workspace.log.size


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, Planted]]:
    folder, planted = tmp_path_factory.mktemp("canaries"), Planted()
    path = folder / "workspace"
    with start_anvil() as node:
        with Workspace.create(path, PASSPHRASE) as workspace:
            # A gateway that can pay for gas here.
            workspace.keystore.put(KEY_NAME, node_accounts()[0].key)
            workspace.keystore.save()
        join(path, PASSPHRASE, JoinRequest(url=node.url, max_head_age_seconds=None))
        with Workspace.open(path, PASSPHRASE) as workspace:
            planted.secrets["key of the gateway"] = workspace.keystore.get(KEY_NAME)
            planted.secrets["key of the log"] = workspace.keystore.get("ledger/signing")
            use(workspace, folder, planted)
        planted.texts |= {
            "patient name": PATIENT_NAME,
            "patient id": PATIENT_ID,
            "accession number": "canary-accession",
            "file name": FILE_NAME,
            "reason": REASON,
            "passphrase": PASSPHRASE,
            **{f"account name {name}": name for name in PEOPLE},
            **{
                f"part of a name {part}": part for part in ("Canarybird", "Ophelia", "canaryreader")
            },
        }
        yield node, planted


@pytest.fixture(scope="module")
def haystack(used: tuple[NodeProcess, Planted]) -> Haystack:
    return read_chain(used[0])


def letters(text: str) -> str:
    """Return a text in the letters of a purpose."""
    return "".join(one if one.isalnum() and one.isascii() else "-" for one in text.lower())


def test_no_text_reaches_the_chain(used: tuple[NodeProcess, Planted], haystack: Haystack) -> None:
    texts = used[1].texts
    assert len(texts) >= 20
    for name, text in texts.items():
        assert haystack.spellings(of_text(text)) == [], name
        # A purpose has at most 32 letters: a longer text would stand there in pieces.
        for start in range(0, len(text), 16):
            piece = letters(text)[start : start + 32]
            if len(piece) >= MIN_LETTERS:
                assert not haystack.holds_six_bits(piece), name


def test_no_key_salt_or_bare_digest_reaches_the_chain(
    used: tuple[NodeProcess, Planted], haystack: Haystack
) -> None:
    secrets = used[1].secrets
    assert len(secrets) >= 12
    for name, data in secrets.items():
        spellings = of_secret(data)
        for place in (data[:DIGEST_PREFIX_BYTES], data[-DIGEST_PREFIX_BYTES:]):
            spellings |= {f"{kind} of a part": part for kind, part in of_secret(place).items()}
        for prefix in (b"", b"sha256:"):
            bare = Digest.plain(prefix + data).value
            spellings |= {"its digest": bare[:DIGEST_PREFIX_BYTES]}
        assert haystack.spellings(spellings) == [], name


def test_the_search_finds_what_stands_there_on_purpose(
    used: tuple[NodeProcess, Planted], haystack: Haystack
) -> None:
    planted = used[1]
    for subject in planted.subjects:
        assert "bytes" in haystack.spellings(of_secret(bytes.fromhex(subject[7:])))
    for account in planted.accounts:
        assert "bytes" in haystack.spellings(of_secret(bytes.fromhex(account)))
    # The purpose is a code from a published list, and stands there openly.
    assert haystack.holds_six_bits(PURPOSE)


@pytest.mark.parametrize("text", [PATIENT_NAME, "canary-patient-77421"])
def test_the_search_finds_every_spelling_that_is_sent(text: str) -> None:
    sender = node_accounts()[0].address
    with start_anvil() as node:
        spellings = of_text(text)
        for data in spellings.values():
            sent = {"from": sender, "to": sender, "data": f"0x{b'before'.hex()}{data.hex()}"}
            node.rpc("eth_sendTransaction", sent)
        packed = six_bits(letters(text)) << 6 * 5
        call = {"from": sender, "to": sender, "data": f"0x05d01663{packed:064x}"}
        node.rpc("eth_sendTransaction", call)
        node.rpc("anvil_mine", "0x1")
        haystack = read_chain(node)
    assert haystack.spellings(spellings) == list(spellings)
    assert haystack.holds_six_bits(letters(text))
    assert not haystack.holds_six_bits("nobody-sent-this")
    assert haystack.spellings(of_text("nobody sent this")) == []
