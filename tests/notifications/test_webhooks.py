"""Signed webhooks, as a receiver checks them."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from router.notifications.alerts import Alert
from router.notifications.deliveries import NotDelivered
from router.notifications.signatures import key_of, sign
from router.notifications.webhooks import WebhookChannel, payload, require_safe
from tests.ledger.builders import NOON

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ALERT = Alert("0" * 31 + "7", "drift", "scores", "2027-01-15", "warning", "It drifts", "0.4", {"value": 0.4}, NOON)


class Receiver(ThreadingHTTPServer):
    """A program of somebody who wants to be told; answers with the statuses it is given, then with 204."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/alerts"


class Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(server.statuses.pop(0) if server.statuses else 204)
        self.send_header("location", server.url)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(*statuses)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def test_what_is_sent_is_signed_by_the_specification() -> None:
    with receiving() as receiver:
        WebhookChannel(receiver.url, SECRET, lambda: 1_800_000_000).send(ALERT)
    [(headers, body)] = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (ALERT.id, "1800000000")
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("alert.raised", "2027-01-15T08:00:00Z")
    assert told["data"]["figures"] == {"value": 0.4}


def test_the_specifications_own_example() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [301, 307, 400, 410, 500, 503])
def test_anything_but_a_success_is_no_delivery(status: int) -> None:
    with receiving(status) as receiver, pytest.raises(NotDelivered, match=str(status)):
        WebhookChannel(receiver.url, SECRET, lambda: 1).send(ALERT)
    assert len(receiver.got) == 1


def test_an_address_nobody_listens_at_is_no_delivery() -> None:
    with receiving() as receiver:
        url = receiver.url
    with pytest.raises(NotDelivered, match="refused"):
        WebhookChannel(url, SECRET, lambda: 1).send(ALERT)


def test_every_attempt_sends_the_same_bytes() -> None:
    pairs = [("share", 0.4), ("calls", 40)]
    assert payload(replace(ALERT, figures=dict(pairs))) == payload(replace(ALERT, figures=dict(reversed(pairs))))


@pytest.mark.parametrize("url", ["http://example.org/a", "http://10.0.0.1/a", "https://me:pw@a.org", "ftp://x", ""])
def test_addresses_are_encrypted_or_of_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        require_safe(url)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "abc", f"whsec_{'AAAA' * 22}"])
def test_a_secret_has_its_form(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of(secret)
