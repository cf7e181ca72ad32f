"""``python -m bertkit``: the same as the ``bertkit`` command."""

from bertkit.cli import main

if __name__ == "__main__":
    main()
