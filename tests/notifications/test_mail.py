"""Mail, handed in at a server that knows TLS."""

import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from socket import socket
from typing import Any

import pytest

pytest.importorskip("aiosmtpd", reason="installed with the extra `test`")
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, Session

from router.notifications.deliveries import NotDelivered
from router.notifications.mail import MailChannel, MailServer
from tests.notifications.certificates import a_certificate
from tests.notifications.test_webhooks import ALERT


class Mailbox:
    """Takes mail, except for one recipient."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server and its client need for TLS at 127.0.0.1."""
    certificate, key = a_certificate(tmp_path_factory.mktemp("tls"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


def a_free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Controller]:
    def check(server: Server, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        knows = (given.login, given.password) == (b"tierwise", b"open sesame")
        return AuthResult(success=knows, handled=knows)  # a refusal that counts as handled is never answered

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=a_free_port(),  # it does not find out by itself which one it got
        tls_context=contexts[0],
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    )
    controller.start()
    yield controller
    controller.stop()


def a_channel(
    server: Controller, contexts: tuple[ssl.SSLContext, ssl.SSLContext], password: str = "open sesame", *to: str
) -> MailChannel:
    place = MailServer("127.0.0.1", server.port, "starttls", "tierwise", password)
    return MailChannel(place, "tierwise@example.org", to or ("ops@example.org",), contexts[1])


def test_an_alert_comes_as_one_mail_under_its_id(
    server: Controller, mailbox: Mailbox, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    channel = a_channel(server, contexts, "open sesame", "ops@example.org", "boss@example.org")
    channel.send(ALERT)
    [envelope] = mailbox.envelopes
    assert envelope.rcpt_tos == ["ops@example.org", "boss@example.org"]
    mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
    assert mail["subject"] == "[Tierwise] It drifts"
    assert mail["message-id"] == f"<{ALERT.id}@alerts.tierwise>"
    assert "value: 0.4" in mail.get_content()


def test_a_wrong_password_is_no_delivery_and_not_told(
    server: Controller, mailbox: Mailbox, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with pytest.raises(NotDelivered, match=r"^SMTP 535$"):
        a_channel(server, contexts, "wrong word").send(ALERT)
    assert mailbox.envelopes == []


def test_a_recipient_who_is_refused_is_no_delivery(
    server: Controller, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with pytest.raises(NotDelivered, match="1 of 2"):
        a_channel(server, contexts, "open sesame", "ops@example.org", "nobody@example.org").send(ALERT)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Controller, mailbox: Mailbox, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with pytest.raises(NotDelivered):
        a_channel(server, (contexts[0], ssl.create_default_context())).send(ALERT)
    assert mailbox.envelopes == []
