"""GET and DELETE /v1/responses/{id}: what was stored with an answer, or the background job that works on it."""

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from router.api.asgi import RawHeaders, answering, send_json
from router.api.auth import Authenticator
from router.api.chat.response import encode_body
from router.api.responses.background import response_of
from router.api.responses.jobs import Background, read_number, send_events
from router.api.responses.store import ResponseStore
from router.errors import InvalidRequest, NotFound
from router.keys import Scope as KeyScope

NO_STREAM = "only a background response can be streamed again; leave stream out"


class StoredEndpoint:
    """Shows or deletes a stored response, and shows, streams or deletes a job."""

    def __init__(self, store: ResponseStore, authenticator: Authenticator, background: Background | None) -> None:
        self._store = store
        self._authenticator = authenticator
        self._background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            caller.require(KeyScope.CHAT)
            response_id = scope["path_params"]["response_id"]
            if scope["method"] == "DELETE":
                await self._delete(response_id, caller.key_id)
                body = encode_body({"id": response_id, "object": "response", "deleted": True})
                await send_json(send, 200, body, headers)
            else:
                await self._show(response_id, caller.key_id, QueryParams(scope["query_string"]), send, headers)

    async def _show(
        self, response_id: str, key_id: int | None, query: QueryParams, send: Send, headers: RawHeaders
    ) -> None:
        wants_stream, background = query.get("stream") == "true", self._background
        after = read_number(query.get("starting_after")) if wants_stream else -1
        try:
            if background is None:
                raise NotFound(response_id)
            view = await background.find(response_id, key_id)
        except NotFound:
            body = await self._store.response(response_id, key_id)
            if wants_stream:
                raise InvalidRequest(NO_STREAM, param="stream", code="unsupported_parameter") from None
            await send_json(send, 200, body, headers)
            return
        if wants_stream:
            await send_events(background, view, after, send, headers)
        else:
            await send_json(send, 200, encode_body(response_of(view)), headers)

    async def _delete(self, response_id: str, key_id: int | None) -> None:
        if self._background is None or not await self._background.jobs.delete(response_id, key_id):
            await self._store.delete(response_id, key_id)
