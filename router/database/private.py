"""Files and directories of our own that nobody else on the machine may read, whatever the umask says."""

import os
from pathlib import Path

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600


def make_directory(path: Path) -> None:
    """Make a directory where it is missing; one that is there stays as it is. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file where none is; one that is there stays as it is. Raises OSError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        pass
