"""Somebody who is signed in at the admin pages of a service in the test's process."""

from typing import Any

import httpx

from router.admin.auth.secrets import AdminRole, AdminSecret
from tests.admin.visitors import CSRF
from tests.api.service import Service


class Operator:
    """A browser with a session: gets pages, posts forms with its token, asks what scripts ask."""

    def __init__(self, client: httpx.AsyncClient, secret: str) -> None:
        self.client = client
        self.secret = secret
        self.csrf = ""

    async def get(self, page: str) -> httpx.Response:
        """Get a page, and the token in it."""
        found = await self.client.get(f"/admin/{page}")
        if token := CSRF.search(found.text):
            self.csrf = token[1]
        return found

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        return await self.client.post(f"/admin/{path}", data={"csrf": self.csrf, **fields})

    async def done(self, path: str, **fields: str) -> str:
        """Send a form that is taken; returns where it leads."""
        found = await self.post(path, **fields)
        assert found.status_code == 303, found.text
        return found.headers["location"]

    async def ask(self, feed: str, body: Any = None) -> httpx.Response:
        """Ask what a page's script asks."""
        if body is None:
            return await self.client.get(f"/admin/api/{feed}")
        return await self.client.post(f"/admin/api/{feed}", json=body, headers={"x-csrf-token": self.csrf})

    async def told(self, feed: str, body: Any = None) -> Any:
        """The JSON of a feed that answers."""
        found = await self.ask(feed, body)
        assert found.status_code == 200, found.text
        return found.json()


async def signed_in(
    service: Service, role: AdminRole = AdminRole.ADMIN, name: str = "Ada", beside: Operator | None = None
) -> Operator:
    """Sign in with a new secret of a role, or with that of somebody who stays signed in beside."""
    secret = beside.secret if beside else AdminSecret(service.settings.state_dir, {}, role).reset()
    operator = Operator(service.client(), secret)
    found = await operator.client.post("/admin/sign-in", data={"secret": secret, "name": name})
    assert found.status_code == 303, found.text
    await operator.get("history")
    return operator
