"""Runs the benchmarks and prints their tables: ``python -m benchmarks [NAME...] [--json]``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Optional, Sequence

from benchmarks.table import Table
from bertkit.errors import BertkitError

BENCHMARKS = (
    "prepare_repo",
    "overhead",
    "packing",
    "extraction",
    "instances",
    "sharding",
    "engines",
)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run what was named, or all; 0 if each ran or said why it cannot here."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print the results as JSON on stdout")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    results = []
    code = 0
    for name in options.names or BENCHMARKS:
        try:
            table: Table = import_module(f"benchmarks.{name}").run()
        except BertkitError as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = code or error.exit_code
            continue
        results.append({"name": name, **asdict(table)})
        if not options.json:
            print(table.text(), flush=True)
    if options.json:
        print(json.dumps(results, indent=1))
    return code


if __name__ == "__main__":
    sys.exit(main())
