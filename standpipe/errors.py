"""What ends a command early, and with which exit code. `standpipe.cli.main` prints each as one line on stderr,
and its notes below as they are.

A wrong option is a `typer.BadParameter`, whose exit code is 2; the codes are explained in `standpipe --help`.
"""

from __future__ import annotations


class CommandFailed(Exception):
    """The command could not do what it was asked: read the message, put it right, run it again."""

    exit_code = 1


class NotRunning(CommandFailed):
    """Nothing is running there, or it does not answer: start it, or try again later."""

    exit_code = 3


class AccessDenied(CommandFailed):
    """It answered, and refused: another token or certificate is needed."""

    exit_code = 4
