"""The admin secret: made and shown once at first start, kept as an argon2 hash, apart from the data plane's keys."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

HASH_FILE = "admin-secret.argon2"
OVERRIDE = "TIERWISE_ADMIN_SECRET"


class AdminSecret:
    """The secret that opens the admin pages; TIERWISE_ADMIN_SECRET in the environment overrides the stored one."""

    def __init__(self, state_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._path = state_dir / HASH_FILE
        self._override = environ.get(OVERRIDE) or None  # an empty one must not open the door to everybody
        self._hasher = PasswordHasher()

    def ensure(self) -> str | None:
        """Make a secret if there is none; returns it the one time it can be shown, else None."""
        if self._override is not None or self._path.exists():
            return None
        return self.reset()

    def reset(self) -> str:
        """Make a new secret, forget the old one, and return the new one."""
        secret = secrets.token_urlsafe(24)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._hasher.hash(secret))
        draft.replace(self._path)
        return secret

    def opens(self, secret: str) -> bool:
        """Tell whether this is the secret; takes some tens of milliseconds on purpose."""
        if self._override is not None:
            return secrets.compare_digest(secret.encode(), self._override.encode())
        try:
            return self._hasher.verify(self._path.read_text(), secret)
        except (VerifyMismatchError, InvalidHashError, FileNotFoundError):
            return False
