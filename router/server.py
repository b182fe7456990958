"""Running the app under uvicorn: one process, or several that share a port."""

import os
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from router import settings
from router.app import create
from router.settings import ENV_PREFIX, Settings

READY_TIMEOUT_S = 120.0


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
    server = configured.server
    workers = 1 if configured.uses_embedded() else server.workers
    options = {
        "host": server.host,
        "port": server.port,
        "loop": "uvloop",
        "http": "httptools",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "h11_max_incomplete_event_size": server.max_header_bytes,
        "timeout_graceful_shutdown": round(server.shutdown_timeout_s),
        "ws": "none",
    }
    if workers == 1:
        _AnnouncingServer(uvicorn.Config(create(configured), **options), announce).run()  # type: ignore[arg-type]
        return
    if path is not None:
        os.environ[f"{ENV_PREFIX}CONFIG"] = str(path)
    url = base_url(server.host, server.port)
    threading.Thread(target=_announce_when_ready, args=(url, announce), daemon=True).start()
    uvicorn.run("router.server:worker", factory=True, workers=workers, **options)  # type: ignore[arg-type]


def _announce_when_ready(url: str, announce: Callable[[str], None]) -> None:
    """Wait for the first worker to answer: they are processes of their own and say nothing themselves."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health/live", timeout=1):
                announce(url)
                return
        except OSError:
            time.sleep(0.1)


def worker() -> Starlette:
    """Make the app of one of several workers, from the same file and environment."""
    return create(settings.load(settings.config_path(None)))
