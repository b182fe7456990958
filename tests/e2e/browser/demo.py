"""A served demonstration for the tests in a browser: made-up traffic, the real command, its printed admin secret."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.showcase.serving import environment, serve
from tests.waiting import PATIENCE_S

REQUESTS = 1_500
DAYS = 3
CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
[server]
port = 0
shutdown_timeout_s = 3
[tiers.fast]
model = "scripted/fast"
[tiers.reasoning]
model = "scripted/thinker"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver"]
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where it listens, the secret that opens its admin pages, and the cookie of somebody who is signed in."""

    url: str
    secret: str
    cookie: str


@contextmanager
def demonstration(directory: Path) -> Iterator[Demo]:
    """Seed and serve until the block ends."""
    config = directory / "seed.toml"
    config.write_text(CONFIG.format(directory=directory), encoding="utf-8")
    seed = [sys.executable, "-m", "scripts.showcase.seed", "--requests", str(REQUESTS), "--days", str(DAYS)]
    subprocess.run([*seed, "--config", str(config)], check=True, capture_output=True, env=environment())
    with serve(directory, CONFIG) as instance:
        printed = re.search(r"Admin secret: (\S+)", (directory / "serve.log").read_text(encoding="utf-8"))
        assert printed is not None
        fields = {"secret": printed[1], "name": "Ann"}
        reply = httpx.post(f"{instance.url}/admin/sign-in", data=fields, timeout=PATIENCE_S)
        yield Demo(instance.url, printed[1], reply.cookies["tierwise_admin"])
