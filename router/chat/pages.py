"""GET /chat and the door before it: signing in with a key, signing out, and the files that the page loads."""

import re
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from router.api.auth import headers_of
from router.api.body import ClientGone, read_body
from router.api.browser.access import Refused
from router.api.browser.assets import SHARED, Assets
from router.chat.access import CSRF_HEADER, PATH, SessionAuthenticator, Visitor, cookie_of
from router.errors import InvalidRequest, RequestError, RouterError
from router.keys import Scope as KeyScope
from router.reports.rendering import environment_of
from router.types import Tier

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_FORM_BYTES = 8 * 1024
ANSWER_ID = re.compile(r"resp_[0-9a-f]{32}")  # of a background answer that a link leads to
FOREIGN = ("cross-site", "same-site")  # what Sec-Fetch-Site says of a link at another origin
ASSETS = Assets(f"{PATH}/static", SHARED, Path(__file__).parent / "static")

Endpoint = Callable[[Request], Awaitable[Response]]


class ChatOffers(NamedTuple):
    """What the page offers beside answers: work in the background, and mail once it is done."""

    jobs: bool
    mail: bool


class ChatPages:
    """The page, its door and its files."""

    def __init__(self, sessions: SessionAuthenticator, offers: ChatOffers, read_timeout_s: float) -> None:
        self._sessions = sessions
        self._offers = offers
        self._read_timeout_s = read_timeout_s

    async def show(self, request: Request) -> Response:
        """Show the page to whoever has a session or needs no key, and the door to everybody else."""
        self._sessions.require_our_page({"host": request.headers.get("host", "")}, changes=False)
        visitor = await self._sessions.visitor(request.scope)
        if visitor is not None:
            return await self._page(visitor)
        if cookie_of(request.scope) not in request.cookies and request.headers.get("sec-fetch-site") in FOREIGN:
            # The browser keeps the cookie back from who follows a link elsewhere; a request of our own page brings it.
            again = _with_answer(request.query_params.get("answer", ""))
            body = await to_thread(lambda: render("again.html", again=again))
            return HTMLResponse(body, headers={"refresh": f"0; url={again}"})
        if not await self._sessions.is_open(request.scope):
            return await self._door(request.query_params.get("answer", ""))
        visitor = await self._sessions.open_without_key()
        response = await self._page(visitor)
        self._sessions.set_cookie(response, request, visitor.token)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Begin a session with the key that was typed in; always a new one, whatever cookie came with it."""
        self._sessions.require_our_page(headers_of(request.scope), changes=True)
        form = await self._form(request)
        answer = form.get("answer", "")
        try:
            visitor = await self._sessions.open_with_key(form.get("key", "").strip())
        except RequestError as error:
            return await self._door(answer, error.message, error.status)
        response = RedirectResponse(_with_answer(answer), 303)
        self._sessions.set_cookie(response, request, visitor.token)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session in all workers."""
        csrf = (await self._form(request)).get("csrf", "")
        scope = {**request.scope, "headers": [*request.scope["headers"], (CSRF_HEADER.encode(), csrf.encode())]}
        await self._sessions.admit(scope)
        await self._sessions.end(scope)
        response = RedirectResponse(PATH, 303)
        response.delete_cookie(cookie_of(scope), path="/" if scope["scheme"] == "https" else PATH)
        return response

    async def file(self, request: Request) -> Response:
        """Send a file of the closed list."""
        name, version = request.path_params["name"], request.path_params["version"]
        return await to_thread(ASSETS.response, name, version, request.headers.get("accept-encoding", ""))

    async def _page(self, visitor: Visitor) -> HTMLResponse:
        caller = visitor.caller
        return HTMLResponse(
            await to_thread(
                lambda: render(
                    "chat.html",
                    csrf=visitor.csrf,
                    key_name=visitor.key_name,
                    tiers=[tier for tier in Tier if tier in caller.allowed_tiers],
                    may_rate=KeyScope.FEEDBACK in caller.scopes,
                    offers=self._offers,
                )
            )
        )

    async def _door(self, answer: str = "", error: str = "", status: int = 200) -> Response:
        """Show the door; `answer` is the background answer that somebody came for."""
        return HTMLResponse(await to_thread(lambda: render("door.html", error=error, answer=answer)), status)

    async def _form(self, request: Request) -> dict[str, str]:
        body = await read_body(
            request.scope, request.receive, max_bytes=MOST_FORM_BYTES, timeout_s=self._read_timeout_s
        )
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10, errors="strict"))
        except ValueError:
            raise InvalidRequest("the form cannot be read") from None


def _with_answer(answer: str) -> str:
    """The page's address, with the background answer that it shows first, if that is one."""
    return f"{PATH}?answer={answer}" if ANSWER_ID.fullmatch(answer) else PATH


def as_page(endpoint: Endpoint) -> Endpoint:
    """Turn what an endpoint raises into a page that says it."""

    async def page_or_error(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientGone:
            return Response(status_code=400)
        except RouterError as error:
            failed = error
        is_elsewhere = isinstance(failed, Refused) and failed.act == "unknown host"
        body = await to_thread(lambda: render("error.html", error=failed.message, has_page=not is_elsewhere))
        return HTMLResponse(body, failed.status, dict(failed.headers()))

    return page_or_error


def render(template: str, **context: object) -> str:
    """Write a page; everything is escaped. Blocks for some milliseconds."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> "Environment":
    environment = environment_of("router.chat")
    environment.globals["asset"] = ASSETS.url
    return environment
