"""Exchanges with servers that are slow, endless, closed, or that want a login."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from medseal.errors import InputError, NodeError, UnreachableError
from medseal.ledger.ethereum.transport import MAX_RESPONSE_BYTES, Transport
from tests.ledger.ethereum.liar import liar_url, result, start_liar, start_raw
from tests.ledger.ethereum.nodes import NodeProcess, free_port

ASK = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
SECRET = "s3cr3t-w0rd"  # noqa: S105 - to search for


def raw_answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def transport(anvil: NodeProcess) -> Iterator[Transport]:
    made = Transport(anvil.url)
    yield made
    made.close()


def test_one_connection_serves_many_exchanges(transport: Transport, anvil: NodeProcess) -> None:
    for _ in range(20):
        assert b'"0x7a69"' in transport.post(ASK, timeout_seconds=5)
    assert len(transport._idle) == 1
    assert transport.losses == 0
    assert repr(transport) == f"Transport({anvil.url})"


def test_threads_share_it(transport: Transport) -> None:
    answers: list[bytes] = []

    def ask() -> None:
        answers.extend(transport.post(ASK, timeout_seconds=10) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160
    assert all(b'"0x7a69"' in answer for answer in answers)


def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    def once(stream: Any) -> None:
        stream.write(raw_answer("200 OK", b"{}"))

    with start_raw(once) as url:
        transport = Transport(url)
        assert transport.post(ASK, timeout_seconds=5) == b"{}"
        # The server closes after each answer without saying so.
        time.sleep(0.1)
        assert transport.post(ASK, timeout_seconds=5) == b"{}"
    assert transport.losses == 1


def test_a_child_process_makes_connections_of_its_own(transport: Transport) -> None:
    transport.post(ASK, timeout_seconds=5)
    parents = list(transport._idle)
    child = os.fork()
    if child == 0:
        try:
            transport.post(ASK, timeout_seconds=5)
            os._exit(0 if transport._idle and parents[0] not in transport._idle else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b'"0x7a69"' in transport.post(ASK, timeout_seconds=5)


def test_nobody_listens() -> None:
    transport = Transport(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match=r"cannot be reached \(ConnectionRefusedError\)"):
        transport.post(ASK, timeout_seconds=5)


def test_a_silent_server_is_given_up_at_the_limit() -> None:
    with start_raw(lambda _stream: time.sleep(3)) as url:
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"did not answer within 0\.3 s"):
            Transport(url).post(ASK, timeout_seconds=0.3)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_dripping_server_is_given_up_at_the_limit(part: str) -> None:
    def drip(stream: Any) -> None:
        stream.write(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            stream.write(b"Content-Length: 1000\r\n\r\n")
        try:
            for _ in range(60):
                stream.write(b"X")
                stream.flush()
                time.sleep(0.05)
        except OSError:
            pass

    with start_raw(drip) as url:
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"did not answer within 0\.4 s"):
            Transport(url).post(ASK, timeout_seconds=0.4)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("is_stated", [True, False])
def test_an_endless_answer_is_cut_off(is_stated: bool) -> None:
    length = f"Content-Length: {10**12}\r\n" if is_stated else ""

    def pour(stream: Any) -> None:
        try:
            stream.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
            while True:
                stream.write(b" " * 65_536)
        except OSError:
            pass

    with (
        start_raw(pour) as url,
        pytest.raises(NodeError, match=f"more than {MAX_RESPONSE_BYTES} bytes"),
    ):
        Transport(url).post(ASK, timeout_seconds=20)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        ("503 Busy", b"busy", "HTTP status 503"),
        ("429 Slow down", b"{}", "HTTP status 429"),
        ("301 Moved", b"", "HTTP status 301"),
        ("404 Nothing", b"<html>", "HTTP status 404"),
        ("401 Who", b"", "refused the login"),
        ("403 No", b"{}", "refused the login"),
    ],
)
def test_an_answer_without_json_rpc_is_refused(status: str, body: bytes, message: str) -> None:
    with (
        start_raw(lambda stream: stream.write(raw_answer(status, body))) as url,
        pytest.raises(UnreachableError, match=message),
    ):
        Transport(url).post(ASK, timeout_seconds=5)


def test_json_under_an_error_status_is_an_answer() -> None:
    with start_raw(lambda stream: stream.write(raw_answer("400 Bad", b'{"error":1}'))) as url:
        assert Transport(url).post(ASK, timeout_seconds=5) == b'{"error":1}'


@pytest.mark.parametrize(
    "answer", [b"", b"SMTP ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_a_server_that_breaks_off_is_unreachable(answer: bytes) -> None:
    with (
        start_raw(lambda stream: stream.write(answer)) as url,
        pytest.raises(UnreachableError, match="cannot be reached"),
    ):
        Transport(url).post(ASK, timeout_seconds=5)


def test_a_redirect_is_not_followed() -> None:
    asked: list[int] = []

    def move(stream: Any) -> None:
        asked.append(1)
        stream.write(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    with (
        start_raw(move) as url,
        pytest.raises(UnreachableError, match="HTTP status 307"),
    ):
        Transport(url).post(ASK, timeout_seconds=5)
    assert asked == [1]


def test_login_data_go_into_the_header_and_are_never_shown(anvil: NodeProcess) -> None:
    with start_liar(anvil.url, {"eth_chainId": result("0x1")}) as server:
        url = liar_url(server).replace("http://", f"http://clinic:{SECRET}%21@")
        transport = Transport(f"{url}/v3/{SECRET}?key={SECRET}")
        assert b'"0x1"' in transport.post(ASK, timeout_seconds=5)
        (request,) = server.requests
        transport.close()
    # clinic:s3cr3t-w0rd!
    assert request["headers"]["Authorization"] == "Basic Y2xpbmljOnMzY3IzdC13MHJkIQ=="
    assert request["path"] == f"/v3/{SECRET}?key={SECRET}"
    with pytest.raises(UnreachableError) as caught:
        transport.post(ASK, timeout_seconds=5)
    for shown in (str(caught.value), repr(caught.value), repr(transport), transport.shown):
        assert SECRET not in shown
        assert "clinic" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8545",
        "ws://localhost:8545",
        "file:///etc/passwd",
        "http://",
        f"http://user:{SECRET}@host:99999/",
        f"http://user:{SECRET}@host:0/",
        f"http://user:{SECRET}@[::1/",
        f"http://host/{SECRET}\r\nX: y",
        f"http://host/ {SECRET}",
        f"http://hóst/{SECRET}",
        None,
    ],
)
def test_other_addresses_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError, match="the address of a node") as caught:
        Transport(url)
    assert SECRET not in str(caught.value)


def test_an_address_of_version_6_is_written_with_brackets() -> None:
    assert Transport("https://[::1]/path").shown == "https://[::1]:443"


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve one exchange over TLS; give the address and the certificate to trust."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-days", "1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        connected, _ = listening.accept()
        with connected, suppress(OSError), context.wrap_socket(connected, True) as encrypted:
            encrypted.recv(65_536)
            encrypted.sendall(raw_answer("200 OK", b'{"result":"' + b"x" * 100_000 + b'"}'))
            encrypted.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}", certificate
        finally:
            thread.join()


def test_an_exchange_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(tmp_path) as (url, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        transport = Transport(url)
        assert len(transport.post(ASK, timeout_seconds=5)) == 100_013
        transport.close()


def test_a_server_without_a_trusted_certificate_is_refused(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (url, _):
        transport = Transport(url)
        with pytest.raises(UnreachableError, match="no certificate that this machine trusts"):
            transport.post(ASK, timeout_seconds=5)
