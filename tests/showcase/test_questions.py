import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from scripts.showcase.questions import running_server

ALIVE = b'HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{"status":"alive"}'
ANOTHER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def a_config(directory: Path, port: int) -> Path:
    path = directory / "tierwise.toml"
    path.write_text(f"[server]\nport = {port}\n")
    return path


@pytest.mark.parametrize(("reply", "is_ours"), [(ALIVE, True), (ANOTHER, False)])
def test_a_server_at_the_configured_address_is_asked(
    tmp_path: Path, listener: socket.socket, reply: bytes, is_ours: bool
) -> None:
    def answer() -> None:
        asking, _ = listener.accept()
        with asking:
            asking.recv(4096)
            asking.sendall(reply)

    answering = Thread(target=answer)
    answering.start()
    port = listener.getsockname()[1]
    found = running_server(a_config(tmp_path, port))
    answering.join()
    assert found == (f"http://127.0.0.1:{port}" if is_ours else None)


def test_where_none_runs_none_is_asked(tmp_path: Path, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert running_server(a_config(tmp_path, port)) is None
    assert running_server(a_config(tmp_path, 0)) is None
