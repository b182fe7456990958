"""What failures cost, seen from the budgets: refusals take nothing away from anybody."""

from pathlib import Path

from router.clock import SystemClock
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from tests.api.service import CHAT, a_chat, serving, settings_of
from tests.builders.databases import open_books

FAILING = [f"fail-500-v{number}" for number in range(20)]  # each fails too seldom to be asked no more
PRICES = {f"scripted/{name}": {"input": 1, "output": 10} for name in (*FAILING, "echo")}
MODELS = {name: {"model": f"scripted/{name}"} for name in (*FAILING, "echo")}
DOLLAR = 1_000_000_000


async def test_failures_whose_bounds_are_five_dollars_leave_a_budget_of_one_open(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, prices=PRICES, models=MODELS)
    engine = open_books(settings.database_url)
    budgets.put(engine, BudgetScope.TOTAL, "", Period.MONTH, DOLLAR, "test", "", SystemClock().now_us())
    engine.dispose()
    async with serving(settings) as service:
        failed = [await service.local.post(CHAT, json=a_chat(one, max_tokens=5_000)) for one in FAILING * 5]
        answered = await service.local.post(CHAT, json=a_chat("echo", max_tokens=100))
        [line] = await service.calls(failed[-1].headers["x-request-id"])
        too_dear = await service.local.post(CHAT, json=a_chat("echo", max_tokens=200_000))
    assert {response.status_code for response in failed} == {502}
    assert answered.status_code == 200
    assert (line["status"], line["precision"], line["cost_nanousd"]) == ("error", "exact", 0)
    assert too_dear.status_code == 429
