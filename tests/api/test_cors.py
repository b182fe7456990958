from pathlib import Path

import pytest

from router.settings import ServerSettings
from tests.api.service import CHAT, Service, a_chat, serving, settings_of

PAGE = "https://chat.example.org"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-anything",
}


async def test_no_page_may_call_by_default(service: Service) -> None:
    preflight = await service.local.options(CHAT, headers={"origin": PAGE, **PREFLIGHT})
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_pages_of_configured_origins_may_call_with_a_key(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"cors_origins": [f"{PAGE}/"]})) as service:
        preflight = await service.local.options(CHAT, headers={"origin": PAGE, **PREFLIGHT})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "x-anything" in preflight.headers["access-control-allow-headers"]
        key = service.key()
        asked = await service.local.post(
            CHAT, json=a_chat(), headers={"origin": PAGE, "authorization": f"Bearer {key}"}
        )
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in asked.headers["access-control-expose-headers"]
        keyless = await service.local.post(CHAT, json=a_chat(), headers={"origin": PAGE})
        assert (keyless.status_code, keyless.headers["access-control-allow-origin"]) == (401, PAGE)


@pytest.mark.parametrize("configured", ["https://Chat.Example.org", "HTTPS://chat.example.ORG/", PAGE])
@pytest.mark.parametrize("page", [PAGE, "https://CHAT.example.org"])
async def test_capitals_in_an_origin_change_nothing(tmp_path: Path, configured: str, page: str) -> None:
    async with serving(settings_of(tmp_path, server={"cors_origins": [configured]})) as service:
        preflight = await service.local.options(CHAT, headers={"origin": page, **PREFLIGHT})
        asked = await service.local.post(CHAT, json=a_chat(), headers={"origin": page})
        for response in (preflight, asked):
            assert response.headers["access-control-allow-origin"] == page


async def test_other_pages_and_the_admin_pages_stay_closed(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"cors_origins": [PAGE]})) as service:
        other = await service.local.options(CHAT, headers={"origin": "https://evil.example", **PREFLIGHT})
        assert "access-control-allow-origin" not in other.headers
        admin = await service.local.options("/admin/overview", headers={"origin": PAGE, **PREFLIGHT})
        assert "access-control-allow-origin" not in admin.headers


@pytest.mark.parametrize("origin", ["chat.example.org", "https://chat.example.org/app", ""])
def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        ServerSettings(cors_origins=(origin,))
