from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from router import keys
from router.api.auth import is_local
from router.keys import Scope
from router.types import Tier
from tests.api.service import CHAT, Service, a_chat, serving, settings_of

JSON_BODY = {"content-length": "2", "content-type": "application/json"}


def admitted(peer: str | None = "127.0.0.1", host: str = "localhost:8080", **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"client": None if peer is None else (peer, 5000)}
    return is_local(scope, Headers({"host": host, **named}))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080"])
def test_a_loopback_host_is_local(host: str) -> None:
    assert admitted(host=host)
    assert admitted(peer="::1", host=host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0", "[fe80::1]"]
)
def test_any_other_host_is_not(host: str) -> None:
    assert not admitted(host=host)


@pytest.mark.parametrize("peer", [None, "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "testclient"])
def test_a_peer_elsewhere_is_not_local(peer: str | None) -> None:
    assert not admitted(peer=peer)


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-server", "forwarded"],
)
def test_what_came_through_a_proxy_is_not_local(header: str) -> None:
    assert not admitted(**{header: ""})


def test_what_a_web_page_sent_is_not_local() -> None:
    assert not admitted(origin="http://localhost:8080")
    assert not admitted(origin="null")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_json_body_may_be_keyless(media_type: str) -> None:
    assert admitted(**{**JSON_BODY, "content-type": media_type})


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "text/json", "*/*"])
def test_a_body_that_a_form_could_send_is_not_local(media_type: str) -> None:
    assert not admitted(**{**JSON_BODY, "content-type": media_type})
    assert not admitted(**{"transfer-encoding": "chunked", "content-type": media_type})


async def test_a_program_on_this_machine_needs_no_key(service: Service) -> None:
    assert (await service.local.post(CHAT, json=a_chat())).status_code == 200


async def test_where_none_is_needed_an_unknown_key_is_ignored(service: Service) -> None:
    for secret in ("sk-anything", "tw-unknown"):
        answer = await service.client(authorization=f"Bearer {secret}").post(CHAT, json=a_chat())
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "client",
    [
        {"peer": "10.0.0.9"},
        {"host": "example.com"},
        {"origin": "http://localhost:3000"},
        {"x_forwarded_for": "1.2.3.4"},
        {"peer": "10.0.0.9", "authorization": "Bearer sk-anything"},
        {"peer": "10.0.0.9", "authorization": "Bearer tw-unknown"},
        {"peer": "10.0.0.9", "authorization": "Bearer "},
        {"peer": "10.0.0.9", "authorization": "Basic dTpw"},
    ],
    ids=str,
)
async def test_in_every_other_case_a_key_is_needed(service: Service, client: dict[str, str]) -> None:
    response = await service.client(**client).post(CHAT, json=a_chat())
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_who_may_not_call_learns_nothing_of_the_body(service: Service) -> None:
    response = await service.client("10.0.0.9").post(CHAT, content=b"{")
    assert response.status_code == 401


async def test_with_required_a_local_program_needs_a_key_too(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"auth": "required"})) as running:
        assert (await running.local.post(CHAT, json=a_chat())).status_code == 401
        assert (await running.local.get("/v1/models")).status_code == 401
        assert (await running.with_key(peer="127.0.0.1").post(CHAT, json=a_chat())).status_code == 200


async def test_health_never_needs_a_key(service: Service) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await service.client("10.0.0.9", host="example.com").get(path)).status_code == 200


async def test_a_key_opens_from_anywhere_and_its_segment_is_booked(service: Service) -> None:
    client = service.with_key("elsewhere", segment="plus")
    response = await client.post(CHAT, json=a_chat())
    booked = await service.booked(response.headers["x-request-id"])
    assert (booked["segment"], booked["country"], booked["key_id"] is not None) == ("plus", "ZZ", True)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        (Scope.FEEDBACK, "POST", CHAT, a_chat()),
        (Scope.CHAT, "POST", "/v1/feedback", {}),
        (Scope.CHAT, "POST", "/v1/revenue-events", []),
        (Scope.CHAT, "GET", "/metrics", None),
    ],
)
async def test_a_key_without_the_scope_is_forbidden(
    service: Service, scope: Scope, method: str, path: str, body: Any
) -> None:
    response = await service.with_key(f"only-{scope}-{path}", scope).request(method, path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("scope", "path"), [(Scope.METRICS, "/metrics"), (Scope.CHAT, "/v1/models")])
async def test_a_key_with_the_scope_is_let_in(service: Service, scope: Scope, path: str) -> None:
    assert (await service.with_key(f"may-{scope}", scope).get(path)).status_code == 200


async def test_a_key_may_be_bound_to_tiers(service: Service) -> None:
    client = service.with_key("fast-only", tiers=(Tier.FAST,))
    refused = await client.post(CHAT, json=a_chat("reasoning"))
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "model")
    wished = await client.post(CHAT, json=a_chat("auto", reasoning_effort="high"))
    assert (wished.status_code, wished.headers["x-tierwise-tier"]) == (200, "fast")


async def test_only_an_assigning_key_may_name_segment_and_country(service: Service) -> None:
    headers = {"x-tierwise-segment": "plus", "x-tierwise-country": "us", "x-tierwise-surface": "voice"}
    for client, expected in (
        (service.with_key("plain"), ("default", "ZZ")),
        (service.local, ("default", "ZZ")),
        (service.with_key("assigning", Scope.CHAT, Scope.ASSIGN), ("plus", "US")),
    ):
        response = await client.post(CHAT, json=a_chat(), headers=headers)
        booked = await service.booked(response.headers["x-request-id"])
        assert (booked["segment"], booked["country"]) == expected


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-tierwise-segment", "Free Users"), ("x-tierwise-country", "USA"), ("x-tierwise-surface", "a/b")],
)
async def test_a_segment_or_country_that_cannot_be_is_refused_by_name(
    service: Service, header: str, value: str
) -> None:
    client = service.with_key(f"assigns-{header}", Scope.CHAT, Scope.ASSIGN)
    response = await client.post(CHAT, json=a_chat(), headers={header: value})
    assert (response.status_code, response.json()["error"]["param"]) == (400, header)


async def test_a_revoked_key_is_soon_refused(service: Service) -> None:
    client = service.with_key("soon-gone")
    assert (await client.get("/v1/models")).status_code == 200
    keys.revoke(service.engine, "soon-gone", now_us=2)
    await service.until_status(client, 401)
