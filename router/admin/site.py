"""The admin plane as an application: each page, its changes and its JSON. `router.admin.entrance` makes it.

Pages are blocking functions (`router.admin.page`); they run in threads, behind `ErrorPages` and `VisitReader`.
"""

import os
from collections.abc import Mapping
from functools import partial
from io import StringIO

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from router.admin.assets import ASSETS
from router.admin.auth.endpoints import AuthEndpoints
from router.admin.auth.sign_in import SignIn
from router.admin.entrance import to_start
from router.admin.middleware import OPERATOR_ERRORS, ErrorPages
from router.admin.page import CsvFile, Done, DoneInPlace, FormAction, JsonFeed, Page, Visit
from router.admin.queries import made_up
from router.admin.registry import PAGES
from router.admin.rendering import render
from router.admin.responses import clear_flash, flash, json_answer, json_error, read_flash, sentence
from router.admin.services import Services
from router.admin.visits import VisitReader
from router.api.browser.headers import SecurityHeaders, sealing_headers
from router.ledger.export import write_csv
from router.reports.stamp import COLUMNS as STAMP_COLUMNS
from router.reports.stamp import Stamp

# Plotly puts one style for maps into every page, which no chart here uses: let in by its content and nothing else.
PLOTLY_MAPS = "sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="


def site_of(services: Services, environ: Mapping[str, str] = os.environ) -> ASGIApp:
    """Make the application that is mounted at /admin."""
    sign_in = SignIn.of(services, environ)
    server, admin = services.settings.server, services.settings.admin
    names = frozenset({server.host.lower(), *(name.lower() for name in admin.hosts)})
    visits = VisitReader(services, sign_in)
    error_pages, auth_endpoints = ErrorPages(visits, names), AuthEndpoints(visits, sign_in, admin.session_hours * 3_600)
    routes: list[BaseRoute] = [
        Route("/", error_pages.page(to_start)),
        Route("/sign-in", error_pages.page(auth_endpoints.sign_in), methods=["GET", "POST"]),
        Route("/sign-out", error_pages.page(auth_endpoints.sign_out), methods=["POST"]),
        Route("/zone", error_pages.page(auth_endpoints.choose_zone), methods=["POST"]),
        Route("/made-up", error_pages.page(auth_endpoints.choose_made_up), methods=["POST"]),
        Route("/static/{version}/{name:path}", error_pages.page(auth_endpoints.asset)),
    ]
    for page in PAGES:
        routes.append(Route(f"/{page.address}", error_pages.page(partial(_show, visits, page))))
        if page.csv is not None:
            saving = error_pages.page(partial(_save, visits, page, page.csv))
            routes.append(Route(f"/{page.address}.csv", saving))
        for act in page.acts:
            acting = error_pages.page(partial(_act, visits, page, act))
            routes.append(Route(f"/{page.address}/{act.name}", acting, methods=["POST"]))
        for feed in page.feeds:
            feeding = error_pages.feed(partial(_feed, visits, feed))
            routes.append(Route(f"/api/{feed.path}", feeding, methods=[feed.method]))
    routes.append(Route("/{path:path}", error_pages.page(auth_endpoints.nothing), methods=["GET", "POST"]))
    return SecurityHeaders(Starlette(routes=routes), sealing_headers(f"'self' '{PLOTLY_MAPS}'"))


async def _show(visits: VisitReader, page: Page, request: Request) -> Response:
    return await _write_page(visits, request, page, await visits.visit(request))


async def _act(visits: VisitReader, page: Page, act: FormAction, request: Request) -> Response:
    visit = await visits.visit(request, changes=True)
    try:
        outcome = await visits.aside(act.run, visit)
    except OPERATOR_ERRORS as error:
        return await _write_page(
            visits, request, page, visit, error=sentence(error), status=getattr(error, "status", 422)
        )
    match outcome:
        case Done(message, to):
            response: Response = RedirectResponse(f"/admin/{to}", 303)
            flash(response, request, message)
        case DoneInPlace(context):
            response = await _write_page(visits, request, page, visit, more=context)
    return response


async def _feed(visits: VisitReader, feed: JsonFeed, request: Request) -> Response:
    visit = await visits.visit(request, changes=feed.changes)
    try:
        return json_answer(await visits.aside(feed.run, visit))
    except OPERATOR_ERRORS as error:
        return json_error(error, getattr(error, "status", 422))


async def _save(visits: VisitReader, page: Page, file: CsvFile, request: Request) -> Response:
    """Answer with a page's figures as a file; the last columns of each row say of what and when it is."""
    visit = await visits.visit(request)

    def write() -> str:
        found = file.run(visit)
        stamp = Stamp.of(visit.services.engine, found.window)
        columns, text, said = (*found.columns, *STAMP_COLUMNS), StringIO(newline=""), stamp.cells()
        write_csv(([{**row, **said}[column] for column in columns] for row in found.rows), text, columns)
        return text.getvalue()

    headers = {"content-disposition": f'attachment; filename="tierwise-{page.name}.csv"'}
    return Response(await visits.aside(write), headers=headers, media_type="text/csv; charset=utf-8")


async def _write_page(
    visits: VisitReader,
    request: Request,
    page: Page,
    visit: Visit,
    *,
    error: str = "",
    status: int = 200,
    more: Mapping[str, object] | None = None,
) -> Response:
    """Write a page, with the message that the last change left for it."""
    notice = read_flash(request)

    def write() -> str:
        context = {**page.show(visit), **(more or {})}
        frame = _frame(visit, page) | {"notice": notice, "error": error, "given": visit.given}
        return render(f"{page.name}.html", **(frame | context))

    response = HTMLResponse(await visits.aside(write), status)
    if notice:
        clear_flash(response)
    return response


def _frame(visit: Visit, page: Page) -> dict[str, object]:
    """What the frame around every page needs."""
    return {
        "title": page.title,
        "page": page,
        "pages": [listed for listed in PAGES if listed.is_listed],
        "visit": visit,
        "zone": visit.zone,
        "zone_name": visit.zone_name,
        "csrf": visit.session.csrf,
        "has_script": f"{page.name}.js" in ASSETS.names,
        "made_up": made_up.read(visit.services.engine, visit.with_made_up),
    }
