"""Keep-alive HTTP to a node: each exchange bounded in time and size, no redirects, no proxies.

A deadline covers a whole exchange, however slowly the other side drips its bytes. Login data of
the address go into a header and are never shown; nor is its path, in which keys are common.
"""

import base64
import http.client
import io
import os
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from medseal.errors import InputError, NodeError, UnreachableError

__all__ = ["MAX_RESPONSE_BYTES", "Transport"]

# 10,000 logs of anchors are about 7 MB.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_IDLE_CONNECTIONS = 32
_READ_BYTES = 65_536
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OK = 200
_LOGIN_REFUSED = (401, 403, 407)
# A node that finds fault with a request may say so in JSON under one of these.
_ANSWERED = (400, 404, 413, 422, 500)
# What an idle connection that the node has closed looks like when it is used again.
_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class _DeadlineReader(io.RawIOBase):
    """Bytes of a socket until a deadline; `makefile` of a socket knows a limit a read only."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        super().__init__()
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        """Say that this is a source."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has arrived, or wait for it until the deadline."""
        self._socket.settimeout(_left(self._deadline))
        return self._socket.recv_into(buffer)


class _Exchange:
    """The socket of one exchange, as `http.client.HTTPResponse` wants it."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the bytes of the answer."""
        return io.BufferedReader(_DeadlineReader(self._socket, self._deadline))


class Transport:
    """Exchanges with one address; several threads may use it at once.

    Parameters
    ----------
    url
        ``http://`` or ``https://`` address, MAY hold a user and password.

    Attributes
    ----------
    shown
        Scheme, host and port: all of the address that a message may repeat.
    losses
        How often a connection was lost or given up so far: the next may lead to another node.

    Raises
    ------
    InputError
        Another kind of address.
    """

    def __init__(self, url: str) -> None:
        parts = _checked_url(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        self.shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        self.losses = 0
        self._address = (host, port)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {self.shown.partition('://')[2]}\r\n"
            f"Content-Type: application/json\r\n{_login(parts)}"
        )
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"Transport({self.shown})"

    def close(self) -> None:
        """Close the connections that no exchange uses."""
        with self._lock:
            idle, self._idle = self._idle, []
            self.losses += 1
        for connection in idle:
            connection.close()

    def post(self, body: bytes, *, timeout_seconds: float) -> bytes:
        """Send a request and return the body of the answer.

        The same body may arrive twice: an idle connection that the node has closed is replaced.

        Raises
        ------
        UnreachableError
            No answer in time, or one that no node gives.
        NodeError
            The answer is too long, or the login is refused.
        """
        deadline = time.monotonic() + timeout_seconds
        idle = self._take_idle()
        try:
            if idle is not None:
                try:
                    return self._exchange(idle, body, deadline)
                except _CLOSED:
                    idle.close()
            return self._exchange(self._connect(deadline), body, deadline)
        except TimeoutError:
            raise UnreachableError(
                f"{self.shown} did not answer within {timeout_seconds:g} s: try again later"
            ) from None
        except ssl.SSLError:
            raise UnreachableError(
                f"{self.shown} has no certificate that this machine trusts: check the address"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"{self.shown} cannot be reached ({type(error).__name__}): is the node running?"
            ) from None

    def _take_idle(self) -> socket.socket | None:
        with self._lock:
            if self._process != os.getpid():
                # Connections made before a fork belong to the parent.
                self._idle, self._process = [], os.getpid()
                self.losses += 1
            return self._idle.pop() if self._idle else None

    def _connect(self, deadline: float) -> socket.socket:
        connected = socket.create_connection(self._address, timeout=_left(deadline))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connected.settimeout(_left(deadline))
                connected = self._tls.wrap_socket(connected, server_hostname=self._address[0])
        except BaseException:
            connected.close()
            raise
        return connected

    def _exchange(self, connected: socket.socket, body: bytes, deadline: float) -> bytes:
        """Send and receive on one connection; keep it if the node keeps it."""
        head = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode()
        is_kept = False
        try:
            connected.settimeout(_left(deadline))
            connected.sendall(head + body)
            with http.client.HTTPResponse(
                _Exchange(connected, deadline),  # type: ignore[arg-type]
                method="POST",
            ) as response:
                response.begin()
                content = self._read(response)
                is_kept = not response.will_close
        except BaseException:
            with self._lock:
                self.losses += 1
            raise
        finally:
            if not is_kept or not self._keep(connected):
                connected.close()
        return self._checked(response.status, content)

    def _keep(self, connected: socket.socket) -> bool:
        with self._lock:
            is_ours = self._process == os.getpid() and len(self._idle) < MAX_IDLE_CONNECTIONS
            if is_ours:
                self._idle.append(connected)
        return is_ours

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        content = bytearray()
        while chunk := response.read(_READ_BYTES):
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                raise NodeError(f"{self.shown} answered with more than {MAX_RESPONSE_BYTES} bytes")
        if response.length:
            # A read of parts ends at a broken connection without a word.
            raise http.client.IncompleteRead(b"", response.length)
        return bytes(content)

    def _checked(self, status: int, content: bytes) -> bytes:
        if status == _OK or (status in _ANSWERED and content[:1] in (b"{", b"[")):
            return content
        if status in _LOGIN_REFUSED:
            raise NodeError(f"{self.shown} refused the login: check the address")
        raise UnreachableError(f"{self.shown} answered with HTTP status {status}")


def _left(deadline: float) -> float:
    """Return the seconds until a deadline; raise `TimeoutError` after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _checked_url(url: object) -> SplitResult:
    """Return the parts of an address; no message repeats it."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError("the address of a node is an http or https URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("the address of a node is malformed") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise InputError("the address of a node begins with http:// or https:// and names a host")
    return parts


def _login(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
