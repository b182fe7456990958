"""What an installation takes: the wheel's core against the least that answers, `.venv` and a worker against before.

    python -m scripts.benchmarks.installing [core] [checkout] [memory] [--before REVISION] [--write]

Packages come from where pip takes them, so wall time depends on the network and on what else the machine does; the
CPU time of the installer and the sizes do not.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path
from typing import TypeAlias

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.benchmarks import pages

ROOT = Path(__file__).parents[2]
PAGE = "installing.md"
FIRST_ANSWER_S, OVER_LEAST, SHARE_OF_BEFORE, MOST_MB, MOST_WORKER_MB = 30.0, 1.2, 0.6, 700, 140
REQUESTS = 200
SAID = "Four."
PYTHON: str = sys._base_executable  # type: ignore[attr-defined]
Command: TypeAlias = list[str | Path]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock and of the processor (that of all children)."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Served:
    """Seconds from the start to the first answer, and the memory of the worker in MB after it and after 200."""

    first_answer_s: float
    first_mb: float
    after_mb: float


class Provider(BaseHTTPRequestHandler):
    """Answers every question in OpenAI's dialect, with usage."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
        body = json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def a_provider() -> Iterator[str]:
    """Serve such a provider on this machine; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def run(command: Sequence[str | Path], directory: Path) -> Taken:
    """Run a command, and raise CalledProcessError where it fails."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(time.monotonic() - began, cpu_s)


def serve(tierwise: Path, provider: str, requests: int, starts: int = 1) -> Served:
    """Start the command in an empty directory with a made-up key and ask it; the last of the starts counts."""
    with tempfile.TemporaryDirectory() as directory:
        return [_serve_once(tierwise, provider, requests, Path(directory)) for _ in range(starts)][-1]


def _serve_once(tierwise: Path, provider: str, requests: int, directory: Path) -> Served:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("TIERWISE_", "PYTHON"))}
    calls = {f"TIERWISE_TIERS__{tier}__API_BASE": provider for tier in ("FAST", "REASONING", "PARALLEL")}
    calls |= {f"TIERWISE_TIERS__{tier}__API_KEY": "sk-fake" for tier in ("FAST", "REASONING", "PARALLEL")}
    names = {
        "TIERWISE_TIERS__FAST__MODEL": "openai/gpt-5-nano",
        "TIERWISE_TIERS__REASONING__MODEL": "openai/gpt-5-mini",
    }
    names["TIERWISE_TIERS__PARALLEL__MODELS"] = '["openai/gpt-5-nano"]'
    began, command = time.monotonic(), [str(tierwise), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=directory, env=ours | calls | names, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as serving:
        try:
            base = _address(serving)
            _ask(base, 1)
            first_s, first_mb = time.monotonic() - began, _rss_mb(serving.pid)
            _ask(base, requests)
            return Served(first_s, first_mb, _rss_mb(serving.pid))
        finally:
            serving.terminate()


def _address(serving: "subprocess.Popen[str]") -> str:
    assert serving.stdout is not None
    for line in serving.stdout:
        if found := re.search(r"Admin page: +(\S+)/admin", line):
            return found[1]
    raise RuntimeError("it does not start")


def _ask(base: str, times: int) -> None:
    for number in range(times):
        body = {"model": "auto", "messages": [{"role": "user", "content": f"What is {number} + 2?"}]}
        asked = urllib.request.Request(
            f"{base}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=60).read()


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def size_mb(directory: Path) -> float:
    """What a directory takes on the disk."""
    return int(subprocess.check_output(["du", "-sk", directory]).split()[0]) / 1024


def core_names() -> set[str]:
    """The packages that the core needs, its own and those that they need in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {canonicalize_name(found.name): found for found in distributions()}
    wanted, waiting = set[str](), [Requirement(text) for text in project["dependencies"]]
    while waiting:
        one = waiting.pop()
        if (name := canonicalize_name(one.name)) not in wanted:
            wanted.add(name)
            waiting += [each for text in known[name].requires or () if _is_asked(each := Requirement(text), one.extras)]
    return wanted


def _is_asked(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def write_lock(path: Path, names: set[str]) -> Path:
    """Write the entries that the lock has of these packages, and return the file."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^[\w.-]+(?:\[.*?\])?==[^\n]*\n(?:    .*\n)*", lock, re.MULTILINE)
    chosen = [entry for entry in entries if canonicalize_name(re.split(r"[\[=]", entry)[0]) in names]
    path.write_text("".join(chosen), encoding="utf-8")
    return path


def build_wheel(directory: Path) -> Path:
    """Build a wheel of what is here, and return its file."""
    sources = directory / "sources"
    for name in ("classifier", "router", "migrations"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    run([sys.executable, "-W", "ignore", "-c", build], sources)
    return next(sources.glob("*.whl"))


def pips(directory: Path) -> dict[str, Command]:
    """The pip of the lock, and the one that came with this Python: each command by its version, the lock's first."""
    lock, newer = write_lock(directory / "pip.lock", {"pip"}), directory / "newer"
    run(
        [PYTHON, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", lock, "--target", newer],
        directory,
    )
    commands: list[Command] = [[PYTHON, newer / "pip"], [PYTHON, "-m", "pip"]]
    return {subprocess.check_output([*command, "--version"], text=True).split()[1]: command for command in commands}


def install_core(made: Path, wheel: Path, pip: Command) -> Taken:
    """Install a wheel with its core alone into a new environment, and tell what it took."""
    directory = made.parent
    lock, installs = write_lock(directory / "core.lock", core_names()), [*pip, "--python", made / "bin" / "python"]
    installs += ["install", "-q", "--no-deps"]
    steps = [
        run([PYTHON, "-m", "venv", "--without-pip", made], directory),
        run([*installs, "--require-hashes", "-r", lock], directory),
        run([*installs, wheel], directory),
    ]
    return Taken(sum(step.wall_s for step in steps), sum(step.cpu_s for step in steps))


def find_spare(made: Path, provider: str) -> dict[str, float]:
    """Take one package after the other away; returns those without which it answers all the same, with their size."""
    site = next(made.glob("lib/python*/site-packages"))
    spare: dict[str, float] = {}
    for found in sorted(distributions(path=[str(site)]), key=lambda each: each.name):
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        name = found.name  # once its metadata is away nobody knows
        if name == "tierwise":
            continue
        with tempfile.TemporaryDirectory(dir=made) as aside:
            for top in tops:
                shutil.move(site / top, aside)
            size = size_mb(Path(aside))
            if _answers(made / "bin" / "tierwise", provider):
                spare[name] = size
            for top in tops:
                shutil.move(Path(aside) / top, site)
        print(f"  {name}: {f'not needed, {size:.1f} MB' if name in spare else 'needed'}", file=sys.stderr)
    return spare


def _answers(tierwise: Path, provider: str) -> bool:
    try:
        serve(tierwise, provider, 0)
    except (RuntimeError, OSError):
        return False
    return True


def measure_core() -> list[str]:
    """Install the core by two pips, ask it, and take its packages away one by one."""
    with tempfile.TemporaryDirectory() as name, a_provider() as provider:
        directory, rows = Path(name), []
        wheel = build_wheel(directory)
        for version, pip in pips(directory).items():
            made = directory / f"core-{version}"
            rows += _installed_by(
                version, install_core(made, wheel, pip), serve(made / "bin" / "tierwise", provider, 0)
            )
        whole = size_mb(made)
        spare = find_spare(made, provider)
        least = whole - sum(spare.values())
    named = ", ".join(f"{name} {size:.1f}" for name, size in sorted(spare.items(), key=lambda each: -each[1])[:6])
    return [
        *rows,
        row("size of the environment", f"{whole:.0f} MB", "", None),
        row(
            "size against the least that answers", f"{whole / least:.2f} ({least:.0f} MB)", f"{OVER_LEAST}",
            whole / least <= OVER_LEAST,
        ),
        row("not needed for an answer, MB", named or "nothing", "", None),
    ]  # fmt: skip


def _installed_by(version: str, taken: Taken, served: Served) -> list[str]:
    both_s = taken.wall_s + served.first_answer_s
    return [
        row(
            f"install the wheel's core with pip {version}, and first answer", f"{both_s:.0f} s",
            f"{FIRST_ANSWER_S:.0f} s", both_s <= FIRST_ANSWER_S,
        ),
        row(
            "of it CPU of pip, and from the start to the first answer",
            f"{taken.cpu_s:.0f} s, {served.first_answer_s:.1f} s", "", None,
        ),
        row("memory after the first answer", f"{served.first_mb:.0f} MB", "", None),
    ]  # fmt: skip


def measure_checkout(before: str) -> list[str]:
    """Make `.venv` as `scripts/serve` does, from an older revision and from what is here, in two copies."""
    with tempfile.TemporaryDirectory() as directory:
        taken, sizes = {}, {}
        for name, revision in (("before", before), ("now", "HEAD")):
            checkout = Path(directory) / name
            run(["git", "worktree", "add", "--detach", checkout, revision], ROOT)
            try:
                taken[name] = run([checkout / "scripts" / "venv"], checkout)
                sizes[name] = size_mb(checkout / ".venv")
                run([checkout / ".venv" / "bin" / "tierwise", "--version"], checkout)  # compiles what it imports
            finally:
                run(["git", "worktree", "remove", "--force", checkout], ROOT)
    was, now = taken["before"], taken["now"]
    ratio = now.wall_s / was.wall_s
    return [
        row(f"`scripts/serve`: making `.venv`, {before} in the same run", f"{was.wall_s:.0f} s", "", None),
        row(
            "the same now", f"{now.wall_s:.0f} s ({ratio:.2f} of before)", f"{SHARE_OF_BEFORE}",
            ratio <= SHARE_OF_BEFORE,
        ),
        row("CPU before and now", f"{was.cpu_s:.0f} s, {now.cpu_s:.0f} s ({now.cpu_s / was.cpu_s:.2f})", "", None),
        row(
            "size before and now", f"{sizes['before']:.0f} MB, {sizes['now']:.0f} MB", f"{MOST_MB} MB",
            sizes["now"] <= MOST_MB,
        ),
    ]  # fmt: skip


def measure_memory(before: str) -> list[str]:
    """Serve 200 requests from an older revision and from what is here, with the packages of this environment."""
    with tempfile.TemporaryDirectory() as directory, a_provider() as provider:
        checkout = Path(directory) / "before"
        run(["git", "worktree", "add", "--detach", checkout, before], ROOT)
        try:
            was, now = (serve(_command_of(tree, Path(directory)), provider, REQUESTS, 2) for tree in (checkout, ROOT))
        finally:
            run(["git", "worktree", "remove", "--force", checkout], ROOT)
    return [
        row(f"memory of a worker after {REQUESTS} requests, {before}", f"{was.after_mb:.0f} MB", "", None),
        row("the same now", f"{now.after_mb:.0f} MB", f"{MOST_WORKER_MB} MB", now.after_mb <= MOST_WORKER_MB),
    ]


def _command_of(tree: Path, directory: Path) -> Path:
    """Write a command that serves from a tree with the packages of this environment."""
    command = directory / f"tierwise-{tree.name}"
    start = (
        f"import sys; sys.path.insert(0, {str(tree)!r}); sys.argv[0] = 'tierwise'; from router.cli import main; main()"
    )
    command.write_text(f"#!{sys.executable}\n{start}\n", encoding="utf-8")
    command.chmod(0o755)
    return command


def row(what: str, found: str, bar: str, is_met: bool | None) -> str:
    """Write a row of the page."""
    return f"| {what} | {found} | {bar} | {'' if is_met is None else 'met' if is_met else '**not met**'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["core", "checkout", "memory"])
    parser.add_argument("--before", default="92694d6", help="revision to compare with")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/measured/{PAGE}")
    asked = parser.parse_args()
    for part in asked.parts:
        load = os.getloadavg()[0]
        match part:
            case "core":
                rows = measure_core()
            case "checkout":
                rows = measure_checkout(asked.before)
            case _:
                rows = measure_memory(asked.before)
        table = "\n".join(["| measure | found | bar | |", "| --- | --- | --- | --- |", *rows])
        print(table, flush=True)
        if asked.write:
            pages.put(PAGE, part, f"{table}\n\nMeasured {pages.circumstances(load)}.")


if __name__ == "__main__":
    main()
