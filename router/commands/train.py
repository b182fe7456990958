"""`tierwise train`: adapts the classifier to labelled traffic, or places a new model on the ability scale."""

import json
from pathlib import Path
from typing import Annotated

import typer


def train(
    labels: Annotated[Path, typer.Option(help='JSON lines {"text"|"messages", "outcomes": {"fast", "reasoning"}}.')],
    out: Annotated[Path | None, typer.Option(help="Directory for the adapted artefact.")] = None,
    base: Annotated[Path | None, typer.Option(help="Artefact to start from; the shipped one by default.")] = None,
    ability: Annotated[
        bool, typer.Option("--ability", help='Place one new model: lines {"text"|"messages", "correct": 0..1}.')
    ] = False,
) -> None:
    """Adapt the classifier to your own traffic: 50 labels set the calibration, 1,500 the ranking."""
    from classifier.artifact import ArtifactError
    from classifier.labels import LabelsError

    try:
        if ability:
            _place(labels, base)
        elif out is None:
            raise LabelsError("--out DIR is needed")
        else:
            _adapt(labels, out, base)
    except (ArtifactError, LabelsError) as error:
        typer.echo(f"tierwise train: {error}", err=True)
        raise typer.Exit(2) from error


def _adapt(path: Path, out: Path, base_directory: Path | None) -> None:
    from classifier import artifact
    from classifier.adapt import FEWEST_LABELS, adapt
    from classifier.card import model_card
    from classifier.labels import LabelsError, digest, read_labels

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


def _place(path: Path, base_directory: Path | None) -> None:
    from classifier import artifact
    from classifier.labels import LabelsError, read_graded
    from classifier.placement import place

    graded = read_graded(path)
    if not graded:
        raise LabelsError(f"{path}: no graded queries")
    model = artifact.load(base_directory)
    found = place(model, [each.turns for each in graded], [each.right for each in graded])
    print(json.dumps({"ability": round(found, 3), "graded": len(graded), "artifact": model.version}))
