"""Running the app under uvicorn: one process, or several that share a port."""

import asyncio
import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from router import settings
from router.app import create
from router.errors import RequestError
from router.providers.proxies import open_directly
from router.settings import ENV_PREFIX, Settings
from router.telemetry import set_up_logging

READY_TIMEOUT_S = 120.0
HUNG_AFTER_S = 30  # a worker that says nothing for so long is replaced; a busy machine takes a while to start one
GARBAGE_THRESHOLDS = (10_000, 10, 10)  # a request leaves no cycles: look for some after a hundred, not after eight


def refusal(status: HTTPStatus, message: str, code: str) -> bytes:
    """Write the response to a head that no request can be made of: an error as any other, and the end."""
    error = RequestError(message, code=code)
    body = json.dumps(error.body()).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


NOT_HTTP = refusal(HTTPStatus.BAD_REQUEST, "this is no HTTP request that can be read", "invalid_http")
HEAD_TOO_SLOW = refusal(HTTPStatus.REQUEST_TIMEOUT, "the head did not arrive in time", "request_timeout")
HEAD_TOO_LARGE = refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request's head is larger than this server accepts",
    "head_too_large",
)


class ListeningConfig(uvicorn.Config):
    """uvicorn's configuration, and how long the head of a request may take."""

    def __init__(self, app: Starlette | str, *, head_timeout_s: float, **options: Any) -> None:
        super().__init__(app, **options)
        self.head_timeout_s = head_timeout_s


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on a request's head: its size, which the slower parser bounds too, and its time.

    A connection on which nothing of a next request has come is uvicorn's to end.
    """

    config: ListeningConfig
    _head_bytes = 0
    _is_in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection owes a head; where none begins, there is nothing to answer."""
        super().connection_made(transport)
        self._expect_head(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete, and hang up when it grows too large."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > (self.config.h11_max_incomplete_event_size or 0):
            self._refuse(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A new head begins; what came with the end of the last body is not counted."""
        super().on_message_begin()
        self._is_in_head = True
        self._expect_head(HEAD_TOO_SLOW)

    def on_headers_complete(self) -> None:
        """The head is complete: what counts is its own size."""
        self._is_in_head, self._head_bytes = False, 0
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > (self.config.h11_max_incomplete_event_size or 0):
            self._refuse(HEAD_TOO_LARGE)
            return
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read as a request: an address, a header or a line that is none."""
        self._stop_head_timer()
        self._refuse(NOT_HTTP)

    def _expect_head(self, otherwise: bytes) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self.config.head_timeout_s, self._refuse, otherwise)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


class _AnnouncingServer(uvicorn.Server):
    """Tells its address once it accepts connections."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(base_url(host, port))


def base_url(host: str, port: int) -> str:
    """Write the address a client on this machine can use."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"


def run(configured: Settings, path: Path | None, announce: Callable[[str], None]) -> None:
    """Serve until told to stop; `path` is the configuration file, which workers read again."""
    set_up_logging(configured.log)
    server = configured.server
    workers = 1 if configured.uses_embedded() else server.workers
    options: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "loop": "uvloop",
        "http": BoundedHead,
        "log_config": None,
        "log_level": configured.log.level,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "forwarded_allow_ips": list(server.trusted_proxies),
        "head_timeout_s": server.read_timeout_s,
        "h11_max_incomplete_event_size": server.max_header_bytes,
        "timeout_graceful_shutdown": round(server.shutdown_timeout_s),
        "ws": "none",
    }
    if workers == 1:
        _AnnouncingServer(ListeningConfig(_freeze_after_start(create(configured)), **options), announce).run()
        return
    if path is not None:
        os.environ[f"{ENV_PREFIX}CONFIG"] = str(path)
    config = ListeningConfig(
        "router.server:worker",
        factory=True,
        workers=workers,
        timeout_worker_healthcheck=HUNG_AFTER_S,
        **options,
    )
    listening = config.bind_socket()  # here, so that a free port is known and a taken one is found out before anything
    url = base_url(*listening.getsockname()[:2])
    threading.Thread(target=_announce_when_ready, args=(url, announce), daemon=True).start()
    supervisor = Multiprocess(config, sockets=[listening])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


def _announce_when_ready(url: str, announce: Callable[[str], None]) -> None:
    """Wait for the first worker to answer: they are processes of their own and say nothing themselves."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with open_directly(f"{url}/health/live", 1.0):
                announce(url)
                return
        except OSError:
            time.sleep(0.1)


def worker() -> Starlette:
    """Make the app of one of several workers, from the same file and environment."""
    if (supervisor := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    configured = settings.load(settings.config_path(None))
    set_up_logging(configured.log)
    return _freeze_after_start(create(configured))


def _freeze_after_start(app: Starlette) -> Starlette:
    """Spare what a start made, and what lives as long as the process, from being searched for garbage."""
    started = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with started(app):
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE_THRESHOLDS)
            yield

    app.router.lifespan_context = lifespan
    return app


def _end_with(supervisor: BaseProcess) -> None:
    """End this worker, in order, when who started it is gone: it would keep the port from the next start."""
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
