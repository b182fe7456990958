"""Where the end of a background job is told, as its caller asks for it, and what the operator allows of that. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from router.errors import InvalidRequest
from router.notifications.posting import split_url

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
NOTIFY = "x_tierwise.notify"


class Callback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A POST to an address, a mail, or both; `include_answer` unset: the mail has the answer, the POST only its id."""

    webhook: str | None = None
    mail: str | None = None
    include_answer: bool | None = None


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """What may be asked for: webhooks where there is a secret to sign them with, mail to addresses that are allowed.

    `hosts`: names that webhooks may go to, `*.example.org` for those below one; none: every public one. `mail_to`:
    addresses, and `@example.org` for those of a domain.
    """

    has_webhooks: bool = False
    hosts: Sequence[str] = ()
    allows_private: bool = False
    mail_to: Sequence[str] = ()

    def require_allowed(self, callback: Callback) -> None:
        """Raise InvalidRequest, naming what is not allowed."""
        if callback.webhook is None and callback.mail is None:
            raise InvalidRequest(f"{NOTIFY}: name a webhook, or an address for mail", param=NOTIFY)
        if callback.webhook is not None and (why := self._refuse_webhook(callback.webhook)):
            raise InvalidRequest(f"{NOTIFY}.webhook: {why}", param=f"{NOTIFY}.webhook", code="invalid_value")
        if callback.mail is not None and (why := self._refuse_mail(callback.mail)):
            raise InvalidRequest(f"{NOTIFY}.mail: {why}", param=f"{NOTIFY}.mail", code="invalid_value")

    def _refuse_webhook(self, url: str) -> str | None:
        if not self.has_webhooks:
            return "this server sends no webhooks for jobs (jobs.webhooks); poll the response, or stream it"
        try:
            host = (split_url(url, allows_private=self.allows_private).hostname or "").rstrip(".")
        except ValueError as error:
            return str(error)
        if self.hosts and not any(_is_of(host, allowed.lower()) for allowed in self.hosts):
            return f"webhooks of this server do not go to {host} (jobs.webhooks.hosts)"
        return None

    def _refuse_mail(self, address: str) -> str | None:
        if not self.mail_to:
            return "this server sends no mail for jobs (jobs.mail); poll the response, or stream it"
        if not ADDRESS.fullmatch(address):
            return "one plain address is needed, such as ada@example.org"
        given, domain = address.lower(), "@" + address.lower().rpartition("@")[2]
        if not any(allowed.lower() in (given, domain) for allowed in self.mail_to):
            return "this server sends no mail to this address (jobs.mail.allowed)"
        return None


def _is_of(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
