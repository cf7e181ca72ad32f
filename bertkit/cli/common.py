"""What all commands share: ``--json``, ``-v`` and ``-q``, and how an error ends the program."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import signal
import sys
import traceback
from typing import Any, Callable, Dict, NoReturn, Optional, Sequence, TypeVar

import click

from bertkit.errors import BertkitError, EnvironmentUnfit, UsageProblem
from bertkit.files import NO_ROOM

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: longer than any line of help: click cuts after one line of the terminal
_WHOLE = 1000

log = logging.getLogger("bertkit")


class Group(click.Group):
    """A group that says in its help what each command does, in whole sentences."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One row a command."""
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name, command in sorted(self.commands.items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def common_options(function: _Function) -> _Function:
    """Add ``--json`` (passed on as ``as_json``), ``-v`` and ``-q`` to a command."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more; show tracebacks.")
    @click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
    @functools.wraps(function)
    def wrapper(*args: Any, as_json: bool, verbose: bool, quiet: bool, **options: Any) -> Any:
        context = click.get_current_context().find_root()
        context.ensure_object(dict).update(as_json=as_json, verbose=verbose)
        configure_logging(verbose=verbose, quiet=quiet)
        return function(*args, as_json=as_json, **options)

    return wrapper  # type: ignore[return-value]


def configure_logging(*, verbose: bool, quiet: bool) -> None:
    """Send bertkit's own messages to stderr, as bare lines."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False


def print_json(value: object) -> None:
    """Print a result on stdout as JSON."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def exit_code_of(command: click.Command, arguments: Sequence[str]) -> int:
    """Run *command* and give its exit code; print an error in bertkit's form."""
    state: Dict[str, Any] = {}

    try:
        result = command.main(
            args=list(arguments), prog_name="bertkit", standalone_mode=False, obj=state
        )
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        if "--json" in arguments:
            print_json(UsageProblem(error.format_message()).as_dict())
        return error.exit_code
    except click.exceptions.Abort:
        _tell("interrupted")
        return 128 + signal.SIGINT
    except BertkitError as error:
        if state.get("verbose"):
            traceback.print_exc()
        _tell(f"error: {error}", error if state.get("as_json") else None)
        return error.exit_code
    except OSError as error:
        if state.get("verbose"):
            traceback.print_exc()
        kind = BertkitError if error.errno in NO_ROOM else EnvironmentUnfit
        told = kind(
            error.strerror or str(error),
            where=error.filename,
            next_step="mend that and run the same command again; -v shows where it came from",
        )
        _tell(f"error: {told}", told if state.get("as_json") else None)
        return told.exit_code
    except Exception as error:
        if state.get("verbose"):
            traceback.print_exc()
        _tell(
            f"error: bertkit itself failed: {type(error).__name__}: {error}\n"
            "  next:  run the same command with -v and report what it prints"
        )
        return 1


def _tell(text: str, as_json: Optional[BertkitError] = None) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed: the exit code still counts
        click.echo(text, err=True)
        if as_json is not None:
            print_json(as_json.as_dict())


def leave(code: int) -> NoReturn:
    """End the program with *code*, also where nobody reads its output any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Python's own flush at the end would fail, too, and turn any code into 120.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
