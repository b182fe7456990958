"""A certificate for 127.0.0.1, made by the openssl command for one run of the tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKE = [
    *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
    *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
]


def a_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate and its key; skips where there is no openssl."""
    command = shutil.which("openssl")
    if command is None:
        pytest.skip("there is no openssl to make a certificate with")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run([command, *MAKE, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key
