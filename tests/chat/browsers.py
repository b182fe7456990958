"""Browsers at the page /chat of a service: what they send with a request, and what they keep."""

import re
from typing import Any

import httpx

from tests.api.service import Service, a_chat

HOME = "http://127.0.0.1:8080"
CSRF = re.compile(r'name="csrf" content="([0-9a-f]+)"')
KEYLESS_ON = {"chat": {"enabled": True}}


class Browser:
    """A browser at an address; `open` loads the page, and knows its token afterwards where it is not the door."""

    def __init__(self, service: Service, peer: str = "127.0.0.1", home: str = HOME) -> None:
        self.client = service.client(peer)
        self.client.base_url = httpx.URL(home)
        self.home = home
        self.csrf = ""

    async def open(self, **headers: str) -> httpx.Response:
        """Load the page, as a click does."""
        page = await self.client.get("/chat", headers=_named(headers))
        found = CSRF.search(page.text)
        self.csrf = found[1] if found else ""
        return page

    async def sign_in(self, key: str, **headers: str) -> httpx.Response:
        """Send the door's form, and load the page where it lets one in."""
        reply = await self.client.post("/chat/sign-in", data={"key": key}, headers=self._own() | _named(headers))
        if reply.status_code == 303:
            await self.open()
        return reply

    async def sign_out(self) -> httpx.Response:
        """Send the form that ends the session."""
        return await self.client.post("/chat/sign-out", data={"csrf": self.csrf}, headers=self._own())

    async def send(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Ask what the page's script asks."""
        sent = self._own() | {"x-csrf-token": self.csrf} | _named(headers)
        return await self.client.post(f"/chat/api{path}", json=body, headers=sent)

    async def ask(self, **headers: str) -> httpx.Response:
        """Ask a question."""
        return await self.send("/chat/completions", a_chat("auto"), **headers)

    def _own(self) -> dict[str, str]:
        return {"origin": self.home, "sec-fetch-site": "same-origin"}


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
