"""A real server between client and node that answers chosen methods otherwise than the node."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Takes the parameters and the honest answer, result or error, and returns what is answered.
Lie = Callable[[list[Any], dict[str, Any]], dict[str, Any]]


def result(value: Any) -> Lie:
    """Answer with this result."""
    return lambda _params, _honest: {"result": value}


def changed(**fields: Any) -> Lie:
    """Answer with the honest result, in which some members are changed."""
    return lambda _params, honest: {"result": {**honest["result"], **fields}}


def error(code: int, message: str, **more: Any) -> Lie:
    """Answer with this error."""
    return lambda _params, _honest: {"error": {"code": code, "message": message, **more}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    honest_url: str
    lies: Mapping[str, Lie]
    # What becomes of the answers to a batch.
    turn: Callable[[list[Any]], Any]
    requests: list[dict[str, Any]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: a lie that raises breaks the connection, which is its purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body)
        self.server.requests.append(
            {"headers": dict(self.headers), "path": self.path, "asked": asked}
        )
        answers = [self._answer(one) for one in (asked if isinstance(asked, list) else [asked])]
        answer = self.server.turn(answers) if isinstance(asked, list) else answers[0]
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the loopback interface
            self.server.honest_url,
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            honest = json.load(response)
        lie = self.server.lies.get(asked["method"])
        if lie is not None:
            honest = {"jsonrpc": "2.0", "id": asked["id"], **lie(asked["params"], honest)}
        return dict(honest)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@contextmanager
def start_liar(
    honest_url: str, lies: Mapping[str, Lie], *, turn: Callable[[list[Any]], Any] = list
) -> Iterator[_Server]:
    """Serve on a free port of the loopback interface; its URL is that of `liar_url`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.honest_url, server.lies, server.turn, server.requests = honest_url, lies, turn, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def liar_url(server: ThreadingHTTPServer) -> str:
    """Return the address of a server."""
    return f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def start_raw(answer: Callable[[Any], None]) -> Iterator[str]:
    """Serve on a free port: `answer` gets the open file of each connection, and may misbehave."""

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            answer(self.wfile)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield liar_url(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
