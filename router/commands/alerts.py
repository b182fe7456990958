"""`tierwise alerts`: what was raised, who was told, and whether telling works."""

import getpass
import sys
from typing import Annotated

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

app = typer.Typer(help="Alerts: what is wrong, and whether alerts arrive.", no_args_is_help=True)

SHOWN = ("id", "raised", "state", "level", "rule", "subject", "period", "says", "next", "delivered", "waiting")


@app.command("list")
def list_alerts(
    only_open: Annotated[
        bool, typer.Option("--open", help="Only alerts that still hold and that nobody has acknowledged.")
    ] = False,
    most: Annotated[int, typer.Option(help="Largest number to list, the newest first.", min=1, max=10_000)] = 50,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List alerts, the newest first."""
    from router.commands.opening import existing_books
    from router.notifications import alerts
    from router.notifications.advice import advice_on_alert

    with existing_books(config) as (_, engine):
        found = alerts.read(engine, most=most, only_open=only_open)
    rows = [
        {
            "id": one.alert.id,
            "raised": format_time(one.alert.raised_at_us),
            "state": one.state,
            "level": one.alert.level,
            "rule": one.alert.rule,
            "subject": one.alert.subject,
            "period": one.alert.period,
            "says": f"{one.alert.title}: {one.alert.says}",
            "next": advice_on_alert(one.alert.rule, one.alert.figures),
            "delivered": ", ".join(way["channel"] for way in one.deliveries if way["delivered_at"] is not None),
            "waiting": ", ".join(way["channel"] for way in one.deliveries if way["delivered_at"] is None),
        }
        for one in found
    ]
    show(rows, SHOWN, form)


@app.command()
def acknowledge(
    alert_id: Annotated[str, typer.Argument(help="The alert's id.")],
    by: Annotated[
        str | None, typer.Option(help="Name of the person who acknowledges; default: the system user.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Acknowledge an alert; it stays in the list."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.notifications import alerts

    with existing_books(config) as (_, engine):
        now_us, who = SystemClock().now_us(), by or getpass.getuser()
        is_done = alerts.acknowledge(engine, alert_id, who, now_us, hook("alert acknowledged", alert_id))
    if not is_done:
        sys.stderr.write("tierwise: there is no such alert, or somebody acknowledged it before\n")
        sys.exit(2)


@app.command("test")
def send_test(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Send a test alert through every configured channel, now; exit code 1 if one fails."""
    from router import settings
    from router.clock import SystemClock, request_id
    from router.notifications.alerts import Alert
    from router.notifications.channels import channels_of
    from router.notifications.deliveries import NotDelivered
    from router.notifications.rules import AlertRule, hour_text

    configured, clock = settings.load(settings.config_path(config)), SystemClock()
    now_us = clock.now_us()
    alert = Alert(
        request_id(now_us),
        AlertRule.TEST,
        "tierwise alerts test",
        hour_text(now_us),
        "warning",
        "This is a test",
        "somebody tries whether alerts arrive; nothing is wrong",
        {},
        now_us,
    )
    rows = []
    for name, channel in channels_of(configured.alerts, clock, trust_env=configured.trust_env).items():
        try:
            channel.send(alert)
            rows.append({"channel": name, "state": "ok", "says": f"told, as {alert.id}"})
        except NotDelivered as error:
            rows.append({"channel": name, "state": "bad", "says": str(error)})
    show(rows, ("channel", "state", "says"), form)
    sys.exit(1 if any(row["state"] == "bad" for row in rows) else 0)
