"""`tierwise evaluate`: how good an artefact is on data it was not fitted on, beside its controls."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    labels: Annotated[Path | None, typer.Option(help="Labels as `tierwise train` reads them.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of recorded outcomes (parquet).")] = None,
    artifact_directory: Annotated[
        Path | None,
        typer.Option("--artifact", help="Directory made by `tierwise train`; default: the shipped one."),
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            help="WEAK:STRONG, models of the recorded outcomes; repeat for more. Default: those of each source."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only rankings and calibration of each pair.")] = False,
) -> None:
    """Print the bars of routing quality, then every pair with 95 % intervals and all controls, as Markdown tables."""
    from router.mistakes.extras import require

    require("train", "tierwise evaluate")
    from classifier import artifact
    from classifier.training import corpus
    from classifier.training.assessment import assess, assess_labels
    from classifier.training.evaluate import of_labels, of_outcomes, table
    from classifier.training.labels import LabelsError, read_labels
    from classifier.training.trials import PairsError, pairs_of_names

    def progress(says: str) -> None:
        print(says, file=sys.stderr, flush=True)

    try:
        model = artifact.load(artifact_directory)
        if (labels is None) == (data is None):
            raise LabelsError("give either --labels FILE or --data DIR")
        asked = pairs_of_names(pair or ())
        if labels is not None:
            results = of_labels(read_labels(labels), model)
            bars = [] if quick else assess_labels(results[0], model, progress)
        else:
            rows = corpus.read(data or Path())
            if quick:
                bars, results = [], of_outcomes(rows, model, asked)
            else:
                bars, results = assess(rows, model, asked, progress)
        if not any(len(trial.texts) for trial in results):
            raise LabelsError("no rows with both outcomes that the artefact was not fitted on")
    except (artifact.ArtifactError, LabelsError, PairsError, corpus.CorpusMissing) as error:
        typer.echo(f"tierwise evaluate: {error}", err=True)
        raise typer.Exit(2) from error
    print(f"artefact {model.version}\n")
    if bars:
        print("\n".join(["| measure | found | bar | |", "|---|---|---|---|", *map(str, bars), ""]))
    print("\n".join(table(results)))
