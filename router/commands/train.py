"""`tierwise train`: adapts the classifier to labelled traffic, to the books, or places a new model on its scale."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifier.types import Abilities, NamedModel
from router.commands.output import ConfigOption
from router.commands.policy import AuthorOption
from router.commands.window import read_window

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.learning.labels import LabelledRequest
    from router.learning.refit import Refit
    from router.settings import Settings


def train(
    labels: Annotated[
        Path | None, typer.Option(help='JSON lines {"text"|"messages", "outcomes": {"fast", "reasoning"}}.')
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the adapted artefact.")] = None,
    base: Annotated[Path | None, typer.Option(help="Artefact to start from; default: the shipped one.")] = None,
    ability: Annotated[
        bool, typer.Option("--ability", help='Place one new model: lines {"text"|"messages", "correct": 0..1}.')
    ] = False,
    from_ledger: Annotated[
        bool, typer.Option("--from-ledger", help="Learn from the features, duels and feedback that the books keep.")
    ] = False,
    since: Annotated[str, typer.Option(help="With --from-ledger: a date, a time, or a span up to now.")] = "30d",
    propose: Annotated[
        bool | None,
        typer.Option(help="Propose a policy that names the artefact; by default only if it is not shown to be worse."),
    ] = None,
    author: AuthorOption = None,
    config: ConfigOption = None,
) -> None:
    """Adapt the classifier to your own traffic: 50 labels set the calibration, 1,500 the ranking."""
    from router.mistakes.extras import require

    require("train", "tierwise train")
    from classifier.artifact import ArtifactError
    from classifier.training.labels import LabelsError
    from router.policies.dials import WrongPolicy

    try:
        if from_ledger and labels is None and not ability:
            _from_ledger(since, out, base, propose, author, config)
        elif from_ledger or labels is None:
            raise LabelsError("say what to learn from: --labels FILE, or --from-ledger")
        elif ability:
            _place(labels, base)
        elif out is None:
            raise LabelsError("--out DIR is needed")
        else:
            _adapt(labels, out, base)
    except (ArtifactError, LabelsError, WrongPolicy) as error:
        typer.echo(f"tierwise train: {error}", err=True)
        raise typer.Exit(2) from error


def _adapt(path: Path, out: Path, base_directory: Path | None) -> None:
    from classifier import artifact
    from classifier.training.adapt import FEWEST_LABELS, adapt
    from classifier.training.card import model_card
    from classifier.training.labels import LabelsError, digest, read_labels

    labels, labels_sha256 = read_labels(path), digest(path)
    if len(labels) < FEWEST_LABELS:
        raise LabelsError(f"{path}: {len(labels)} labels; at least {FEWEST_LABELS} are needed")
    base = artifact.load(base_directory)
    version = f"{base.version}+{labels_sha256[:8]}"
    adapted = adapt(labels, base, version, lambda line: typer.echo(line, err=True))
    artifact.save(
        adapted.model,
        out,
        {"training_data_sha256": labels_sha256, "recipe": adapted.method, "base": base.version, "labels": len(labels)},
    )
    (out / "card.md").write_text(model_card(adapted, labels, labels_sha256, base.version), encoding="utf-8")
    typer.echo(f"{out}: version {version}, {adapted.method}; card.md says how it did", err=True)


def _from_ledger(
    since: str,
    out: Path | None,
    base_directory: Path | None,
    propose: bool | None,
    author: str | None,
    config: Path | None,
) -> None:
    """Refit, store with a card, and propose; says so where there is not enough evidence."""
    from classifier import artifact
    from router.commands.opening import open_books
    from router.learning import artifacts, labels
    from router.learning.refit import NotEnoughEvidence, refit
    from router.learning.refit_card import card

    with open_books(config) as (configured, engine):
        chosen = read_window(configured, since, None)
        base = artifact.load(base_directory or configured.artifact)
        labelled_requests = labels.read(engine, chosen)
        models = configured.tiers.fast, configured.tiers.reasoning
        abilities = Abilities.of(base.ability_of, *(NamedModel(model.model, model.ability) for model in models))
        try:
            refitted = refit(labelled_requests, base, abilities, lambda line: typer.echo(line, err=True))
        except NotEnoughEvidence as error:
            typer.echo(f"tierwise train: {error}", err=True)
            raise typer.Exit(1) from error
        names = configured.tiers.fast.model, configured.tiers.reasoning.model
        about = {
            "training_data_sha256": refitted.digest,
            "recipe": refitted.adapted.method,
            "base": base.version,
            "labels": refitted.labels,
            "verdict": str(refitted.figures.verdict),
        }
        blob = artifacts.pack(refitted.adapted.model, about)
        now_us = int(datetime.now(UTC).timestamp() * 1e6)
        version = artifacts.store(engine, blob, card(refitted, base.version, names), author or "tierwise train", now_us)
        if out is not None:
            artifacts.export(engine, version, out)
        print(artifacts.card_of(engine, version))
        typer.echo(f"stored: artefact {version}, {len(blob):,} bytes", err=True)
        _propose(refitted, labelled_requests, propose, author, configured, engine)


def _propose(
    refitted: "Refit",
    labelled_requests: "list[LabelledRequest]",
    wanted: bool | None,
    author: str | None,
    configured: "Settings",
    engine: "Engine",
) -> None:
    """Propose a policy version that names the artefact, its thresholds open to as many queries as today's."""
    from classifier.training.holdout import HoldoutVerdict
    from router.commands.policy import actor, begin
    from router.learning.refit import same_share
    from router.policies import lifecycle
    from router.policies.versions import in_force

    verdict = refitted.figures.verdict
    is_proposed = verdict in (HoldoutVerdict.BETTER, HoldoutVerdict.NO_DIFFERENCE) if wanted is None else wanted
    if not is_proposed:
        typer.echo(f"not proposed ({verdict}); --propose does it all the same", err=True)
        return
    begin(configured, engine)
    model = refitted.adapted.model
    moved = same_share(labelled_requests, in_force(engine), model)
    note = f"classifier refitted from {refitted.labels} labels: {verdict}"
    version = lifecycle.propose(engine, {"classifier": model.version, **moved}, configured.tiers, actor(author, note))
    typer.echo(
        f"proposed: policy version {version}; next: tierwise policy canary {version} --shadow, or --share 0.05",
        err=True,
    )


def _place(path: Path, base_directory: Path | None) -> None:
    from classifier import artifact
    from classifier.training.labels import LabelsError, read_graded
    from classifier.training.placement import place

    graded = read_graded(path)
    if not graded:
        raise LabelsError(f"{path}: no graded queries")
    model = artifact.load(base_directory)
    refitted = place(model, [each.turns for each in graded], [each.right for each in graded])
    print(json.dumps({"ability": round(refitted, 3), "graded": len(graded), "artifact": model.version}))
