"""How a command ends whose error is the system's."""

import errno
import os

import click
import pytest

from bertkit.cli.common import exit_code_of


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, 1), (errno.EDQUOT, 1), (errno.EACCES, 3)]
)
def test_a_full_disk_is_a_failure_and_a_place_that_is_refused_an_unfit_machine(
    number, code, capsys
):
    @click.command()
    def command():
        raise OSError(number, os.strerror(number), "a/place")

    assert exit_code_of(command, []) == code
    told = capsys.readouterr().err
    assert told.startswith(f"error: {os.strerror(number)}\n")
    assert "a/place" in told
    assert "Traceback" not in told
