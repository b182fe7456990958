"""The texts of labels: what a number in a row of the books stands for, such as a segment or a model."""

from sqlalchemy import Connection, select

from router.database.tables import LabelText


def read_label_texts(connection: Connection) -> dict[int, str]:
    """Read the text of every label by its number.

    Read it after the rows that name them: a row which another worker has just written may name a label that was not
    there before.
    """
    return {row.id: row.text for row in connection.execute(select(LabelText.id, LabelText.text))}
