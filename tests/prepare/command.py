"""The command line as a function."""

import pytest

from artalk import cli


def run(capsys, *arguments):
    """The exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err
