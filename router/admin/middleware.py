"""Stands before every endpoint: which name was asked for, and what becomes of errors."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from router.admin.auth.access import SignedOut
from router.admin.page import NotDone
from router.admin.rendering import render
from router.admin.responses import START, json_answer, json_error, sentence
from router.admin.visits import VisitReader
from router.api.body import ClientGone
from router.api.browser.access import Refused, require_known_host
from router.errors import InvalidRequest, RequestError, RouterError, Unavailable
from router.jobs.job import WrongJob
from router.keys import WrongKey
from router.money import NotMoney
from router.policies.dials import WrongPolicy
from router.reports.window import WrongWindow

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
OPERATOR_ERRORS = (
    NotDone,
    WrongKey,
    WrongJob,
    WrongPolicy,
    NotMoney,
    WrongWindow,
    RequestError,
)  # their messages are for the operator


class ErrorPages:
    """Wraps endpoints, so that each answers with a page or with JSON whatever it raised."""

    def __init__(self, visits: VisitReader, names: frozenset[str]) -> None:
        self._visits = visits
        self._names = names

    def page(self, endpoint: Endpoint) -> Endpoint:
        """Turn errors into pages; who is not signed in is sent to the sign-in page."""

        async def page_or_error(request: Request) -> Response:
            outcome = await self._call(endpoint, request)
            if isinstance(outcome, SignedOut):
                to = request.url.path if request.method == "GET" else START
                return RedirectResponse(f"/admin/sign-in?next={quote(to)}", 303)
            if isinstance(outcome, RouterError):
                body = await self._visits.aside(render, "error.html", title="Not possible", error=sentence(outcome))
                return HTMLResponse(body, outcome.status, dict(outcome.headers()))
            return outcome

        return page_or_error

    def feed(self, endpoint: Endpoint) -> Endpoint:
        """Turn errors into JSON."""

        async def json_or_error(request: Request) -> Response:
            outcome = await self._call(endpoint, request)
            if isinstance(outcome, SignedOut):
                return json_answer({"error": {"message": "You are signed out; load the page again"}}, 401)
            return json_error(outcome, outcome.status) if isinstance(outcome, RouterError) else outcome

        return json_or_error

    async def _call(self, endpoint: Endpoint, request: Request) -> Response | SignedOut | RouterError:
        """Call an endpoint; what it raised comes back as an error that can be shown."""
        try:
            require_known_host(request.headers, self._names, "admin.hosts")
            return await endpoint(request)
        except SignedOut as error:
            return error
        except Refused as error:
            await self._visits.note(request, error.act, error.message)
            return error
        except ClientGone:
            return Response(status_code=400)
        except RouterError as error:
            return error
        except OPERATOR_ERRORS as error:
            return InvalidRequest(str(error))
        except SQLAlchemyError as error:
            log.warning("the database does not answer the admin plane: %s", type(error).__name__)
            return Unavailable("the database is away; the pages come back when it does")
        except Exception:  # a bug: the operator is told that there was one, the server's log what it was
            log.exception("a page of the admin plane failed")
            return RouterError("an internal error; the server's log tells more")
