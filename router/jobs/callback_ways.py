"""The ways to call back, and what may be asked of them, as they are configured."""

import os
from collections.abc import Mapping

from router.clock import Clock
from router.jobs.callback import CallbackRules
from router.jobs.callbacks import MailWay, Way, WebhookWay
from router.notifications.channels import read_secret
from router.notifications.mail import MailServer
from router.notifications.posting import PublicPoster
from router.notifications.signatures import key_of
from router.settings import JobMailSettings, JobWebhookSettings, WrongSetting

WEBHOOK, MAIL = "webhook", "mail"


def ways_of(
    webhooks: JobWebhookSettings | None,
    mail: JobMailSettings | None,
    clock: Clock,
    *,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Way]:
    """Make the ways by their names; raises WrongSetting."""
    ways: dict[str, Way] = {}
    if webhooks is not None:
        keys = webhook_secrets(webhooks, environ)
        ways[WEBHOOK] = WebhookWay(
            keys, PublicPoster(allows_private=webhooks.private), lambda: clock.now_us() // 1_000_000
        )
    if mail is not None:
        password = read_secret(mail.password, mail.password_env, environ, "jobs.mail.password")
        server = MailServer(mail.host, mail.port, mail.security, mail.username, password)
        ways[MAIL] = MailWay(server, mail.sender, mail.link)
    return ways


def rules_of(webhooks: JobWebhookSettings | None, mail: JobMailSettings | None) -> CallbackRules:
    """Say what callers may ask for."""
    return CallbackRules(
        has_webhooks=webhooks is not None,
        hosts=webhooks.hosts if webhooks is not None else (),
        allows_private=webhooks is not None and webhooks.private,
        mail_to=mail.allowed if mail is not None else (),
    )


def webhook_secrets(webhooks: JobWebhookSettings, environ: Mapping[str, str] = os.environ) -> list[bytes]:
    """Return the secrets that those of the keys are made of, the newest first; raises WrongSetting."""
    new = read_secret(webhooks.secret, webhooks.secret_env, environ, "jobs.webhooks.secret")
    if new is None:
        raise WrongSetting("jobs.webhooks.secret: webhooks are signed; give secret or secret_env")
    old = read_secret(webhooks.old_secret, webhooks.old_secret_env, environ, "jobs.webhooks.old_secret")
    try:
        return [key_of(secret) for secret in (new, old) if secret is not None]
    except ValueError as error:
        raise WrongSetting(f"jobs.webhooks: {error}") from None
