import pytest

from router.server import base_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("example.com", "http://example.com:8080"),
    ],
)
def test_the_address_that_is_announced_can_be_used(host: str, url: str) -> None:
    assert base_url(host, 8080) == url
