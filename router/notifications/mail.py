"""Mail over SMTP with TLS. The `Message-ID` of an alert is made of its id, and the same for every attempt."""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from router.notifications.alerts import Alert
from router.notifications.deliveries import NotDelivered

MAIL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in; `security` is TLS from the start, after STARTTLS, or none."""

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    username: str | None = None
    password: str | None = None

    def hand_in(self, mail: EmailMessage, context: ssl.SSLContext | None = None) -> None:
        """Hand a mail in; raises NotDelivered, also where a single recipient is refused."""
        context = context or ssl.create_default_context()
        try:
            with self._connect(context) as smtp:
                if self.security == "starttls":
                    smtp.starttls(context=context)
                if self.username is not None:
                    smtp.login(self.username, self.password or "")
                refused = smtp.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"SMTP {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise NotDelivered(str(getattr(error, "strerror", None) or type(error).__name__)[:200]) from None
        if refused:
            raise NotDelivered(f"{len(refused)} of {len(mail['To'].addresses)} recipients were refused")

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=MAIL_TIMEOUT_S, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=MAIL_TIMEOUT_S)


class MailChannel:
    """One mail to everybody who is to be told."""

    def __init__(
        self, server: MailServer, sender: str, recipients: Sequence[str], context: ssl.SSLContext | None = None
    ) -> None:
        self._server = server
        self._sender = sender
        self._recipients = list(recipients)
        self._context = context

    def send(self, alert: Alert) -> None:
        """Hand the mail in; raises NotDelivered, also where a single recipient is refused."""
        self._server.hand_in(message(alert, self._sender, self._recipients), self._context)


def message(alert: Alert, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Write the mail."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, ", ".join(recipients)
    mail["Subject"] = f"[Tierwise] {' '.join(alert.title.split())}"
    mail["Date"] = format_datetime(datetime.fromtimestamp(alert.raised_at_us // 1_000_000, UTC))
    mail["Message-ID"] = f"<{alert.id}@alerts.tierwise>"
    mail["Auto-Submitted"] = "auto-generated"
    figures = "".join(f"{name}: {value}\n" for name, value in alert.figures.items())
    mail.set_content(
        f"{alert.title}.\n\n{alert.says}\n\n{figures}\n"
        f"Rule {alert.rule}, about {alert.subject}, in {alert.period}. Alert {alert.id}.\n"
        "It is told once in this period; the page Health of the admin shows whether it still holds.\n"
    )
    return mail
