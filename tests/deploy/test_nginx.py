"""nginx with the configuration that we ship, before upstreams of our own: what it passes on, and what never."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from router.settings import ServerSettings
from scripts.benchmarks.cluster.parts import NGINX_CONF, Nginx, NotInstalled, local_conf, nginx_command
from tests.waiting import PATIENCE_S

CONF = NGINX_CONF.read_text(encoding="utf-8")
SERVER = ServerSettings()
UNITS = {"": 1, "s": 1, "k": 2**10, "m": 2**20}
Upstream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def value(directive: str, *, inside: str = "") -> float:
    """The value of a directive, in seconds or bytes; the first after a line that contains `inside`."""
    found = re.search(rf"^ +{directive} (?:\d+ )?(\d+)([skm]?);", CONF[CONF.index(inside) :], re.MULTILINE)
    assert found is not None
    return int(found[1]) * UNITS[found[2]]


def test_it_waits_longer_than_we_do_so_that_what_ends_an_answer_is_booked() -> None:
    assert value("proxy_read_timeout") > SERVER.request_timeout_s
    assert value("send_timeout") > SERVER.send_timeout_s
    assert value("client_body_timeout") <= SERVER.read_timeout_s


def test_what_is_too_large_is_refused_by_us_who_say_why() -> None:
    assert SERVER.max_body_bytes < value("client_max_body_size") <= SERVER.max_body_bytes * 1.1
    assert value("large_client_header_buffers") >= SERVER.max_header_bytes


def test_it_lets_go_of_idle_connections_before_we_do_and_before_a_replica_stops() -> None:
    kept_s = value("keepalive_timeout", inside="upstream tierwise")
    assert kept_s < uvicorn.Config(app="none").timeout_keep_alive
    pause = re.search(r"^drain_pause_s = (\d+)", (NGINX_CONF.parents[1] / "tierwise.toml").read_text(), re.MULTILINE)
    assert pause is not None
    assert int(pause[1]) > kept_s


def test_only_addresses_and_paths_differ_where_it_is_tried() -> None:
    tried = local_conf(Path("/elsewhere"), 1, [2, 3]).splitlines()
    changed = [line.split()[0] for line in CONF.splitlines() if line not in tried]
    paths = {"client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path"}
    assert set(changed) == paths | {"pid", "error_log", "access_log", "server", "listen"}


@asynccontextmanager
async def before(directory: Path, *answers: Upstream) -> AsyncIterator[Nginx]:
    """nginx before upstreams that answer like this; skips the test where there is no nginx."""
    try:
        nginx_command()
    except NotInstalled as error:
        pytest.skip(str(error))
    servers = [await asyncio.start_server(answer, "127.0.0.1", 0) for answer in answers]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nginx = Nginx(directory, port, [server.sockets[0].getsockname()[1] for server in servers])
    await nginx.start()
    try:
        yield nginx
    finally:
        await nginx.stop()
        for server in servers:
            server.close()


async def test_a_question_that_was_sent_is_never_sent_again(tmp_path: Path) -> None:
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        if await reader.read(100):
            asked += 1
        writer.close()

    async with before(tmp_path, hang_up, hang_up) as nginx, aiohttp.ClientSession() as session:
        asked = 0  # whoever waited until nginx listens asked nothing
        async with session.post(f"{nginx.url}/v1/chat/completions", json={"model": "auto"}) as reply:
            assert reply.status == 502
    assert asked == 1


async def test_a_replica_that_is_gone_costs_no_request(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        writer.close()

    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        async with before(tmp_path, answer) as nginx, aiohttp.ClientSession() as session:
            nginx._replicas = [*nginx._replicas, gone.getsockname()[1]]
            await nginx.reload()
            for _ in range(6):
                async with session.post(f"{nginx.url}/v1/chat/completions", json={"model": "auto"}) as reply:
                    assert reply.status == 200


async def test_words_go_out_as_they_come(tmp_path: Path) -> None:
    is_read = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n")
        await is_read.wait()
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with (
        before(tmp_path, stream) as nginx,
        aiohttp.ClientSession() as session,
        session.post(f"{nginx.url}/v1/chat/completions", json={"stream": True}) as reply,
    ):
        assert await reply.content.readline() == b"data: 1\n"
        is_read.set()
        assert (await reply.read()).endswith(b"[DONE]\n\n")


async def test_a_client_that_leaves_is_noticed_behind_it(tmp_path: Path) -> None:
    is_asked, is_gone = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        is_asked.set()
        await reader.read()
        is_gone.set()
        writer.close()

    async with before(tmp_path, wait) as nginx:
        _, client = await asyncio.open_connection("127.0.0.1", nginx.port)
        client.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}")
        await asyncio.wait_for(is_asked.wait(), PATIENCE_S)
        client.close()
        await asyncio.wait_for(is_gone.wait(), PATIENCE_S)


async def test_what_a_client_says_of_itself_is_not_passed_on(tmp_path: Path) -> None:
    heads: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        writer.close()

    made_up = {"X-Forwarded-For": "9.9.9.9", "X-Real-IP": "9.9.9.9", "Forwarded": "for=9.9.9.9", "Host": "chat.example"}
    async with before(tmp_path, note) as nginx, aiohttp.ClientSession() as session:
        async with session.get(f"{nginx.url}/v1/models", headers=made_up) as reply:
            assert reply.status == 200
        async with session.get(f"{nginx.url}/metrics") as reply:
            assert reply.status == 404
    (head,) = heads
    assert "9.9.9.9" not in head
    assert "x-forwarded-for: 127.0.0.1\r\n" in head
    assert "x-forwarded-proto: http\r\n" in head
    assert "host: chat.example\r\n" in head
    assert head.startswith("get /v1/models http/1.1\r\n")
