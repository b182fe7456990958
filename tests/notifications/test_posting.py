"""Posting to addresses of strangers: public ones, over TLS, and the one that was looked at."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from router.notifications.deliveries import NotDelivered
from router.notifications.posting import PublicPoster, is_public, split_url
from tests.notifications.certificates import a_certificate
from tests.notifications.test_webhooks import Receiver, receiving

REAL = socket.getaddrinfo


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to these addresses; returns the names that were asked for."""
    asked: list[str] = []

    def resolve(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in (*addresses, "127.0.0.1"):
            return REAL(host, port, *args, **kwargs)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::7f00:1",
        "64:ff9b::a00:1", "2002:7f00:1::1", "2001:0:53aa:64c:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_private_local_and_reserved_ones_are_not_however_they_are_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a", "ftp://example.org", "https://me:pw@example.org", "https:///path", "example.org", "",
        "https://example.org:0/", "https://example.org:99999/", "https://exa mple.org/",
        "https://example.org/a\r\nb: c", "https://exämple.org/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data", "https://a.org/" + "x" * 2_048,
    ],
)  # fmt: skip
def test_an_address_is_https_public_and_without_a_user(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|Port"):
        split_url(url)


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.215.14", "10.0.0.1"), ("169.254.169.254",)])
def test_a_name_that_leads_to_a_private_address_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    resolving(monkeypatch, *addresses)
    with pytest.raises(NotDelivered, match="not public") as refused:
        PublicPoster().post("https://hook.example.org/", b"{}", {})
    assert refused.value.is_final


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises(NotDelivered, match="not public"):
        PublicPoster().post(f"https://{host}/", b"{}", {})


def test_what_was_looked_at_is_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is resolved again may lead elsewhere by then."""
    asked = resolving(monkeypatch, "127.0.0.1")
    with receiving() as receiver:
        port = receiver.server_address[1]
        PublicPoster(allows_private=True).post(f"http://hook.test:{port}/a?b=c", b"{}", {"x-a": "b"})
    [(headers, body)] = receiver.got
    assert asked == ["hook.test"]
    assert (headers["host"], headers["x-a"], body) == (f"hook.test:{port}", "b", b"{}")


@pytest.mark.parametrize(("status", "is_final"), [(301, False), (307, False), (410, True), (500, False)])
def test_a_redirect_is_not_followed_and_who_is_gone_is_left_alone(status: int, is_final: bool) -> None:
    with receiving(status) as receiver, pytest.raises(NotDelivered, match=str(status)) as failed:
        PublicPoster(allows_private=True).post(receiver.url, b"{}", {})
    assert len(receiver.got) == 1
    assert failed.value.is_final == is_final


def test_the_certificate_is_that_of_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, key = a_certificate(tmp_path)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    receiver = Receiver()
    receiver.socket = ours.wrap_socket(receiver.socket, server_side=True)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    poster = PublicPoster(allows_private=True, context=ssl.create_default_context(cafile=str(certificate)))
    port = receiver.server_address[1]
    resolving(monkeypatch, "127.0.0.1")
    try:
        poster.post(f"https://127.0.0.1:{port}/", b"{}", {})
        with pytest.raises(NotDelivered, match=r"(?i)hostname mismatch|certificate"):
            poster.post(f"https://hook.test:{port}/", b"{}", {})
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    assert len(receiver.got) == 1
