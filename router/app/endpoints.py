"""What answers at which address: the endpoints of the data plane, the admin pages, and the page at /chat."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from router.admin import entrance as admin
from router.api.aliases import Aliases
from router.api.auth import Authenticator
from router.api.chat.endpoint import Chat
from router.api.completions import Completions
from router.api.embeddings import Embeddings
from router.api.feedback import FeedbackEndpoint, RevenueEndpoint
from router.api.guide.endpoint import Docs, Document, Guide
from router.api.health import Live, Ready, Scrape
from router.api.messages.endpoint import CountTokens, Messages
from router.api.models import ModelListing, Models
from router.api.quotes import QuoteEndpoint
from router.api.responses.endpoint import Responses
from router.api.responses.jobs import JOB_ACTS, JobEndpoint
from router.api.responses.stored import StoredEndpoint
from router.api.routes import ROUTES, HttpRoute
from router.api.shutdown import Shutdown
from router.api.usage import UsageEndpoint
from router.app.answering import Answering
from router.app.bookkeeping import Bookkeeping
from router.app.deciding import Deciding
from router.app.followed import Followed
from router.app.ground import Ground
from router.app.watching import Watching
from router.chat import site as chat
from router.chat.pages import ChatOffers
from router.reports.usage import usage_of_keys
from router.settings import RESERVED_NAMES

if TYPE_CHECKING:
    from router.admin.services import Services

HTTP_ROUTES = (
    *ROUTES,
    *(HttpRoute(method, path, "none", summary) for method, path, summary in (*chat.ROUTES, *admin.ROUTES)),
)
Endpoints = Mapping[tuple[str, str], ASGIApp]  # by method and address


class WorkerParts(NamedTuple):
    """The parts of a worker, each of which endpoints ask."""

    ground: Ground
    followed: Followed
    ledger: Bookkeeping
    deciding: Deciding
    answering: Answering
    watching: Watching
    shutdown: Shutdown


def routes_of(parts: WorkerParts) -> list[BaseRoute]:
    """Make all routes. Raises WrongSetting for admin pages or a page at /chat that cannot work."""
    ground, answering = parts.ground, parts.answering
    settings, authenticator = ground.settings, Authenticator(parts.followed.keys, ground.settings.server.auth)
    aliases = Aliases(settings.aliases, RESERVED_NAMES | settings.models.keys())
    listed = ModelListing.of_lineup(parts.deciding.lineup, aliases)

    def endpoints_for(way_in: Authenticator) -> Endpoints:
        return _endpoints_of_answers(parts, way_in, aliases, listed)

    endpoints = {
        **{(method, f"/v1{path}"): at for (method, path), at in endpoints_for(authenticator).items()},
        **_endpoints_of_programs(parts, authenticator, aliases, listed),
        **_endpoints_about_the_server(parts, authenticator),
    }
    routes: list[BaseRoute] = [Route(path, at, methods=[method]) for (method, path), at in endpoints.items()]
    routes += admin.admin_routes(settings, partial(_services_of_pages, parts), ground.environ)
    work = answering.work
    offers = ChatOffers(jobs=work is not None, mail=work is not None and settings.jobs.mail is not None)
    way_to_chat = chat.ChatParts(ground.books.engine, parts.followed.keys, ground.clock.now_us, endpoints_for, offers)
    return routes + chat.chat_routes(settings, way_to_chat)


def _endpoints_of_answers(
    parts: WorkerParts, way_in: Authenticator, aliases: Aliases, listed: list[ModelListing]
) -> Endpoints:
    """Make what both programs and the page at /chat ask, by method and address below /v1."""
    ground, answering = parts.ground, parts.answering
    server, now_us = ground.settings.server, ground.clock.now_us
    admission, dispatcher, background = answering.admission, answering.dispatcher, answering.background
    shared = way_in, admission, server
    names = {model.id for model in listed}
    stored = StoredEndpoint(answering.responses, way_in, background)
    quotes = QuoteEndpoint(
        parts.deciding.quoter,
        dispatcher.largest_costs,
        way_in,
        server,
        aliases,
        names.__contains__,
        admission.bodies,
    )
    feedback = FeedbackEndpoint(parts.ledger.feedback, way_in, server, now_us, parts.watching.learn, admission.bodies)
    acts = {act: JobEndpoint(background, act, way_in, server, admission.bodies) for act in JOB_ACTS}
    return {
        ("POST", "/chat/completions"): Chat(dispatcher, *shared, aliases, answering.idempotency, background),
        ("POST", "/responses"): Responses(
            dispatcher, *shared, answering.responses, now_us, aliases, answering.idempotency, background
        ),
        ("GET", "/responses/{response_id}"): stored,
        ("DELETE", "/responses/{response_id}"): stored,
        **{("POST", f"/responses/{{response_id}}/{act}"): at for act, at in acts.items()},
        ("POST", "/quotes"): quotes,
        ("POST", "/feedback"): feedback,
    }


def _endpoints_of_programs(
    parts: WorkerParts, authenticator: Authenticator, aliases: Aliases, listed: list[ModelListing]
) -> Endpoints:
    ground, admission, dispatcher = parts.ground, parts.answering.admission, parts.answering.dispatcher
    server, now_us = ground.settings.server, ground.clock.now_us
    shared = authenticator, admission, server, aliases
    models, names = Models(listed, authenticator, now_us() // 1_000_000), {model.id for model in listed}
    return {
        ("POST", "/v1/messages"): Messages(dispatcher, *shared),
        ("POST", "/v1/messages/count_tokens"): CountTokens(
            authenticator, server, aliases, names.__contains__, admission.bodies
        ),
        ("POST", "/v1/embeddings"): Embeddings(dispatcher, *shared),
        ("POST", "/v1/completions"): Completions(dispatcher, *shared),
        ("GET", "/v1/models"): models,
        ("GET", "/v1/models/{model:path}"): models,
        ("GET", "/v1/usage"): UsageEndpoint(usage_of_keys(ground.books.engine), authenticator, now_us),
        ("POST", "/v1/revenue-events"): RevenueEndpoint(
            parts.ledger.feedback, authenticator, server, now_us, admission.bodies
        ),
    }


def _endpoints_about_the_server(parts: WorkerParts, authenticator: Authenticator) -> Endpoints:
    ready = Ready(
        lambda: parts.ledger.shipper.state,
        lambda: parts.shutdown.is_stopping,
        lambda: parts.answering.admission.occupancy,
        parts.deciding.targets.read,
    )
    return {
        ("GET", "/"): Guide(),
        ("GET", "/v1"): Guide(),
        ("GET", "/docs"): Docs(),
        ("GET", "/openapi.json"): Document(),
        ("GET", "/health/live"): Live(),
        ("GET", "/health/ready"): ready,
        ("GET", "/metrics"): Scrape(parts.watching.machine_metrics, authenticator),
    }


def _services_of_pages(parts: WorkerParts) -> "Services":
    from router.admin.services import Services

    ground, followed, deciding = parts.ground, parts.followed, parts.deciding
    return Services(
        ground.books.engine,
        ground.settings,
        ground.clock.now_us,
        followed.policies,
        deciding.routing,
        ground.books.prices,
        deciding.quoter,
        parts.answering.dispatcher.largest_costs,
        lambda: parts.ledger.shipper.state,
        lambda: followed.artifacts.at_hand(followed.policies.active.classifier),
        parts.ledger.canaries.verdict_on,
        deciding.targets.read,
    )
