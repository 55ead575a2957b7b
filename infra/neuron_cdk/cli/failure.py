"""How a command that asks AWS fails: one line, or one JSON object for tools, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer


class NotDoneError(Exception):
    """Why a command could not do what was asked, in one sentence. ``code`` is its exit code."""

    code = 1


class WrongInputError(NotDoneError):
    """What was asked for cannot be."""

    code = 2


@contextmanager
def in_words(*, as_json: bool = False) -> Iterator[None]:
    """Turn what goes wrong into ``neuron-cdk: …`` on stderr, or ``{"error": "…"}`` on stdout, and an exit code."""
    from neuron_cdk.doctor.aws import AskError, CannotAskError
    from neuron_cdk.local.errors import LocalError, WrongFolderError

    try:
        yield
    except NotDoneError as error:
        raise _told(str(error), error.code, as_json) from None
    except CannotAskError as error:
        raise _told(f"{error}: {error.fix}", 1, as_json) from None
    except WrongFolderError as error:
        raise _told(str(error), 2, as_json) from None
    except (AskError, LocalError) as error:
        raise _told(str(error), 1, as_json) from None
    except BrokenPipeError:  # whoever read has enough: no failure to tell of
        raise
    except OSError as error:
        raise _told(str(error), 1, as_json) from None


def _told(message: str, code: int, as_json: bool) -> typer.Exit:
    sentence = " ".join(message.split())
    if as_json:
        typer.echo(json.dumps({"error": sentence}))
    else:
        typer.echo(f"neuron-cdk: {sentence}", err=True)
    return typer.Exit(code)
