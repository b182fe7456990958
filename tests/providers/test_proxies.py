import pytest
from yarl import URL

from router.errors import ProviderError
from router.providers.proxies import except_this_machine, proxy_for

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variables", "address", "proxy"),
    [
        ({}, "https://api.example.org/v1", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.example.org/v1", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://api.example.org/v1", None),
        ({"https_proxy": "http://u:p@proxy:3128"}, "https://api.example.org/v1", "http://u:p@proxy:3128"),
        ({"HTTP_PROXY": "proxy:3128"}, "http://api.example.org/v1", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "https://api.example.org/v1", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, "https://api.example.org/v1", None),
        ({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "example.org"}, "https://api.example.org/v1", None),
        (
            {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "other.org"},
            "https://api.example.org/v1",
            "http://proxy:3128",
        ),
        ({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3:8000", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://127.0.0.1:11434/v1", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://localhost:11434/v1", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://[::1]:11434/v1", None),
    ],
)
def test_a_proxy_is_read_as_other_programs_read_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(URL(address)) == (proxy and URL(proxy))


def test_a_proxy_of_another_kind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")
    with pytest.raises(ProviderError, match="not supported: socks5"):
        proxy_for(URL("https://api.example.org"))


@pytest.mark.parametrize(
    "named", ["http://proxy:port", "proxy:99999", "http://[::1:3128", "http://", "http://u:pw@:80"]
)
def test_a_proxy_that_is_no_address_is_told_without_what_it_says(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("ALL_PROXY", named)
    with pytest.raises(ProviderError, match=r"the proxy .* for api.example.org is no address") as told:
        proxy_for(URL("https://api.example.org"))
    assert (told.value.code, told.value.dispatched) == ("not_configured", False)
    assert "pw" not in str(told.value)


def test_this_machine_is_excepted_for_libraries_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert except_this_machine() == "localhost,127.0.0.1,::1"
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert except_this_machine() == "example.org,localhost,127.0.0.1,::1"
