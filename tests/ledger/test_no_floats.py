"""No float touches money: not as a type, not as a literal, not by way of division."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import BigInteger

from router.database.tables import Base
from router.ledger.entries import CallIntent, CallResult, Opening

ROOT = Path(__file__).parents[2] / "router"
MONEY = ("money.py", "ledger/prices.py", "ledger/pricelist.py", "ledger/revenue.py", "ledger/correction.py")


def test_every_amount_is_stored_as_a_64_bit_integer() -> None:
    columns = [c for table in Base.metadata.tables.values() for c in table.columns if c.name.endswith("_nanousd")]
    assert len(columns) >= 6
    assert all(isinstance(column.type, BigInteger) for column in columns)


@pytest.mark.parametrize("entry", [Opening, CallIntent, CallResult])
def test_every_amount_of_an_entry_is_an_integer(entry: type) -> None:
    types = {name: kind for name, kind in entry.__annotations__.items() if name.endswith("_nanousd")}
    assert types
    assert set(types.values()) == {int | None}


@pytest.mark.parametrize("file", MONEY)
def test_money_modules_use_no_float(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    casts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("float", "round")
    ]
    assert literals == []
    assert casts == []
