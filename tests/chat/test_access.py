"""Who may ask at /chat: sessions with and without a key, and everything that another page could try."""

import re
from pathlib import Path

import pytest

from router.database.tables import Feedback
from router.keys import Scope, hash_of, revoke
from router.types import Tier
from tests.api.service import HELLO, Service, a_chat, serving, settings_of
from tests.chat.browsers import HOME, KEYLESS_ON, Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRANGER = "10.0.0.7"


async def test_the_page_is_off_until_it_is_turned_on(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path)) as service:
        assert (await service.local.get("/chat")).status_code == 404
        assert (await service.local.post("/chat/api/chat/completions", json=a_chat())).status_code == 404


async def test_on_this_machine_one_asks_without_a_key(browser: Browser) -> None:
    reply = await browser.ask()
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] == HELLO[0]["content"]


async def test_a_page_is_sealed_and_its_cookie_is_out_of_reach(open_service: Service) -> None:
    page = await Browser(open_service).open()
    assert "default-src 'none'; script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert {"HttpOnly", "SameSite=strict", "Path=/chat"} <= set(page.headers["set-cookie"].split("; "))
    assert not re.search(r"<script(?! type=\"module\" src=)|\son\w+=|style=", page.text)


@pytest.mark.parametrize(
    ("peer", "home", "header"),
    [(STRANGER, HOME, {}), ("127.0.0.1", "http://192.168.1.5:8080", {}), ("127.0.0.1", HOME, {"x_forwarded_for": "1"})],
)
async def test_elsewhere_or_behind_a_proxy_a_key_is_asked_for(
    open_service: Service, peer: str, home: str, header: dict[str, str]
) -> None:
    page = await Browser(open_service, peer, home).open(**header)
    assert "API key" in page.text
    assert "set-cookie" not in page.headers


async def test_a_session_without_a_key_is_worth_nothing_elsewhere(open_service: Service, browser: Browser) -> None:
    thief = Browser(open_service, STRANGER)
    thief.client.cookies, thief.csrf = browser.client.cookies, browser.csrf
    assert (await thief.ask()).status_code == 401


async def test_a_session_without_a_key_ends_with_the_first_key(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, **KEYLESS_ON)) as service:
        browser = Browser(service)
        await browser.open()
        assert (await browser.ask()).status_code == 200
        await service.local.get("/v1/models", headers={"authorization": f"Bearer {service.key()}"})
        assert (await browser.ask()).status_code == 401
        assert "API key" in (await browser.open()).text


async def test_with_a_key_one_asks_as_that_key_and_as_nobody_else(keyed_service: Service) -> None:
    browser = Browser(keyed_service, STRANGER)
    key = keyed_service.key("Ann's", Scope.CHAT, Scope.ASSIGN, segment="free", tiers=(Tier.FAST,))
    assert (await browser.sign_in(key)).status_code == 303
    page = await browser.open()
    assert "Ann&#39;s" in page.text
    assert 'data-tiers="fast" data-may-rate="no"' in page.text
    reply = await browser.ask(x_tierwise_segment="paid", authorization=f"Bearer {keyed_service.key('other')}")
    booked = await keyed_service.booked(reply.headers["x-request-id"])
    assert booked["segment"] == "free"
    assert (await browser.send("/chat/completions", a_chat("reasoning"))).status_code == 403


async def test_neither_the_page_nor_the_cookie_nor_the_books_hold_the_key(keyed_service: Service) -> None:
    browser, key = Browser(keyed_service, STRANGER), keyed_service.key("secret")
    reply = await browser.sign_in(key)
    token = browser.client.cookies["tierwise_chat"]
    assert key not in f"{reply.headers}{reply.text}{(await browser.open()).text}{token}"
    with keyed_service.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT token_hash, key_hash FROM chat_sessions").all()
    assert (hash_of(token), hash_of(key)) in [tuple(row) for row in rows]


@pytest.mark.parametrize("key", ["", "tw-nobody-knows-it", "sk-of-another-service"])
async def test_a_wrong_key_is_told_at_the_door(keyed_service: Service, key: str) -> None:
    browser = Browser(keyed_service, STRANGER)
    reply = await browser.sign_in(key)
    assert reply.status_code == 401
    assert "This key is unknown, revoked or expired." in reply.text
    assert "set-cookie" not in reply.headers


async def test_a_key_that_may_not_chat_opens_nothing(keyed_service: Service) -> None:
    reply = await Browser(keyed_service, STRANGER).sign_in(keyed_service.key("scraper", Scope.METRICS))
    assert (reply.status_code, "may not chat" in reply.text) == (403, True)


async def test_a_revoked_key_ends_its_sessions(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, **KEYLESS_ON)) as service:
        service.key("another")
        browser = Browser(service, STRANGER)
        await browser.sign_in(service.key("lost"))
        assert (await browser.ask()).status_code == 200
        revoke(service.engine, "lost", now_us=2)
        await service.until(lambda: _is_ended(browser))


async def _is_ended(browser: Browser) -> bool:
    return (await browser.ask()).status_code == 401


async def test_signing_out_ends_the_session_for_whoever_has_its_cookie(keyed_service: Service) -> None:
    browser = Browser(keyed_service, STRANGER)
    await browser.sign_in(keyed_service.key("leaving"))
    kept = dict(browser.client.cookies)
    assert (await browser.sign_out()).status_code == 303
    assert "tierwise_chat" not in browser.client.cookies
    browser.client.cookies.update(kept)
    assert (await browser.ask()).status_code == 401


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site"},
        {"x_csrf_token": ""},
        {"x_csrf_token": "0" * 64},
    ],
)
async def test_another_page_can_spend_nothing(browser: Browser, sent: dict[str, str]) -> None:
    assert (await browser.ask(**sent)).status_code == 403


async def test_a_request_that_names_no_origin_spends_nothing(browser: Browser) -> None:
    headers = {"x-csrf-token": browser.csrf}
    reply = await browser.client.post("/chat/api/chat/completions", json=a_chat(), headers=headers)
    assert reply.status_code == 403


async def test_a_name_that_only_resolves_to_this_machine_is_not_answered(open_service: Service) -> None:
    rebound = Browser(open_service, home="http://evil.example:8080")
    assert (await rebound.open()).status_code == 403
    assert (await rebound.ask()).status_code == 403


async def test_a_session_that_was_planted_is_never_taken_over(keyed_service: Service) -> None:
    browser = Browser(keyed_service, STRANGER)
    browser.client.cookies.set("tierwise_chat", "planted", path="/chat")
    await browser.sign_in(keyed_service.key("fixed"))
    assert [cookie.value for cookie in browser.client.cookies.jar if cookie.name == "tierwise_chat"] != ["planted"]
    assert (await browser.ask()).status_code == 200


async def test_another_site_cannot_sign_a_browser_in(keyed_service: Service) -> None:
    reply = await Browser(keyed_service, STRANGER).sign_in(keyed_service.key(), origin="https://evil.example")
    assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)


async def test_with_tls_the_cookie_is_for_this_host_alone(open_service: Service) -> None:
    page = await Browser(open_service, home="https://127.0.0.1:8080").open()
    assert page.headers["set-cookie"].startswith("__Host-tierwise_chat=")
    assert {"Secure", "Path=/"} <= set(page.headers["set-cookie"].split("; "))


async def test_a_link_at_another_site_loads_the_page_once_more(keyed_service: Service) -> None:
    page = await Browser(keyed_service, STRANGER).open(sec_fetch_site="cross-site")
    assert page.headers["refresh"] == "0; url=/chat"


async def test_who_follows_a_link_to_an_answer_is_led_there_through_the_door(keyed_service: Service) -> None:
    browser, answer = Browser(keyed_service, STRANGER), f"resp_{'0' * 32}"
    door = await browser.client.get("/chat", params={"answer": answer})
    assert f'name="answer" value="{answer}"' in door.text
    for given, wanted in ((answer, f"/chat?answer={answer}"), ("//evil.example", "/chat")):
        fields = {"key": keyed_service.key("reader"), "answer": given}
        reply = await browser.client.post("/chat/sign-in", data=fields, headers={"origin": HOME})
        assert reply.headers["location"] == wanted


async def test_thumbs_are_feedback_of_the_session(browser: Browser, open_service: Service) -> None:
    request_id = (await browser.ask()).headers["x-request-id"]
    reply = await browser.send("/feedback", {"request_id": request_id, "rating": -1})
    assert reply.status_code == 200
    assert (request_id, -1) in [(row.request_id, row.rating) for row in open_service.stored(Feedback)]


async def test_work_in_the_background_belongs_to_the_key_of_the_session(keyed_service: Service) -> None:
    owner, other = Browser(keyed_service, STRANGER), Browser(keyed_service, STRANGER)
    await owner.sign_in(keyed_service.key("owner"))
    await other.sign_in(keyed_service.key("other"))
    begun = await owner.send("/responses", {"model": "fast", "input": "Hello", "background": True, "store": True})
    assert begun.status_code == 202
    path, own = f"/chat/api/responses/{begun.json()['id']}", {"sec-fetch-site": "same-origin"}
    found = [
        (await one.client.get(path, headers=own | {"x-csrf-token": csrf})).status_code
        for one, csrf in ((owner, owner.csrf), (other, other.csrf), (owner, other.csrf))
    ]
    assert found == [200, 404, 403]


@pytest.mark.parametrize("has_mail", [True, False])
async def test_mail_is_offered_where_it_is_configured(tmp_path: Path, has_mail: bool) -> None:
    mail = {"host": "127.0.0.1", "security": "none", "sender": "us@example.org", "allowed": ["@example.org"]}
    async with serving(settings_of(tmp_path, **KEYLESS_ON, jobs={"mail": mail} if has_mail else {})) as service:
        browser = Browser(service)
        page = await browser.open()
        assert f'data-mail="{"yes" if has_mail else "no"}"' in page.text
        wish = {"recipe": "deep", "notify": {"mail": "ann@example.org"}}
        asked = {"model": "parallel", "input": "Hello", "background": True, "store": True, "x_tierwise": wish}
        assert (await browser.send("/responses", asked)).status_code == (202 if has_mail else 400)


async def test_files_come_from_a_closed_list(open_service: Service) -> None:
    assert (await open_service.local.get("/chat/static/x/markdown.js")).headers["content-type"].startswith("text/java")
    assert (await open_service.local.get("/chat/static/x/..%2f..%2fpages.py")).status_code == 404
