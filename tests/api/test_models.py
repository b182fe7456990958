import pytest

from tests.api.service import SCRIPTS, Service


async def test_auto_the_tiers_and_the_explicit_models_are_listed(service: Service) -> None:
    body = (await service.local.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["auto", "fast", "reasoning", "parallel", *SCRIPTS]
    assert {(model["object"], type(model["created"]), model["owned_by"]) for model in body["data"]} == {
        ("model", int, "tierwise")
    }


@pytest.mark.parametrize("model", ["auto", "parallel", "echo"])
async def test_one_model_is_shown_as_in_the_list(service: Service, model: str) -> None:
    listed = (await service.local.get("/v1/models")).json()["data"]
    shown = (await service.local.get(f"/v1/models/{model}")).json()
    assert shown in listed
    assert shown["id"] == model


@pytest.mark.parametrize("model", ["gpt-9", "scripted/echo", "a/b/c"])
async def test_an_unknown_model_is_not_found(service: Service, model: str) -> None:
    response = await service.local.get(f"/v1/models/{model}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


async def test_every_response_has_a_request_id(service: Service) -> None:
    for path in ("/v1/models", "/v1/models/nope", "/nowhere", "/health/live", "/health/ready", "/metrics"):
        assert len((await service.local.get(path)).headers["x-request-id"]) == 32
