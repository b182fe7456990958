"""The ways to tell people, as they are configured."""

import os
from collections.abc import Mapping

from pydantic import SecretStr

from router.clock import Clock
from router.notifications.deliveries import Channel, LogChannel
from router.notifications.mail import MailChannel, MailServer
from router.notifications.webhooks import WebhookChannel
from router.settings import AlertSettings, WrongSetting


def channels_of(
    settings: AlertSettings, clock: Clock, *, trust_env: bool = True, environ: Mapping[str, str] = os.environ
) -> dict[str, Channel]:
    """Make the channels by their names; raises WrongSetting."""
    channels: dict[str, Channel] = {"log": LogChannel()}
    if (hook := settings.webhook) is not None:
        secret = read_secret(hook.secret, hook.secret_env, environ, "alerts.webhook.secret")
        if secret is None:
            raise WrongSetting("alerts.webhook.secret: a webhook is signed; give secret or secret_env")
        try:
            channels["webhook"] = WebhookChannel(
                hook.url, secret, lambda: clock.now_us() // 1_000_000, trust_env=trust_env
            )
        except ValueError as error:
            raise WrongSetting(f"alerts.webhook: {error}") from None
    if (mail := settings.mail) is not None:
        password = read_secret(mail.password, mail.password_env, environ, "alerts.mail.password")
        server = MailServer(mail.host, mail.port, mail.security, mail.username, password)
        channels["mail"] = MailChannel(server, mail.sender, mail.to)
    return channels


def read_secret(given: SecretStr | None, variable: str | None, environ: Mapping[str, str], named: str) -> str | None:
    """Return a secret as it is given, or from its variable; None where it is not given. Raises WrongSetting."""
    if given is not None and variable is not None:
        raise WrongSetting(f"{named}: it and its variable exclude each other")
    if variable is not None:
        if not (found := environ.get(variable)):
            raise WrongSetting(f"{named}: the environment has no {variable}")
        return found.strip()
    return given.get_secret_value() if given is not None else None
