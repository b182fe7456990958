"""Serves a command, loads it, and reads from the kernel what CPU a request cost."""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

# A command that serves an application on a port: both are its last two arguments.
UVICORN = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--log-level", "error"]
UVICORN += ["--no-access-log", "--port"]
BODY = '{"model":"auto","messages":[{"role":"user","content":"%s"}]%s}'
QUESTION = (
    "Please summarise for a busy reader why a service that sits between a chat client and several model providers "
    "should keep its own overhead small, and how one would measure that fairly on a small shared machine."
)


def cost_of(port: int, pid: int, requests: int, *, stream: bool) -> float:
    """CPU milliseconds of a process per request, with eight at once."""
    before = cpu_ms(pid)
    asyncio.run(send(f"http://127.0.0.1:{port}/v1/chat/completions", requests, stream=stream))
    time.sleep(1.0)  # what is shipped a moment later counts as well
    return (cpu_ms(pid) - before) / requests


def idle_cost(pid: int, seconds: float) -> float:
    """CPU milliseconds that a process takes in a second without requests."""
    before = cpu_ms(pid)
    time.sleep(seconds)
    return (cpu_ms(pid) - before) / seconds


def median_ms(url: str, requests: int) -> float:
    """Median milliseconds of an answer, one request at a time over one connection."""
    return asyncio.run(_median_ms(url, requests))


async def _median_ms(url: str, requests: int) -> float:
    body, headers, took = (BODY % (QUESTION, "")).encode(), {"content-type": "application/json"}, []
    async with aiohttp.ClientSession() as session:
        for _ in range(requests):
            began = time.perf_counter()
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200, await answer.text()
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


async def send(url: str, requests: int, *, stream: bool) -> None:
    """Send requests, eight at once. Raises AssertionError where one is not answered, aiohttp.ClientError if none is."""
    body = (BODY % (QUESTION, ',"stream":true' if stream else "")).encode()
    left = iter(range(requests))
    headers = {"content-type": "application/json"}

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200, await answer.text()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(8)))


@contextmanager
def serve(command: list[str], port: int, env: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_ms(pid: int) -> float:
    """CPU milliseconds of a process and of the processes it started that live."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_ms(int(child)) for child in children)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
