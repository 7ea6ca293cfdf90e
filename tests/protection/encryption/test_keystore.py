import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import (
    InputError,
    KeystoreError,
    PackageError,
    StorageError,
    StorageFullError,
    WorkspaceError,
    WrongPassphraseError,
)
from medseal.protection.encryption import Keystore, keystore

PHRASE = "correct horse"
LOG_N = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


def filled(path: Path) -> Keystore:
    store = Keystore.create(path, PHRASE, log_n=LOG_N)
    store.put("identity/owner", bytes(range(32)))
    store.put("ledger/signing", b"\xff" * 32)
    store.save()
    return store


def test_load_gives_back_every_secret(path: Path) -> None:
    filled(path)
    store = Keystore.load(path, PHRASE)
    assert store.names() == ("identity/owner", "ledger/signing")
    assert store.get("identity/owner") == bytes(range(32))
    assert store.get("ledger/signing") == b"\xff" * 32


@settings(max_examples=20)
@given(
    st.dictionaries(
        st.text('abc/-. äß"\\', min_size=1, max_size=20),
        st.binary(min_size=1, max_size=100),
        max_size=5,
    )
)
def test_any_names_and_values_round_trip(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("keystore") / "file"
    store = Keystore.create(path, PHRASE, log_n=LOG_N)
    for name, value in entries.items():
        store.put(name, value)
    store.save()
    loaded = Keystore.load(path, PHRASE)
    assert {name: loaded.get(name) for name in loaded.names()} == entries


def test_the_file_is_for_its_owner_only_and_nothing_is_left_beside_it(path: Path) -> None:
    filled(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keystore"]


def test_no_secret_stands_in_the_file(path: Path) -> None:
    filled(path)
    data = path.read_bytes()
    for secret in (bytes(range(32)), b"\xff" * 32, b"owner", PHRASE.encode()):
        assert secret not in data


def test_two_saves_share_no_key(path: Path) -> None:
    store = filled(path)
    first = path.read_bytes()
    store.save()
    second = path.read_bytes()
    assert len(first) == len(second)
    assert sum(a == b for a, b in zip(first[-100:], second[-100:], strict=True)) < 20


def test_a_wrong_passphrase_is_told_from_damage(path: Path) -> None:
    filled(path)
    with pytest.raises(WrongPassphraseError, match="keystore: the passphrase is wrong"):
        Keystore.load(path, "wrong horse")
    data = bytearray(path.read_bytes())
    for place in range(len(data)):
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(KeystoreError, match=r"damaged|not a keystore"):
            Keystore.load(path, PHRASE)
        data[place] ^= 1


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_type(data: bytes) -> None:
    for candidate in (data, keystore._START + data):
        with pytest.raises(PackageError, match="keystore"):
            keystore._decode_file(candidate, PHRASE)


def test_a_huge_file_is_refused_without_reading_it_all(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2**40)  # a hole: a terabyte by name only
    with pytest.raises(KeystoreError, match="exceeds"):
        Keystore.load(path, PHRASE)


def test_a_missing_file_or_folder_names_itself(path: Path) -> None:
    with pytest.raises(WorkspaceError, match="keystore does not exist"):
        Keystore.load(path, PHRASE)
    with pytest.raises(WorkspaceError, match="does not exist; create the workspace first"):
        Keystore.create(path.parent / "nowhere" / "keystore", PHRASE, log_n=LOG_N)
    with pytest.raises(StorageError, match="Is a directory"):
        Keystore.load(path.parent, PHRASE)


def test_create_never_overwrites(path: Path) -> None:
    filled(path)
    before = path.read_bytes()
    with pytest.raises(WorkspaceError, match="already exists"):
        Keystore.create(path, PHRASE, log_n=LOG_N)
    assert path.read_bytes() == before


def test_the_second_of_two_writers_is_refused(path: Path) -> None:
    filled(path)
    first, second = (Keystore.load(path, PHRASE) for _ in range(2))
    first.put("first", b"1")
    second.put("second", b"2")
    first.save()
    with pytest.raises(WorkspaceError, match="changed meanwhile"):
        second.save()
    assert Keystore.load(path, PHRASE).get("first") == b"1"


def test_a_removed_file_is_not_written_again(path: Path) -> None:
    store = filled(path)
    path.unlink()
    with pytest.raises(WorkspaceError, match="changed meanwhile"):
        store.save()


def test_an_unknown_name_is_refused(path: Path) -> None:
    with pytest.raises(KeystoreError, match="no secret named 'identity/nobody'"):
        filled(path).get("identity/nobody")


def test_a_secret_is_replaced_only_when_told(path: Path) -> None:
    store = filled(path)
    with pytest.raises(InputError, match="already has a secret named 'identity/owner'"):
        store.put("identity/owner", b"new")
    assert store.get("identity/owner") == bytes(range(32))
    store.put("identity/owner", b"new", replace=True)
    assert store.get("identity/owner") == b"new"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("", b"x", "1 to 200 printable"),
        ("n" * 201, b"x", "1 to 200 printable"),
        ("a\nb", b"x", "1 to 200 printable"),
        ("a\ud800", b"x", "1 to 200 printable"),
        ("u\u0308", b"x", "form NFC"),
        ("a", b"", "1 to 2048 bytes"),
        ("a", bytes(2049), "1 to 2048 bytes"),
    ],
)
def test_a_secret_outside_the_limits_is_refused(
    path: Path, name: str, value: bytes, message: str
) -> None:
    store = filled(path)
    with pytest.raises(InputError, match=message):
        store.put(name, value)
    assert len(store.names()) == 2


def test_all_limits_can_be_reached_together(path: Path) -> None:
    store = Keystore.create(path, PHRASE, log_n=LOG_N)
    for number in range(keystore.MAX_SECRETS):
        name = f"{number:04}".ljust(keystore.MAX_NAME_CHARACTERS, "\U0001f512")
        store.put(name, os.urandom(keystore.MAX_SECRET_BYTES))
    with pytest.raises(InputError, match="at most 4096 secrets"):
        store.put("one more", b"x")
    store.save()
    assert Keystore.load(path, PHRASE).names() == store.names()


def test_the_passphrase_can_be_changed(path: Path) -> None:
    store = filled(path)
    store.change_passphrase("new horse")
    assert Keystore.load(path, "new horse").get("ledger/signing") == b"\xff" * 32
    with pytest.raises(WrongPassphraseError, match="passphrase is wrong"):
        Keystore.load(path, PHRASE)
    store.put("later", b"1")
    store.save()
    assert Keystore.load(path, "new horse").get("later") == b"1"


def test_a_refused_passphrase_changes_nothing(path: Path) -> None:
    store = filled(path)
    with pytest.raises(InputError, match="1 to 1024 characters"):
        store.change_passphrase("")
    store.save()
    assert Keystore.load(path, PHRASE).names() == store.names()


def test_the_work_factor_is_kept(path: Path) -> None:
    Keystore.create(path, PHRASE, log_n=11)
    store = Keystore.load(path, PHRASE)
    store.save()
    assert path.read_bytes()[17 + 32 + 45 + 19 + 2 + 16] == 11


def test_a_full_disk_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(path)
    before = path.read_bytes()
    store.put("later", b"1")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFullError, match="No space left on device"):
            store.save()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["keystore"]
    store.save()
    assert Keystore.load(path, PHRASE).get("later") == b"1"


def test_what_a_crash_left_behind_is_cleared(path: Path) -> None:
    store = filled(path)
    (path.parent / ".keystore.tmp").write_bytes(b"half")
    store.save()
    assert [file.name for file in path.parent.iterdir()] == ["keystore"]


def test_a_link_is_followed_and_stays_a_link(path: Path) -> None:
    filled(path)
    link = path.parent / "link"
    link.symlink_to(path)
    store = Keystore.load(link, PHRASE)
    store.put("later", b"1")
    store.save()
    assert link.is_symlink()
    assert Keystore.load(path, PHRASE).get("later") == b"1"


def test_repr_hides_every_secret(path: Path) -> None:
    shown = repr(filled(path))
    assert shown == f"Keystore({str(path)!r}, 2 secrets)"


KILLED = """
import sys
from medseal.protection.encryption import Keystore
store = Keystore.load(sys.argv[1], "correct horse")
for number in range(10**6):
    store.put("counter", str(number).encode(), replace=True)
    store.save()
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_keystore(path: Path) -> None:
    filled(path)
    for round_ in range(4):
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(3 + 5 * round_)]
        process.kill()
        rest, _ = process.communicate()
        acknowledged = max(seen + [int(line) for line in rest.split("\n")[:-1]])
        stored = int(Keystore.load(path, PHRASE).get("counter"))
        assert acknowledged <= stored <= acknowledged + 1
