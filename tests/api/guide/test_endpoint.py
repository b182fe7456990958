import re

import httpx
import pytest

from tests.api.service import CHAT, Service, a_chat

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PATHS = ("/", "/v1", "/docs", "/openapi.json")


@pytest.mark.parametrize("path", ["/", "/v1"])
async def test_programs_are_told_where_things_are(service: Service, path: str) -> None:
    response = await service.local.get(path)
    told = response.json()
    assert (response.status_code, told["docs"], told["openapi"]) == (200, "/docs", "/openapi.json")
    assert ("POST", CHAT) in {(one["method"], one["path"]) for one in told["endpoints"]}


@pytest.mark.parametrize("path", ["/", "/v1", "/docs"])
async def test_browsers_get_a_page(service: Service, path: str) -> None:
    response = await service.local.get(path, headers=BROWSER)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert CHAT in response.text


async def test_a_page_runs_no_script_and_loads_nothing(service: Service) -> None:
    page = await service.local.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script|<img|<link|<iframe|\bon\w+=|\bstyle=", page.text)
    assert set(re.findall(r'(?:href|src)="([^"#][^"]*)"', page.text)) == {"/openapi.json", "/admin"}


@pytest.mark.parametrize("path", PATHS)
async def test_it_says_the_same_to_everybody_and_nothing_of_this_server(service: Service, path: str) -> None:
    here, there = await service.local.get(path), await service.client("203.0.113.9").get(path)
    assert (here.status_code, here.content) == (200, there.content)
    for secret in ("scripted", str(service.settings.state_dir), service.settings.database_url, "fail-429"):
        assert secret not in here.text


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/chat/completion", "POST /v1/chat/completions"),
        ("/chat/completions", "POST /v1/chat/completions"),
        ("/v1/v1/chat/completions", "POST /v1/chat/completions"),
        ("/api/v1/chat/completions", "POST /v1/chat/completions"),
        ("/v1/Chat/Completions", "POST /v1/chat/completions"),
        ("/v1/message", "POST /v1/messages"),
        ("/models", "GET /v1/models"),
        ("/v1/model", "GET /v1/models"),
        ("/helth/ready", "GET /health/ready"),
    ],
)
async def test_a_near_miss_is_told_what_was_meant(service: Service, path: str, meant: str) -> None:
    response = await service.local.post(path, json=a_chat())
    assert response.status_code == 404
    assert response.json()["error"]["message"] == f"there is no {path}; did you mean {meant}?"


async def test_what_is_like_nothing_is_sent_to_the_list(service: Service) -> None:
    response = await service.local.get("/wp-login.php")
    assert response.json()["error"]["message"] == "there is no /wp-login.php; /docs names every address"


async def test_a_wrong_method_is_told_the_right_one(service: Service) -> None:
    response = await service.local.get(CHAT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "takes POST with a JSON body" in response.json()["error"]["message"]
    response = await service.local.put("/v1/responses/resp_1")
    assert set(response.headers["allow"].split(", ")) == {"GET", "DELETE"}


async def test_a_browser_is_shown_what_is_wrong_as_a_page(service: Service) -> None:
    for path, status in (("/nowhere<script>", 404), (CHAT, 405)):
        response = await service.local.get(path, headers=BROWSER)
        assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert "<script" not in response.text
        assert "script-src" not in response.headers["content-security-policy"]
    assert "&lt;script&gt;" in (await service.local.get("/nowhere<script>", headers=BROWSER)).text


async def test_a_body_that_is_not_said_to_be_json_is_told_so_where_no_key_is_needed(service: Service) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    response = await service.local.post(CHAT, content=b"{}", headers=form)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "send content-type: application/json" in response.json()["error"]["message"]


@pytest.mark.parametrize("client", [{"peer": "203.0.113.9"}, {"origin": "http://evil.example"}, {"via": "1.1 p"}])
async def test_who_needs_a_key_anyway_is_told_of_the_key(service: Service, client: dict[str, str]) -> None:
    asker: httpx.AsyncClient = service.client(**client)
    response = await asker.post(CHAT, content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, "an API key is needed" in response.json()["error"]["message"]) == (401, True)
