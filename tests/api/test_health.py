import httpx

from router.api.admission import Occupancy
from router.api.health import Ready
from router.errors import Cause
from router.health.targets import HealthBook
from router.ledger.shipping import ShippingState
from tests.api.service import CHAT, Service, a_chat
from tests.ledger.builders import FakeClock


async def ready(
    state: ShippingState, *, is_stopping: bool = False, taken: int = 0, health: HealthBook | None = None
) -> httpx.Response:
    read = health.read if health is not None else list
    app = httpx.ASGITransport(Ready(lambda: state, lambda: is_stopping, lambda: Occupancy(4, taken, 0, 0), read))
    async with httpx.AsyncClient(transport=app, base_url="http://here") as client:
        return await client.get("/health/ready")


async def test_a_living_service_says_so(service: Service) -> None:
    response = await service.local.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_readiness_tells_how_late_the_books_are(service: Service) -> None:
    body = (await service.local.get("/health/ready")).json()
    assert body["status"] == "ready"
    assert body["ledger"].keys() >= {"database", "lag_entries", "lag_seconds"}


async def test_a_database_that_is_away_makes_the_books_late_and_nothing_else() -> None:
    response = await ready(ShippingState(database_ok=False, lag_entries=7))
    assert (response.status_code, response.json()["ledger"]["database"]) == (200, "away")
    assert response.json()["ledger"]["lag_entries"] == 7


async def test_a_service_that_stops_is_not_ready() -> None:
    response = await ready(ShippingState(), is_stopping=True)
    assert (response.status_code, response.json()["status"]) == (503, "stopping")


async def test_a_model_that_is_out_is_named_and_only_without_any_is_there_nothing_to_be_ready_with() -> None:
    health = HealthBook(FakeClock())
    dead, well = (health.target(f"openai/{name}", None, None) for name in ("dead", "well"))
    dead.fail(Cause.CREDENTIALS, None, is_trial=False)
    response = await ready(ShippingState(), health=health)
    found = {target["model"]: (target["state"], target["cause"]) for target in response.json()["targets"]}
    assert (response.status_code, found["openai/dead"]) == (200, ("open", "credentials"))
    assert found["openai/well"] == ("closed", None)
    well.fail(Cause.CREDENTIALS, None, is_trial=False)
    response = await ready(ShippingState(), health=health)
    assert (response.status_code, response.json()["status"]) == (503, "no_provider")


async def test_a_worker_without_a_free_place_says_so_and_stays_ready() -> None:
    for taken, is_saturated in ((3, False), (4, True)):
        response = await ready(ShippingState(), taken=taken)
        assert (response.status_code, response.json()["places"]["saturated"]) == (200, is_saturated)


async def test_metrics_count_requests_with_bounded_labels(service: Service) -> None:
    await service.local.post(CHAT, json=a_chat())
    response = await service.local.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    text = response.text
    assert 'tierwise_requests_total{final_tier="fast",outcome="ok",reason="override",tier="fast"}' in text
    for name in (
        "tierwise_cost_nanousd_total",
        "tierwise_expected_revenue_nanousd_total",
        "tierwise_spool_entries",
        "tierwise_places",
    ):
        assert name in text
    assert "Say hello" not in text
