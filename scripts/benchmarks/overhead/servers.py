"""What is measured: a provider that answers at once, the bare pass-through to it, and Tierwise."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from scripts.benchmarks.overhead.load import UVICORN, free_port, serve

MODELS = """
[tiers.fast]
model = "openai/fake"
api_base = "{base}"
api_key = "none"
[tiers.reasoning]
model = "openai/fake"
api_base = "{base}"
api_key = "none"
[tiers.parallel]
models = ["openai/fake"]
api_base = "{base}"
api_key = "none"
"""
PRICES = """
[prices."openai/fake"]
input = 0.05
output = 0.40
"""
STORED = """
database_url = "sqlite:///{directory}/books.db"
state_dir = "{directory}"
"""
HERE = Path(__file__).resolve().parents[3]


class Served(NamedTuple):
    """A server under load."""

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"


class Servers:
    """Starts servers beside one provider, each until `stack` is closed and under the command `under`."""

    def __init__(self, stack: ExitStack, under: Sequence[str] = ()) -> None:
        self._stack = stack
        self._under = list(under)
        port = free_port()
        self._upstream = f"http://127.0.0.1:{port}/v1"
        self.provider_url = f"{self._upstream}/chat/completions"
        self._env = {**os.environ, "SPEED_UPSTREAM": self.provider_url}
        command = [*UVICORN, str(port), "scripts.benchmarks.overhead.upstream:app"]
        stack.enter_context(serve(command, port, self._env))

    def reference(self) -> Served:
        """Start the pass-through."""
        port = free_port()
        command = [*UVICORN, str(port), "scripts.benchmarks.overhead.reference:app"]
        return self._start("reference", port, command, self._env)

    def tierwise(self, name: str = "tierwise", checkout: Path = HERE, *options: str) -> Served:
        """Start the Tierwise of a checkout, with books of its own."""
        port = free_port()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-speed-")))
        config = directory / "tierwise.toml"
        config.write_text(STORED.format(directory=directory) + MODELS.format(base=self._upstream) + PRICES)
        tierwise = str(Path(sys.executable).with_name("tierwise"))
        command = [sys.executable, tierwise, "serve", "--config", str(config), *options, "--port", str(port)]
        return self._start(name, port, command, {**self._env, "PYTHONPATH": str(checkout.resolve())})

    def _start(self, name: str, port: int, command: Sequence[str], env: Mapping[str, str]) -> Served:
        pid = self._stack.enter_context(serve([*self._under, *command], port, dict(env)))
        return Served(name, port, pid)
