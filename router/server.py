"""Running the app under uvicorn: one process, or several that share a port; stopping it, and starting it anew.

A stop loses nobody: readiness turns red, after a pause the listener closes, what is under way finishes, and what does
not finish in time is told so. SIGHUP starts a worker with the settings as they are now; once it serves, the old one
stops.
"""

import asyncio
import ctypes
import gc
import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from router import modelmap, settings
from router.api.forwarded import ForwardedHeaders
from router.api.presence import STATE as PRESENCE
from router.api.presence import Presence
from router.api.shutdown import STATE, Shutdown
from router.app import create
from router.errors import RequestError, RouterError
from router.providers.proxies import open_directly
from router.settings import ENV_PREFIX, Settings, WrongSetting
from router.telemetry.logs import set_up_logging

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 120.0
CANNOT_START = 2  # the exit code, as for what is wrong with a command
HUNG_AFTER_S = 30  # a worker that says nothing for so long is replaced; a busy machine takes a while to start one
LAST_WORD_S = 2.0  # for who is told that the server stops to hear it
THREADS_END_S = 5.0  # threads that still hang then do not keep the process
POLL_S = 0.1
HEALTH_EVERY_S = 0.5
PING_S = 1.0
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
    """uvicorn's configuration, how long a head and the taking of an answer may last, and the pause before closing."""

    def __init__(
        self,
        app: Starlette | str,
        *,
        head_timeout_s: float,
        send_timeout_s: float = 30.0,
        drain_pause_s: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self.head_timeout_s = head_timeout_s
        self.send_timeout_s = send_timeout_s
        self.drain_pause_s = drain_pause_s

    def load(self) -> None:
        """Load the app, and believe what known proxies say."""
        super().load()
        self.loaded_app = ForwardedHeaders(self.loaded_app, self.forwarded_allow_ips)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on what a client may keep it waiting for.

    A request's head has a size, which the slower parser bounds too, and a time. A client that does not take what is
    sent is cut off: who answers it learns that it is gone, cancels upstream and settles. A connection on which nothing
    of a next request has come is uvicorn's to end.
    """

    config: ListeningConfig
    _send_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _most_head_bytes = 0  # what came since before the head began: it is no larger
    _is_in_head = True
    _has_head_begun = False
    _presence: Presence | None = None  # of the client in the request that came last
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection owes a head; where none begins, there is nothing to answer."""
        super().connection_made(transport)
        self._expect_head(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        self._stop_head_timer()
        self._stop_send_timer()
        super().connection_lost(exc)
        if self._presence is not None:
            self._presence.leave()

    def pause_writing(self) -> None:
        """More waits to be sent than should: the client has so long to take it."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """The client has taken it."""
        self._stop_send_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """An answer is written; who leaves the rest of it lying is cut off as well."""
        super().on_response_complete()
        self._watch_rest()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long; what still waits to be sent has its own time."""
        super().timeout_keep_alive_handler()
        self._watch_rest()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete, and hang up when it grows too large."""
        size = len(data)
        if self._is_in_head:
            self._head_bytes += size
            self._most_head_bytes += size
        else:
            self._most_head_bytes = size
        super().data_received(data)
        if self._is_in_head:
            self._expect_rest_of_head()

    def on_message_begin(self) -> None:
        """A new head begins; what came with the end of the last body is not counted."""
        super().on_message_begin()
        self._is_in_head = self._has_head_begun = True
        self._presence = Presence(self.flow.resume_reading)
        self.scope["state"][PRESENCE] = self._presence

    def on_headers_complete(self) -> None:
        """The head is complete: what counts is its own size, which is added up where it can be too large."""
        self._is_in_head, self._head_bytes = False, 0
        self._stop_head_timer()
        most = self.config.h11_max_incomplete_event_size or 0
        if self._most_head_bytes > most:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > most:
                self._refuse(HEAD_TOO_LARGE)
                return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A body is complete, or there is none."""
        super().on_message_complete()
        if self._presence is not None:
            self._presence.has_sent_all = True

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read as a request: an address, a header or a line that is none."""
        self._stop_head_timer()
        self._refuse(NOT_HTTP)

    def _watch_rest(self) -> None:
        if self._send_timer is None and self.transport.get_write_buffer_size():
            self._expect_taking()

    def _expect_taking(self) -> None:
        self._stop_send_timer()
        self._send_timer = self.loop.call_later(self.config.send_timeout_s, self._cut_off)

    def _cut_off(self) -> None:
        self._send_timer = None
        if self.flow.write_paused or self.transport.get_write_buffer_size():
            self.transport.abort()

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _expect_rest_of_head(self) -> None:
        """Bound what is still to come of a head: most come whole, and need no timer."""
        if self._head_bytes > (self.config.h11_max_incomplete_event_size or 0):
            self._refuse(HEAD_TOO_LARGE)
        elif self._has_head_begun:
            self._has_head_begun = False
            self._expect_head(HEAD_TOO_SLOW)

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


class DrainingServer(uvicorn.Server):
    """Stops in the order that loses nobody. `goes_on`: the process has something left to do then."""

    config: ListeningConfig
    goes_on = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Turn readiness red, close the listener, let what is under way finish, end the rest, close the services."""
        shutdown = self.lifespan.state.setdefault(STATE, Shutdown())
        shutdown.is_stopping = True
        await self._wait(lambda: False, self.config.drain_pause_s)
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        limit_s = self.config.timeout_graceful_shutdown
        await self._wait(self._is_idle, float("inf") if limit_s is None else limit_s)
        if self.server_state.tasks and not self.force_exit:
            await self._cut(shutdown)
        if not self.force_exit:
            await self.lifespan.shutdown()
        if not self.goes_on:
            _end_in(THREADS_END_S)

    async def _cut(self, shutdown: Shutdown) -> None:
        """End what is still under way: each says so to its client and settles; who does not listen is hung up on."""
        logger.warning("stopping: %d requests outlast the limit and are ended", len(self.server_state.tasks))
        shutdown.is_cut = True
        for task in list(self.server_state.tasks):
            task.cancel()
        await self._wait(self._is_idle, LAST_WORD_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await self._wait(lambda: not self.server_state.tasks, LAST_WORD_S)

    def _is_idle(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks

    async def _wait(self, is_over: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not is_over() and not self.force_exit and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(min(POLL_S, max(deadline - loop.time(), 0.0)))


class OnlyServer(DrainingServer):
    """The server of a single process: tells its address, and on SIGHUP hands its listener to a new worker.

    The process stays, and keeps its id: once the new worker serves, this one drains and goes on as its supervisor.
    """

    def __init__(
        self, config: ListeningConfig, announce: Callable[[str], None], successor_config: ListeningConfig
    ) -> None:
        super().__init__(config)
        self.successor: DrainingWorker | None = None
        self.listeners: list[socket.socket] = []
        self.is_stop_asked = False
        self._announce = announce
        self._successor_config = successor_config
        self._is_reload_asked = False
        self._reloading: asyncio.Task[None] | None = None
        self._starting: DrainingWorker | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(base_url(host, port))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGHUP is ours, too."""
        before = signal.signal(signal.SIGHUP, self._ask_reload)
        try:
            with super().capture_signals():
                yield
        finally:
            if self.successor is None:
                signal.signal(signal.SIGHUP, before)
            else:  # until its supervisor listens, a stop must not kill what is to supervise it
                for sig in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(sig, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A stop during a handover is for the successor as well; one that is only starting is not waited for."""
        if self.successor is None:
            super().handle_exit(sig, frame)
            if self._starting is not None:
                _terminate(self._starting)
        else:
            self.is_stop_asked = True
            self.successor.terminate()

    async def on_tick(self, counter: int) -> bool:
        if self._is_reload_asked and self._reloading is None:
            self._is_reload_asked = False
            self._reloading = asyncio.create_task(self._reload())
        return await super().on_tick(counter)

    def _ask_reload(self, sig: int, frame: FrameType | None) -> None:
        self._is_reload_asked = True

    async def _reload(self) -> None:
        """Start a worker on the same listener; stop when it serves, and go on as before when it does not."""
        logger.warning("reload: a worker with the settings as they are now is started")
        shared = [one for server in self.servers for one in server.sockets]
        self.listeners = [socket.socket(fileno=os.dup(one.fileno())) for one in shared]
        worker = DrainingWorker(self._successor_config, self.listeners)
        await asyncio.to_thread(worker.start)
        self._starting = worker
        is_ready = await asyncio.to_thread(worker.wait_until_ready, READY_TIMEOUT_S)
        self._starting = None
        if is_ready and not self.should_exit:
            self.successor, self.goes_on, self.should_exit = worker, True, True
            return
        logger.error("reload: the new worker did not start, the old one goes on as it was")
        worker.kill()
        worker.join()
        for one in self.listeners:
            one.close()
        self._reloading = None


class DrainingWorker(Process):
    """A worker process with a server that drains."""

    config: ListeningConfig
    heard_at = 0.0

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the new process; the server is made before the thread that tells how it is."""
        self._server = DrainingServer(self.config)
        super().target(sockets)


class Supervisor(Multiprocess):
    """Keeps workers alive that share a listener; stops them, or replaces them one by one, without losing anybody."""

    config: ListeningConfig

    def __init__(
        self, config: ListeningConfig, sockets: list[socket.socket], workers: Sequence[DrainingWorker] = ()
    ) -> None:
        super().__init__(config, sockets)
        self.processes: list[Process] = list(workers)
        self.retired: list[Process] = []

    def run(self) -> None:
        """Keep the workers alive until a stop is asked for, and see them out."""
        while len(self.processes) < self.processes_num and not self.should_exit.is_set():
            self.processes.append(self._start())
        looked_at = time.monotonic()
        while not self.should_exit.wait(POLL_S):
            self.handle_signals()
            if time.monotonic() - looked_at >= HEALTH_EVERY_S:
                self.keep_subprocess_alive()
                looked_at = time.monotonic()
        for process in self.processes:
            _terminate(process)
        time.sleep(self.config.drain_pause_s)
        for one in self.sockets:  # the workers' copies are closed by then: nobody is let in whom nobody would answer
            one.close()
        for process in [*self.processes, *self.retired]:
            process.join()

    def keep_subprocess_alive(self) -> None:
        """Start anew what has died, and what says nothing for too long."""
        self.retired = [process for process in self.retired if process.process.is_alive()]
        for place, process in enumerate(self.processes):
            if self.signal_queue or self.should_exit.is_set():
                return
            assert isinstance(process, DrainingWorker)
            if process.process.is_alive():
                if process.ping(PING_S):
                    process.heard_at = time.monotonic()
                if time.monotonic() - process.heard_at < HUNG_AFTER_S:
                    continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                logger.error("a worker failed to start: stopping")
                self.should_exit.set()
                return
            self.processes[place] = self._start()

    def restart_all(self) -> None:
        """Replace each worker by one with the settings as they are now; old ones drain while new ones serve."""
        for place, old in enumerate(self.processes):
            new = self._start()
            if not self._wait_ready(new):
                if not self._is_stop_asked():
                    logger.error("reload: a new worker did not start, the old ones go on as they were")
                new.kill()
                new.join()
                return
            new.heard_at = time.monotonic()
            _terminate(old)
            self.retired.append(old)
            self.processes[place] = new

    def _wait_ready(self, worker: DrainingWorker) -> bool:
        """Wait until a worker serves; False when it does not, or a stop is asked for meanwhile."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and worker.process.is_alive() and not self._is_stop_asked():
            if worker.is_ready(PING_S):
                return True
            time.sleep(POLL_S)
        return False

    def _is_stop_asked(self) -> bool:
        return any(sig in (signal.SIGTERM, signal.SIGINT) for sig in self.signal_queue)

    def _start(self) -> DrainingWorker:
        worker = DrainingWorker(self.config, self.sockets)
        worker.start()
        worker.heard_at = time.monotonic()
        return worker


def _terminate(process: Process) -> None:
    """Ask a worker to stop; one that is gone already is asked nothing."""
    if process.process.is_alive():
        process.terminate()


def _end_in(seconds: float) -> None:
    """End the process although threads hang: what was to be kept is kept."""

    def end() -> None:
        time.sleep(seconds)
        logger.error("stopping: threads hang, the process ends without them")
        os._exit(0)

    threading.Thread(target=end, name="end", daemon=True).start()


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
        "http": BoundedProtocol,
        "log_config": None,
        "log_level": configured.log.level,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # `ListeningConfig` believes them itself
        "forwarded_allow_ips": list(server.trusted_proxies),
        "head_timeout_s": server.read_timeout_s,
        "send_timeout_s": server.send_timeout_s,
        "h11_max_incomplete_event_size": server.max_header_bytes,
        "timeout_graceful_shutdown": round(server.shutdown_timeout_s),
        "drain_pause_s": server.drain_pause_s,
        "ws": "none",
    }
    if path is not None:
        os.environ[f"{ENV_PREFIX}CONFIG"] = str(path)
    config = ListeningConfig("router.server:worker", factory=True, workers=workers, **options)
    if workers == 1:
        only = OnlyServer(ListeningConfig(_freeze_after_start(create(configured)), **options), announce, config)
        only.run()
        if only.successor is not None:
            _supervise(only, config)
        return
    listening = config.bind_socket()  # here, so that a free port is known and a taken one is found out before anything
    url = base_url(*listening.getsockname()[:2])
    threading.Thread(target=_announce_when_ready, args=(url, announce), daemon=True).start()
    supervisor = Supervisor(config, [listening])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(CANNOT_START)


def _supervise(only: OnlyServer, config: ListeningConfig) -> None:
    """Go on as the supervisor of the worker that took over."""
    assert only.successor is not None
    gc.unfreeze()
    gc.collect()
    only.successor.heard_at = time.monotonic()
    supervisor = Supervisor(config, only.listeners, [only.successor])
    if only.is_stop_asked:
        supervisor.should_exit.set()
    supervisor.run()


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
    try:
        configured = settings.load(settings.config_path(None))
        set_up_logging(configured.log)
        return _freeze_after_start(create(configured))
    except (WrongSetting, RouterError) as error:
        logger.error("a worker cannot start: %s", error)
        sys.exit(STARTUP_FAILURE)


def _freeze_after_start(app: Starlette) -> Starlette:
    """Spare what a start made, and what lives as long as the process, from being searched for garbage."""
    started = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        async with started(app) as state:
            modelmap.release()
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE_THRESHOLDS)
            _give_memory_back()
            yield state

    app.router.lifespan_context = lifespan
    return app


def _give_memory_back() -> None:
    """Give the system back what only the start needed: glibc keeps such pages by itself, other libraries do not."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _end_with(supervisor: BaseProcess) -> None:
    """End this worker, in order, when who started it is gone: it would keep the port from the next start."""
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
