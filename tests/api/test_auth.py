from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers

from router import keys
from router.api.auth import is_local
from router.keys import Scope
from router.types import Tier
from tests.api.service import CHAT, Service, a_chat, serving, settings_of

JSON_BODY = {"content-length": "2", "content-type": "application/json"}


def admitted(
    peer: str | None = "127.0.0.1", host: str = "localhost:8080", *, version: str = "1.1", **headers: str
) -> bool:
    named = Headers({"host": host, **headers})
    scope = {"client": None if peer is None else (peer, 5000), "http_version": version, "headers": named.raw}
    return is_local(scope, named)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080"])
def test_a_loopback_host_is_local(host: str) -> None:
    assert admitted(host=host)
    assert admitted(peer="::1", host=host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0", "[fe80::1]"),
        *("localhost.", "127.0.0.1.", "localhost:", "localhost:http", "localhost:99999", "localhost:80:80"),
        *("::1", "[::1", "[127.0.0.1]", "[::1%eth0]", "[::1]x", "user@localhost", "localhost/", "localhost "),
        *("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost,localhost"),
    ],
)
def test_any_other_host_is_not(host: str) -> None:
    assert not admitted(host=host)


@pytest.mark.parametrize("peer", [None, "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "testclient"])
def test_a_peer_elsewhere_is_not_local(peer: str | None) -> None:
    assert not admitted(peer=peer)


@pytest.mark.parametrize(
    "header",
    [
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-anything"),
        *("forwarded", "x_forwarded_for", "X_Forwarded_Host", "via", "cf-ray", "cf-connecting-ip", "true-client-ip"),
        *("x-client-ip", "x-real-ip", "x_real_ip", "x-original-host", "x-original-url", "x-original-forwarded-for"),
        *("x-cluster-client-ip", "x-envoy-external-address", "cdn-loop"),
    ],
)
def test_what_came_through_a_proxy_is_not_local(header: str) -> None:
    assert not admitted(**{header: ""})


def test_what_speaks_the_protocol_of_a_bare_proxy_is_not_local() -> None:
    assert not admitted(version="1.0")


def test_of_two_host_headers_none_counts() -> None:
    twice = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert not is_local({"client": ("127.0.0.1", 1), "http_version": "1.1", "headers": twice}, {"host": "localhost"})


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


@pytest.mark.parametrize("header", ["authorization", "x_api_key"])
async def test_where_none_is_needed_what_is_no_key_of_ours_is_ignored(service: Service, header: str) -> None:
    value = "Bearer sk-anything" if header == "authorization" else "sk-anything"
    assert (await service.client(**{header: value}).post(CHAT, json=a_chat())).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer tw-unknown"},
        {"x_api_key": "tw-unknown"},
        {"authorization": "Bearer sk-other", "x_api_key": " tw-unknown"},
    ],
    ids=str,
)
async def test_a_key_of_our_form_that_is_unknown_is_refused_on_this_machine_too(
    service: Service, headers: dict[str, str]
) -> None:
    response = await service.client(**headers).post(CHAT, json=a_chat())
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_key_that_cannot_be_checked_is_neither_right_nor_wrong(
    fresh: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object) -> None:
        raise OperationalError("", None, Exception("away"))

    monkeypatch.setattr(keys, "valid_keys", away)
    response = await fresh.client(authorization="Bearer tw-unknown").post(CHAT, json=a_chat())
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")


async def test_what_needs_no_key_may_chat_rate_and_read_metrics_and_book_no_revenue(service: Service) -> None:
    assert (await service.local.get("/metrics")).status_code == 200
    assert (await service.local.post("/v1/feedback", json={})).status_code == 400
    assert (await service.local.post("/v1/revenue-events", json=[])).status_code == 403


async def test_once_there_is_a_key_every_request_needs_one(fresh: Service) -> None:
    assert (await fresh.local.get("/v1/models")).status_code == 200
    key = fresh.key("first")
    await fresh.until_status(fresh.local, 401)
    assert (await fresh.local.post(CHAT, json=a_chat())).status_code == 401
    assert (await fresh.client(authorization=f"Bearer {key}").post(CHAT, json=a_chat())).status_code == 200
    keys.revoke(fresh.engine, "first", now_us=2)
    await fresh.until_status(fresh.local, 200)
    assert (await fresh.client(authorization=f"Bearer {key}").post(CHAT, json=a_chat())).status_code == 401


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


async def test_a_key_opens_from_anywhere_and_its_segment_is_booked(keyed: Service) -> None:
    client = keyed.with_key("elsewhere", segment="plus")
    response = await client.post(CHAT, json=a_chat())
    booked = await keyed.booked(response.headers["x-request-id"])
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
    keyed: Service, scope: Scope, method: str, path: str, body: Any
) -> None:
    response = await keyed.with_key(f"only-{scope}-{path}", scope).request(method, path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("scope", "path"), [(Scope.METRICS, "/metrics"), (Scope.CHAT, "/v1/models")])
async def test_a_key_with_the_scope_is_let_in(keyed: Service, scope: Scope, path: str) -> None:
    assert (await keyed.with_key(f"may-{scope}", scope).get(path)).status_code == 200


async def test_a_key_may_be_bound_to_tiers(keyed: Service) -> None:
    client = keyed.with_key("fast-only", tiers=(Tier.FAST,))
    refused = await client.post(CHAT, json=a_chat("reasoning"))
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "model")
    wished = await client.post(CHAT, json=a_chat("auto", reasoning_effort="high"))
    assert (wished.status_code, wished.headers["x-tierwise-tier"]) == (200, "fast")


async def test_only_an_assigning_key_may_name_segment_and_country(keyed: Service) -> None:
    headers = {"x-tierwise-segment": "plus", "x-tierwise-country": "us", "x-tierwise-surface": "voice"}
    for client, expected in (
        (keyed.with_key("plain"), ("default", "ZZ")),
        (keyed.local, ("default", "ZZ")),
        (keyed.with_key("assigning", Scope.CHAT, Scope.ASSIGN), ("plus", "US")),
    ):
        response = await client.post(CHAT, json=a_chat(), headers=headers)
        booked = await keyed.booked(response.headers["x-request-id"])
        assert (booked["segment"], booked["country"]) == expected


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-tierwise-segment", "Free Users"), ("x-tierwise-country", "USA"), ("x-tierwise-surface", "a/b")],
)
async def test_a_segment_or_country_that_cannot_be_is_refused_by_name(keyed: Service, header: str, value: str) -> None:
    client = keyed.with_key(f"assigns-{header}", Scope.CHAT, Scope.ASSIGN)
    response = await client.post(CHAT, json=a_chat(), headers={header: value})
    assert (response.status_code, response.json()["error"]["param"]) == (400, header)


async def test_a_revoked_key_is_soon_refused(keyed: Service) -> None:
    client = keyed.with_key("soon-gone")
    assert (await client.get("/v1/models")).status_code == 200
    keys.revoke(keyed.engine, "soon-gone", now_us=2)
    await keyed.until_status(client, 401)
