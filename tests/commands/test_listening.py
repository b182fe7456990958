import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from router.commands.listening import require_free
from router.settings import WrongSetting
from tests.commands.conftest import Command


class Alive(BaseHTTPRequestHandler):
    """Says what a Tierwise says of its health."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "alive"}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def taken() -> Iterator[int]:
    """A port on which something listens that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


@contextmanager
def served() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Alive) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def told(host: str, port: int) -> str:
    with pytest.raises(WrongSetting) as caught:
        require_free(host, port)
    return str(caught.value)


def test_a_free_port_is_free() -> None:
    require_free("127.0.0.1", 0)
    require_free("localhost", 0)


def test_a_port_that_is_taken_is_told_with_who_has_it_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.commands.listening.ASK_TIMEOUT_S", 0.05)
    with taken() as port:
        says = told("127.0.0.1", port)
    assert says.startswith(f"port {port} on 127.0.0.1 is taken by another program (process {os.getpid()}, ")
    assert says.endswith(f"; stop it, or choose another port: --port {port + 1}, or server.port")


def test_a_tierwise_that_runs_there_already_is_known() -> None:
    with served() as port:
        assert f"is taken by a Tierwise that serves at http://127.0.0.1:{port} (process" in told("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_told() -> None:
    assert "192.0.2.1 is no address of this machine" in told("192.0.2.1", 8080)
    assert "no address goes by the name no-such-host.invalid" in told("no-such-host.invalid", 8080)


def test_a_start_on_a_taken_port_ends_in_one_line_and_makes_nothing(
    tierwise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as port:
        ran = tierwise("serve", "--port", str(port))
    assert (ran.code, ran.err.startswith(f"tierwise: port {port} "), ran.err.count("\n")) == (2, True, 1)
    assert "reasoning and parallel answer with the embedded model" in ran.out
    assert not os.path.exists("var")
