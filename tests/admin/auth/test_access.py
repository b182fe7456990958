"""Who gets in, who does not, and what is written down of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from router.admin.auth.access import SignInRate
from router.database.engine import open_engine
from router.errors import RateLimited
from router.settings import WrongSetting
from tests.admin.visitors import PAGES, URL, Plane, Visitor, plane
from tests.api.service import settings_of


@pytest.mark.parametrize("page", PAGES)
def test_without_a_session_every_page_leads_to_sign_in(stranger: Visitor, page: str) -> None:
    reply = stranger.get(f"/admin/{page}")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/admin/sign-in?next=/admin/{page}")


def test_json_without_a_session_says_so(stranger: Visitor) -> None:
    reply = stranger.get("/admin/api/overview")
    assert (reply.status_code, "signed out" in reply.json()["error"]["message"]) == (401, True)


def test_the_secret_opens_and_leads_back_to_where_one_wanted(running: Plane) -> None:
    visitor = Visitor(running, "10.0.1.1")
    reply = visitor.enter(to="/admin/prices")
    assert (reply.status_code, reply.headers["location"]) == (303, "/admin/prices")
    cookie = reply.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/admin"))
    assert "Secure" not in cookie


def test_over_tls_the_cookie_is_secure(running: Plane) -> None:
    visitor = Visitor(running, "10.0.1.2", "https://127.0.0.1:8080")
    assert "Secure" in visitor.enter().headers["set-cookie"]


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/admin//evil.example", "/admin/\\evil", ""])
def test_sign_in_leads_nowhere_else(running: Plane, to: str) -> None:
    visitor = Visitor(running, f"10.1.{len(to)}.1")
    reply = visitor.enter(to=to)
    assert reply.headers["location"] == "/admin/overview"


@pytest.mark.parametrize("secret", ["", "wrong", "tw-" + "a" * 43, "x" * 5_000])
def test_a_wrong_secret_is_refused_and_written_down(running: Plane, admin: Visitor, secret: str) -> None:
    visitor = Visitor(running, f"10.2.{len(secret) % 250}.1")
    assert visitor.enter(secret).status_code == 401
    assert any(e["act"] == "sign-in" and e["address"] == visitor_address(secret) for e in admin.audit(refused="1"))


def visitor_address(secret: str) -> str:
    return f"10.2.{len(secret) % 250}.1"


def test_a_key_of_the_data_plane_opens_no_page(running: Plane, admin: Visitor) -> None:
    made = admin.post("/admin/keys/create", {"name": "for chat", "scope_chat": "1", "tier_fast": "1"})
    secret = made.text.partition('id="secret-once">')[2].partition("<")[0]
    visitor = Visitor(running, "10.3.0.1")
    assert visitor.enter(secret).status_code == 401
    assert visitor.get("/admin/overview", authorization=f"Bearer {secret}").status_code == 303
    assert visitor.get("/v1/models", authorization=f"Bearer {secret}").status_code == 200


def test_the_admin_secret_and_its_cookie_open_no_data_plane(running: Plane, admin: Visitor) -> None:
    elsewhere = Visitor(running, "10.3.0.2")
    elsewhere.enter()
    assert elsewhere.get("/v1/models", authorization="Bearer open sesame").status_code == 401
    assert elsewhere.get("/v1/models").status_code == 401


def test_an_override_that_could_be_a_key_stops_the_start(tmp_path: Path) -> None:
    from router.app import create

    with pytest.raises(WrongSetting, match="TIERWISE_ADMIN_SECRET"):
        create(settings_of(tmp_path), {"TIERWISE_ADMIN_SECRET": "tw-something"})


def test_sign_out_ends_the_session_for_every_copy_of_the_cookie(running: Plane) -> None:
    visitor, copy = Visitor(running, "10.4.0.1"), Visitor(running, "10.4.0.1")
    visitor.enter()
    copy.cookies.update(visitor.cookies)
    assert copy.get("/admin/audit").status_code == 200
    assert visitor.post("/admin/sign-out").status_code == 303
    assert copy.get("/admin/audit").status_code == 303


def test_a_forged_cookie_is_refused_and_written_down(running: Plane, admin: Visitor) -> None:
    for cookie in ("A" * 43, "short", "~" * 43, "x" * 4_000):
        visitor = Visitor(running, "10.5.0.1")
        assert visitor.get("/admin/keys", cookie=f"tierwise_admin={cookie}").status_code == 303
    assert sum(e["act"] == "forged cookie" and e["address"] == "10.5.0.1" for e in admin.audit(refused="1")) == 4


def test_a_change_without_the_csrf_token_is_refused_and_written_down(admin: Visitor) -> None:
    for token in ("", "0" * 64):
        reply = admin.post("/admin/keys/create", {"name": "csrf", "tier_fast": "1", "csrf": token})
        assert reply.status_code == 403
    assert [e["target"] for e in admin.audit(refused="1") if e["act"] == "wrong CSRF token"][:1] == [
        "POST /admin/keys/create"
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_change_from_another_site_is_refused_even_with_the_token(admin: Visitor, headers: dict[str, str]) -> None:
    reply = admin.post("/admin/keys/create", {"name": "cross site", "tier_fast": "1"}, **headers)
    assert reply.status_code == 403
    assert admin.audit(refused="1")[0]["act"] == "cross-site request"


def test_a_sign_in_from_another_site_is_refused(running: Plane) -> None:
    assert Visitor(running, "10.6.0.1").enter(origin="https://evil.example").status_code == 403


def test_what_the_own_pages_send_is_taken(admin: Visitor) -> None:
    fields = {"name": "same site", "tier_fast": "1"}
    assert admin.post("/admin/keys/create", fields, origin=URL, sec_fetch_site="same-origin").status_code == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/admin/keys/create", {"name": "no", "tier_fast": "1"}),
        ("/admin/keys/budget", {"scope": "total", "period": "day", "limit_usd": "1"}),
        ("/admin/prices/put", {"model": "a/b", "input": "1", "output": "1", "note": "no"}),
        ("/admin/revenue/save", {"segment": "default"}),
    ],
)
def test_a_viewers_changes_are_refused_and_written_down(
    viewer: Visitor, admin: Visitor, path: str, fields: dict[str, str]
) -> None:
    reply = viewer.post(path, fields)
    assert (reply.status_code, "administrator" in reply.text) == (403, True)
    newest = next(e for e in admin.audit(refused="1") if e["target"] == f"POST {path}" and e["actor"] == "Vic")
    assert (newest["act"], newest["role"]) == ("a viewer's change", "viewer")


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page(viewer: Visitor, page: str) -> None:
    assert viewer.get(f"/admin/{page}").status_code == 200


def test_a_viewer_is_offered_no_changes(viewer: Visitor) -> None:
    for page in ("prices", "revenue", "keys"):
        found = viewer.get(f"/admin/{page}").text
        assert 'action="/admin/' + page not in found or 'method="post" action="/admin/' + page not in found


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""])
def test_a_name_that_is_not_ours_is_refused_for_it_may_be_rebound(admin: Visitor, host: str) -> None:
    assert admin.get("/admin/overview", host=host).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.168.1.4", "tierwise.example"])
def test_addresses_localhost_and_configured_names_are_answered(tmp_path: Path, host: str) -> None:
    with plane(tmp_path, admin={"hosts": ["Tierwise.example"]}) as found:
        assert Visitor(found, "10.0.0.1").get("/admin/sign-in", host=host).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/admin/static/x/../../../../etc/passwd",
        "/admin/static/x/..%2f..%2f..%2fetc%2fpasswd",
        "/admin/static/x/%2e%2e/%2e%2e/site.py",
        "/admin/static/x/..\\..\\site.py",
        "/admin/static/x//etc/passwd",
        "/admin/static/x/admin.css%00.js",
    ],
)
def test_tricks_with_paths_find_nothing(stranger: Visitor, path: str) -> None:
    reply = stranger.get(path)
    assert reply.status_code in (303, 404)
    assert "root:" not in reply.text


def test_a_path_trick_is_written_down(stranger: Visitor, admin: Visitor) -> None:
    stranger.get("/admin/static/x/..%2f..%2fsite.py")
    assert any(e["act"] == "path trick" and e["address"] == "10.0.0.3" for e in admin.audit(refused="1"))


def wrong(rate: SignInRate, address: str, times: int = 1) -> float:
    """Try a wrong secret; returns how long the last try had to wait."""
    waited_s = 0.0
    for _ in range(times):
        waited_s = rate.begin(address)
        rate.end(address, is_right=False)
    return waited_s


def test_too_many_wrong_tries_are_refused_and_other_addresses_go_on() -> None:
    rate = SignInRate(3, 100)
    wrong(rate, "10.9.0.1", 3)
    with pytest.raises(RateLimited, match="your address"):
        rate.begin("10.9.0.1")
    assert wrong(rate, "10.9.0.2") == 0


def test_right_secrets_do_not_count() -> None:
    rate = SignInRate(3, 5)
    for address in ("10.9.0.1", "127.0.0.1"):
        for _ in range(50):
            assert rate.begin(address) == 0
            rate.end(address, is_right=True)


def test_tries_that_are_being_looked_at_count_until_they_are_right() -> None:
    rate = SignInRate(3, 100)
    for _ in range(3):
        rate.begin("10.9.0.1")
    with pytest.raises(RateLimited):
        rate.begin("10.9.0.1")
    rate.end("10.9.0.1", is_right=True)
    rate.begin("10.9.0.1")


def test_wrong_tries_are_forgotten_after_a_while() -> None:
    now = 0.0
    rate = SignInRate(3, 100, clock=lambda: now)
    wrong(rate, "10.9.0.1", 3)
    now = 901.0
    assert wrong(rate, "10.9.0.1") == 0


def test_an_ipv6_network_counts_as_one_address() -> None:
    rate = SignInRate(2, 100)
    wrong(rate, "2001:db8::1")
    wrong(rate, "2001:db8::2")
    with pytest.raises(RateLimited):
        rate.begin("2001:db8::3")


def test_this_machine_is_one_address_that_is_slowed_down_and_never_shut() -> None:
    now = 100.0
    rate = SignInRate(3, 1_000, pace_s=1.0, clock=lambda: now)
    for address in ("127.0.0.1", "127.0.0.2", "::1"):
        assert wrong(rate, address) == 0
    assert wrong(rate, "::ffff:127.0.0.1") == 0
    assert wrong(rate, "127.0.0.1") == 1
    assert wrong(rate, "127.0.0.1") == 2
    with pytest.raises(RateLimited, match="soon"):
        wrong(rate, "127.0.0.1", 100)
    now += 60
    assert rate.begin("127.0.0.1") == 0


def test_many_wrong_tries_from_everywhere_slow_down_who_was_wrong_and_nobody_else() -> None:
    now = 100.0
    rate = SignInRate(10, 4, clock=lambda: now)
    for last in range(4):
        wrong(rate, f"10.9.1.{last}")
    wrong(rate, "10.9.1.1")
    assert wrong(rate, "10.9.1.1") > 0
    assert wrong(rate, "10.9.1.77") == 0


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane of its own for many wrong tries: so many a minute are written down."""
    with plane(tmp_path_factory.mktemp("apart")) as found:
        yield found


def test_a_browser_that_was_here_is_not_locked_out_with_its_address(apart: Plane) -> None:
    team, attacker = Visitor(apart, "10.9.3.1"), Visitor(apart, "10.9.3.1")
    assert team.enter().status_code == 303
    assert [attacker.enter("wrong").status_code for _ in range(11)][-1] == 429
    assert team.enter().status_code == 303
    assert Visitor(apart, "10.9.3.1").enter().status_code == 429


@pytest.mark.parametrize("made_up", ["x", "x.y", ".", "a" * 500, "tok.0000"])
def test_what_a_browser_is_known_by_cannot_be_made_up(apart: Plane, made_up: str) -> None:
    visitor = Visitor(apart, "10.9.4.1")
    visitor.cookies.set("tierwise_known", made_up)
    statuses = [visitor.enter("wrong").status_code for _ in range(11)]
    assert statuses[-1] == 429


def test_a_browser_that_was_here_guesses_no_more_than_others(apart: Plane) -> None:
    visitor = Visitor(apart, "10.9.5.1")
    visitor.enter()
    assert [visitor.enter("wrong").status_code for _ in range(11)] == [401] * 10 + [429]


def test_the_rate_limit_answers_429_and_when_to_come_back(running: Plane) -> None:
    visitor = Visitor(running, "10.9.2.1")
    statuses = [visitor.enter("wrong").status_code for _ in range(11)]
    reply = visitor.enter("open sesame")
    assert statuses == [401] * 10 + [429]
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "900")


def test_the_pages_can_be_turned_off(tmp_path: Path) -> None:
    with plane(tmp_path, admin={"enabled": False}) as found:
        assert Visitor(found).get("/admin/sign-in").status_code == 404


def test_every_answer_is_sealed(admin: Visitor, stranger: Visitor) -> None:
    for reply in (admin.get("/admin/overview"), stranger.get("/admin/sign-in"), stranger.get("/admin/nothing")):
        policy = reply.headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["cache-control"] == "no-store"


def test_only_hashes_of_tokens_are_stored(running: Plane, admin: Visitor) -> None:
    token = str(admin.cookies["tierwise_admin"])
    engine = open_engine(f"sqlite:///{running.directory}/books.db")
    with engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM admin_sessions")).all())
    engine.dispose()
    assert token not in stored
    assert "open sesame" not in stored


def test_what_a_form_may_send_is_bounded(admin: Visitor) -> None:
    assert admin.post("/admin/keys/create", {"name": "x" * 400_000}).status_code == 413
    many = {f"f{i}": "1" for i in range(300)}
    assert admin.post("/admin/keys/create", many).status_code == 400
