"""A served instance for end-to-end tests: the real command, a directory of its own, the scripted provider."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TIERWISE = str(Path(sys.executable).with_name("tierwise"))
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 20.0
CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
[server]
port = 0
auth = "required"
shutdown_timeout_s = 3
[tiers.fast]
model = "scripted/fast"
[tiers.reasoning]
model = "scripted/thinker"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver"]
[models.echo]
model = "scripted/echo"
[models.slow]
model = "scripted/slow-3000ms"
timeout_s = 20
[models.refused]
model = "scripted/fail-400"
[models.limited]
model = "scripted/fail-429"
[models.down]
model = "scripted/fail-503"
[models.broken]
model = "scripted/fail-midstream"
[models.deep-and-down]
model = "scripted/fail-500"
effort = "high"
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """Where a served instance listens, and a key for it."""

    url: str
    key: str

    @property
    def v1(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"{self.url}/v1"


def given() -> Instance | None:
    """The instance named by TIERWISE_TEST_URL and TIERWISE_TEST_KEY, if there is one."""
    url = os.environ.get("TIERWISE_TEST_URL")
    return (
        Instance(url.removesuffix("/").removesuffix("/v1"), os.environ.get("TIERWISE_TEST_KEY", "none"))
        if url
        else None
    )


@contextmanager
def serve(directory: Path, config: str = CONFIG) -> Iterator[Instance]:
    """Serve from an empty directory until the block ends; the process is ended by its id."""
    path = directory / "tierwise.toml"
    path.write_text(config.format(directory=directory), encoding="utf-8")
    key = json.loads(_run("keys", "create", "tests", "--config", str(path), "--format", "json"))["key"]
    with (directory / "serve.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [TIERWISE, "serve", "--config", str(path)], stdout=log, stderr=subprocess.STDOUT, env=environment()
        )
        try:
            url = announced(process, directory / "serve.log")
            _wait_until_ready(url)
            yield Instance(url, key)
        finally:
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment() -> dict[str, str]:
    """The environment without what would configure Tierwise or a provider."""
    from router.providers.catalog import KEY_VARIABLES  # here: the environments of real clients have no router

    foreign = ("TIERWISE_", "OPENAI_", *KEY_VARIABLES)
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _run(*command: str) -> str:
    done = subprocess.run([TIERWISE, *command], capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        raise RuntimeError(f"tierwise {' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def announced(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait for the line that names the address."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        for word in log.read_text(encoding="utf-8").split():
            if word.startswith("http://"):
                return word.partition("/v1")[0]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=READY_WITHIN_S) as reply:
                if reply.status == 200:
                    return
        except OSError:  # nobody listens yet, or it takes its time
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
