"""The secrets of the admin plane: argon2 hashes on disk, apart from the data plane's keys.

One for administrators, made and shown once at first start, and one for viewers, made on demand. A secret in the
environment (TIERWISE_ADMIN_SECRET, TIERWISE_VIEWER_SECRET) overrides the stored one.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from router.database.private import FILE_MODE, make_directory
from router.keys import KEY_PREFIX
from router.settings import WrongSetting


class AdminRole(StrEnum):
    """What a secret opens: viewers look, administrators also change."""

    ADMIN = "admin"
    VIEWER = "viewer"


HASH_FILE = "admin-secret.argon2"
OVERRIDE = "TIERWISE_ADMIN_SECRET"
LONGEST_SECRET = 1_024


def require_no_keys(environ: Mapping[str, str]) -> None:
    """Raise WrongSetting for a secret of the environment that could be a key of the data plane."""
    for role in AdminRole:
        if environ.get(f"TIERWISE_{role.upper()}_SECRET", "").startswith(KEY_PREFIX):
            raise WrongSetting(f"TIERWISE_{role.upper()}_SECRET: begins like an API key; keys open no admin page")


class AdminSecret:
    """The secret of one role; the environment overrides the stored one."""

    def __init__(
        self, state_dir: Path, environ: Mapping[str, str] = os.environ, role: AdminRole = AdminRole.ADMIN
    ) -> None:
        self.role = role
        self._path = state_dir / f"{role}-secret.argon2"
        # An empty one must not open the door to everybody, a key of the data plane none at all.
        override = environ.get(f"TIERWISE_{role.upper()}_SECRET") or None
        self._override = override
        self._hasher = PasswordHasher()

    def ensure(self) -> str | None:
        """Make a secret if there is none; returns it the one time it can be shown, else None."""
        if self._override is not None or self._path.exists():
            return None
        return self.reset()

    def reset(self) -> str:
        """Make a new secret, forget the old one, and return the new one; sessions of the old one end."""
        secret = secrets.token_urlsafe(24)
        while secret.startswith(KEY_PREFIX):
            secret = secrets.token_urlsafe(24)
        make_directory(self._path.parent)
        draft = self._path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "w") as file:
            file.write(self._hasher.hash(secret))
        draft.replace(self._path)
        return secret

    def opens(self, secret: str) -> bool:
        """Tell whether this is the secret; takes some tens of milliseconds on purpose."""
        if secret.startswith(KEY_PREFIX) or len(secret) > LONGEST_SECRET:
            return False
        if self._override is not None:
            return secrets.compare_digest(secret.encode(), self._override.encode())
        try:
            return self._hasher.verify(self._path.read_text(), secret)
        except (VerifyMismatchError, InvalidHashError, FileNotFoundError):
            return False

    def mark(self, token: str) -> str | None:
        """What ties a session's token to the secret of now: another one gives another mark, none gives None.

        Keyed by the token, which is stored nowhere, so that a mark tells nothing about the secret.
        """
        try:
            stored = self._override or self._path.read_text()
        except FileNotFoundError:
            return None
        return hmac.new(token.encode(), stored.encode(), hashlib.sha256).hexdigest()
