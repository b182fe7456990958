"""`tierwise evaluate`: how good an artefact is on data it was not fitted on, beside its controls."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    labels: Annotated[Path | None, typer.Option(help="Labels as `tierwise train` reads them.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of recorded outcomes (parquet).")] = None,
    artifact_directory: Annotated[
        Path | None,
        typer.Option("--artifact", help="A directory made by `tierwise train`; the shipped one by default."),
    ] = None,
) -> None:
    """Print ranking, routing and calibration figures with 95 % intervals and all controls, as Markdown tables."""
    from classifier import artifact, corpus
    from classifier.evaluate import of_directory, of_labels, table
    from classifier.labels import LabelsError, read_labels

    try:
        model = artifact.load(artifact_directory)
        if (labels is None) == (data is None):
            raise LabelsError("give either --labels FILE or --data DIR")
        results = of_labels(read_labels(labels), model) if labels else of_directory(data or Path(), model)
        if not any(len(trial.texts) for trial in results):
            raise LabelsError("no rows with both outcomes that the artefact was not fitted on")
    except (artifact.ArtifactError, LabelsError, corpus.CorpusMissing) as error:
        typer.echo(f"tierwise evaluate: {error}", err=True)
        raise typer.Exit(2) from error
    print(f"artefact {model.version}\n")
    print("\n".join(table(results)))
