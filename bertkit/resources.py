"""Where the shipped folders are: ``patches``, ``launchers``, ``sites`` and ``standin``.

In a checkout (or an editable install) they stand at the top of the repository; in an installed
wheel they lie in ``bertkit/_shipped/``.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The directory of the shipped folder *name*.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"bertkit's own folder {name!r} is not installed beside {_PACKAGE}")
