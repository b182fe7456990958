"""The `tierwise` command: one place that names every subcommand; what they do is in `router.commands`."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from classifier.artifact import ArtifactError
from router.commands import (
    admin,
    agreement,
    alerts,
    artifacts,
    budget,
    db,
    doctor,
    estimate,
    evaluate,
    init,
    jobs,
    keys,
    ladder,
    ledger,
    pace,
    policy,
    prices,
    replay,
    report,
    revenue,
    serve,
    statement,
    train,
    trials,
    tuning,
    weights,
    whatif,
)
from router.database.engine import DatabaseUnusable
from router.errors import RouterError
from router.jobs.job import WrongJob
from router.keys import WrongKey
from router.mistakes.extras import MissingExtra
from router.policies.dials import WrongPolicy
from router.policies.shares import WrongShare
from router.reports.tradeoff import WrongReplay
from router.reports.window import WrongWindow
from router.settings import WrongSetting
from router.tuning.targets import Unsolvable

OPERATOR_ERRORS = (
    WrongSetting,
    WrongShare,
    WrongKey,
    WrongJob,
    WrongPolicy,
    WrongWindow,
    WrongReplay,
    Unsolvable,
    DatabaseUnusable,
    MissingExtra,
    ArtifactError,
    RouterError,
)

app = typer.Typer(
    name="tierwise",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"tierwise {version('tierwise')}")
        raise typer.Exit


@app.callback()
def tierwise(
    is_version_asked: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """A chat backend that decides, per query, how much thinking to buy."""


app.command()(serve.serve)
app.command()(init.init)
app.command()(doctor.doctor)
app.command()(weights.weights)
app.command()(estimate.estimate)
app.command()(report.report)
app.command()(statement.statement)
app.command()(whatif.whatif)
app.command()(agreement.agreement)
app.command()(replay.replay)
app.command()(ladder.ladder)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.add_typer(ledger.app, name="ledger")
policy.app.command()(tuning.backtest)
policy.app.command()(tuning.solve)
policy.app.command("realised")(pace.compare_realised)
policy.app.command()(pace.pace)
policy.app.command()(trials.canary)
app.add_typer(policy.app, name="policy")
app.add_typer(prices.app, name="prices")
app.add_typer(revenue.app, name="revenue")
app.add_typer(budget.app, name="budget")
app.add_typer(keys.app, name="keys")
app.add_typer(jobs.app, name="jobs")
app.add_typer(admin.app, name="admin")
app.add_typer(alerts.app, name="alerts")
app.add_typer(artifacts.app, name="artifacts")
app.add_typer(db.app, name="db")


def main() -> None:
    """Run a command; what the operator can mend is told in one line, with exit code 2."""
    try:
        app()
    except OPERATOR_ERRORS as error:
        sys.stderr.write(f"tierwise: {error}\n")
        sys.exit(2)
