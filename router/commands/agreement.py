"""`tierwise agreement`: what it means when samples agree, as far as labels tell."""

from router.commands.output import ConfigOption, Format, FormatOption, show

COLUMNS = ("models", "answer_type", "share_from", "share_to", "labels", "right", "low", "high", "said")


def agreement(config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show how often the leader of a vote was right, by models, answer type and its share of the votes."""
    from router.commands.opening import existing_books
    from router.ledger.agreements import read_evidence
    from router.tiers.parallel.calibration import CalibrationTable

    with existing_books(config) as (_, engine):
        table = CalibrationTable.from_evidence(read_evidence(engine))
    rows = [
        {
            "models": line.models,
            "answer_type": line.answer_type,
            "share_from": f"{line.low:.2f}",
            "share_to": f"{line.high:.2f}",
            "labels": line.labels,
            "right": f"{line.right.value:.3f}",
            "low": f"{line.right.low:.3f}",
            "high": f"{line.right.high:.3f}",
            "said": f"{line.said:.3f}",
        }
        for line in table.shares()
    ]
    show(rows, COLUMNS, form)
