"""Starting and stopping the real command: what stops a start, what it says, and that it leaves nothing behind."""

import json
import os
import resource
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from scripts.showcase.serving import TIERWISE, announced, environment
from tests.builders.databases import lay_out
from tests.waiting import PATIENCE_S, eventually

BASIC = """
database_url = "{database}"
state_dir = "{state}"
[server]
port = 0
shutdown_timeout_s = 10
[tiers.fast]
model = "scripted/echo"
[tiers.reasoning]
model = "scripted/deep"
[tiers.parallel]
models = ["scripted/solver"]
[models.slow]
model = "scripted/echo-700ms"
"""


class Place:
    """A directory with a configuration, where servers can be started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = f"sqlite:///{directory}/books.db"
        self.configure()

    def configure(self, text: str = BASIC, **changes: str) -> None:
        """Write the configuration."""
        known = {"database": self.database, "state": f"{self.directory}/state"}
        (self.directory / "tierwise.toml").write_text(text.format(**(known | changes)))

    def run(self, *command: str, limit_bytes: int | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""

        def limited() -> None:
            if limit_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        known = environment() | env
        if limit_bytes is not None:
            known.pop("COVERAGE_PROCESS_CONFIG", None)  # what is measured would be too large a file too
            known["PYTHONDONTWRITEBYTECODE"] = "1"  # modules compiled now would stay cut off, for everybody
        return subprocess.run(
            [TIERWISE, *command],
            cwd=self.directory,
            env=known,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            preexec_fn=limited,
        )

    @contextmanager
    def serving(self, *options: str, **env: str) -> Iterator["Server"]:
        """Serve until the block ends."""
        log = self.directory / f"serve-{len(list(self.directory.glob('serve-*')))}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [TIERWISE, "serve", *options],
                cwd=self.directory,
                env=environment() | env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Server(process, announced(process, log), log)
            finally:
                process.terminate()
                process.wait(PATIENCE_S)

    def is_asked(self) -> bool:
        """Tell whether the log of a spool has something in it."""
        return any(os.path.getsize(path) for path in (self.directory / "state" / "spool").glob("*.spool-wal"))

    def report(self) -> dict[str, Any]:
        """What the report says of everything."""
        found: dict[str, Any] = json.loads(self.run("report", "--format", "json").stdout)
        return found


class Server:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def said(self) -> str:
        """What it wrote to the terminal."""
        return self._log.read_text()

    def listens(self) -> bool:
        """Tell whether anybody accepts connections on its port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S).close()
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:  # accepted, and let go of in this moment
            pass
        return True

    def ask(self, model: str = "fast") -> dict[str, Any]:
        """Ask one question without a key."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """Where nothing was ever started."""
    return Place(tmp_path)


@pytest.fixture
def place(bare: Place) -> Place:
    """Where there are empty books, so that a start need not make them."""
    lay_out(bare.database)
    return bare


def test_a_read_only_database_stops_the_start(place: Place) -> None:
    place.configure(database=f"sqlite:///file:{place.directory}/books.db?mode=ro&uri=true")
    ended = place.run("serve")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot be written" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_full_disk_stops_the_start(bare: Place) -> None:
    ended = bare.run("serve", limit_bytes=8_192)
    assert ended.returncode == 2
    assert "books.db cannot be" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_start_that_failed_did_not_make_a_secret_that_nobody_saw(bare: Place) -> None:
    bare.run("serve", limit_bytes=8_192)
    with bare.serving() as server:
        assert "Admin secret: " in server.said


def test_with_several_workers_a_wrong_database_stops_the_start_too(place: Place) -> None:
    place.configure(database="postgresql+psycopg://me:pssst@127.0.0.1:9/none")
    ended = place.run("serve", "--workers", "2")
    assert (ended.returncode, "pssst" in ended.stderr) == (2, False)


def test_a_port_that_is_taken_is_named(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = place.run("serve", "--port", port)
    assert ended.returncode != 0
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_first_start_tells_all_that_is_needed_and_the_secret_once(bare: Place) -> None:
    with bare.serving() as server:
        first = server.said
        assert f"curl {server.url}/v1/chat/completions" in first
        assert f"{server.url}/admin" in first
        assert first.count("Admin secret: ") == 1
    with bare.serving() as server:
        assert "Admin secret" not in server.said


def test_the_environment_beats_the_file_and_a_variable_that_sets_nothing_is_warned_of(place: Place) -> None:
    with place.serving(TIERWISE_TIERS__FAST__MODEL="scripted/other", TIERWISE_SERVR__PORT="1") as server:
        assert server.ask()["x_tierwise"]["provider_model"] == "scripted/other"
        assert "warning: TIERWISE_SERVR__PORT sets nothing" in server.said


def test_whoever_is_being_answered_at_a_sigterm_gets_the_answer_and_is_booked(place: Place) -> None:
    answers: list[dict[str, Any]] = []
    with place.serving() as server:
        asking = threading.Thread(target=lambda: answers.append(server.ask("slow")))
        asking.start()
        eventually(place.is_asked)
        server.process.send_signal(signal.SIGTERM)
        asking.join(PATIENCE_S)
        server.process.wait(PATIENCE_S)
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == ["Hello"]
    assert place.report()["totals"]["requests"] == 1
    assert list((place.directory / "state" / "spool").glob("*.spool")) == []


def test_a_head_that_is_too_large_is_refused(place: Place) -> None:
    def answer_to(*headers: bytes) -> bytes:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            head = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n" + b"".join(headers) + b"\r\n"
            with suppress(ConnectionError):  # it may hang up before all of it is sent
                connection.sendall(head)
            return connection.recv(100)

    with place.serving() as server:
        assert b" 200 " in answer_to(b"x-large: " + b"a" * 60_000 + b"\r\n")
        assert b" 431 " in answer_to(b"x-large: " + b"a" * 70_000 + b"\r\n")
        assert b" 431 " in answer_to(*(b"x-%d: a\r\n" % number for number in range(20_000)))
        assert server.ask()["object"] == "chat.completion"


def test_what_cannot_be_read_as_a_request_is_told_in_our_form(place: Place) -> None:
    def answer_to(line: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as connection:
            connection.sendall(line + b"\r\nhost: localhost\r\n\r\n")
            answered = b""
            while piece := connection.recv(1000):
                answered += piece
        return answered

    with place.serving() as server:
        for line in (b"GET /\xff\xfe HTTP/1.1", b"GET http:// HTTP/1.1", b"nonsense", b"GET / HTTP/9.9"):
            head, _, body = answer_to(line).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert b"content-type: application/json" in head
            assert json.loads(body)["error"]["code"] == "invalid_http"


def test_a_head_that_does_not_come_in_time_is_refused(place: Place) -> None:
    place.configure(BASIC.replace("port = 0", "port = 0\nread_timeout_s = 2"))
    with place.serving() as server:
        for begun, answer in ((b"", b""), (b"GET /health/live HTTP/1.1\r\nhost: local", b"HTTP/1.1 408 ")):
            with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
                connection.sendall(begun)
                assert connection.recv(100)[:13] == answer
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
            for pause in (0.0, 2.5):  # between two requests there is all the time that connections are kept
                threading.Event().wait(pause)
                connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
                answered = b""
                while not answered.endswith(b"}"):
                    answered += (piece := connection.recv(1000))
                    assert piece, "it hung up"
        assert server.ask("slow")["object"] == "chat.completion"


def test_two_servers_may_share_state_and_database(place: Place) -> None:
    with place.serving() as one, place.serving() as other:
        one.ask()
        other.ask("reasoning")
    assert place.report()["totals"]["requests"] == 2
    assert place.run("ledger", "verify").returncode == 0


def test_several_workers_serve_and_end_together(place: Place) -> None:
    with place.serving("--workers", "2") as server:
        for _ in range(4):
            server.ask()
    assert place.report()["totals"]["requests"] == 4
    assert not server.listens()


def test_workers_end_when_the_process_that_started_them_is_killed(place: Place) -> None:
    with place.serving("--workers", "2") as server:
        server.ask()
        server.process.kill()
        server.process.wait()
        eventually(lambda: not server.listens())
    with place.serving("--workers", "2", "--port", str(server.port)) as again:
        again.ask()
    assert place.report()["totals"]["requests"] == 2


def test_a_finished_request_soon_shows_in_the_report(place: Place) -> None:
    with place.serving() as server:
        server.ask()
        [row] = eventually(lambda: place.report()["rows"])
    assert (row["tier"], row["requests"], row["calls"]) == ("fast", 1, 1)
    assert float(row["cost_usd"]) > 0
    assert row["expected_revenue_usd"] == "0.000116000"  # without a key the country is unknown: 0.08 of $0.00145
