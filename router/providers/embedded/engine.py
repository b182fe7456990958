"""The llama.cpp engine inside this process: one model, a few slots that generate at the same time.

It owns threads, loading and cancellation. It knows nothing of our requests: a body in llama.cpp's own OpenAI dialect
goes in, its chunks come out.
"""

import asyncio
import atexit
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PROMPT_BATCH_TOKENS = 64  # between two batches a cancelled prompt is given up: half a second on a busy small machine
FIRST_ANSWER_S = 5.0

Event = dict[str, Any]


class Generation(threading.Thread):
    """One completion under way in a thread of its own; `emit` is called from that thread, with None at the end.

    The thread is no daemon, for it runs C++ frames; it gives up by itself when the main thread ends.
    """

    def __init__(self, server: Any, body: Event, emit: Callable[[Event | None], None]) -> None:
        super().__init__(name="tierwise-generation")
        self._server = server
        self._body = body
        self._emit = emit
        self._is_cancelled = False

    def cancel(self) -> None:
        """Stop at the next token."""
        self._is_cancelled = True

    def run(self) -> None:
        try:
            self._server.handle_chat_completions(self._body, self._on_event)
        except Exception as error:  # the binding raises several kinds for a body it cannot take; its caller names them
            self._emit({"error": {"code": 400, "message": str(error)}})
        finally:
            self._server = None
            self._emit(None)

    def _on_event(self, event: Event) -> bool:
        """Pass an event on; True tells llama.cpp to stop and free the slot."""
        if self._is_cancelled or not threading.main_thread().is_alive():
            return True
        self._emit(event)
        return self._is_cancelled


class LlamaEngine:
    """Loads the weights once and runs up to `slots` generations together, each with `context_tokens`."""

    def __init__(
        self, weights: Path, *, slots: int = 4, context_tokens: int = 2048, threads: int | None = None
    ) -> None:
        self.weights = weights
        self.slots = slots
        self.context_tokens = context_tokens
        self.threads = threads or len(os.sched_getaffinity(0))
        self._server: Any = None
        self._loading = threading.Lock()
        self._free = asyncio.Semaphore(slots)
        self._running: set[Generation] = set()
        self._is_closed = False

    def load(self) -> None:
        """Load the weights: once, from any thread. The interpreter stands still for about a second meanwhile."""
        with self._loading:
            if self._server is None and not self._is_closed:
                self._server = self._start()
                atexit.register(self.close)

    async def run(self, body: Event) -> AsyncGenerator[Event]:
        """Yield llama.cpp's chunks for one body, errors as `{"error": ...}`; closing it stops the generation."""
        if self._server is None:
            await asyncio.to_thread(self.load)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        await self._free.acquire()
        generation: Generation | None = None

        def emit(event: Event | None) -> None:
            try:
                loop.call_soon_threadsafe(take, event)
            except RuntimeError:  # the loop is closed: nobody listens any more
                assert generation is not None
                generation.cancel()

        def take(event: Event | None) -> None:
            events.put_nowait(event)
            if event is None:
                assert generation is not None
                self._running.discard(generation)
                self._free.release()

        try:
            generation = Generation(self._server, body, emit)
            self._running.add(generation)
            generation.start()
        except BaseException:
            self._free.release()
            raise
        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            generation.cancel()

    def close(self) -> None:
        """Stop what runs, wait for it, free the memory. Blocks for a moment; a closed engine stays closed."""
        with self._loading:
            self._is_closed = True
            for generation in tuple(self._running):
                generation.cancel()
            for generation in tuple(self._running):
                generation.join()
            self._running.clear()
            self._server = None
        atexit.unregister(self.close)

    def _start(self) -> Any:
        # Spinning OpenMP threads cost a busy machine of few cores a factor of ten; read when the library is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self.weights)
        params.n_ctx = self.context_tokens * self.slots
        params.n_parallel = self.slots
        params.n_batch = params.n_ubatch = PROMPT_BATCH_TOKENS
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        params.n_threads_http = 1
        params.verbosity = -1
        params.ui, params.endpoint_slots = False, True
        # The library insists on a listener of its own: a socket in a private folder, unlinked at once, nobody reaches.
        folder = tempfile.mkdtemp(prefix="tierwise-")
        try:
            params.hostnames = [f"{folder}/llama.sock"]
            server = xllamacpp.Server(params)
            _wait_until_it_works(params.hostnames[0])
            return server
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_works(path: str) -> None:
    """Wait until the library's own loop answers a question: one that is ended before it begins never ends."""
    with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
        asking.settimeout(FIRST_ANSWER_S)
        asking.connect(path)
        asking.sendall(b"GET /slots HTTP/1.0\r\n\r\n")
        asking.recv(1)
