"""What a release is, and what every kind of target must know how to do with one. Pure.

A *target* is what serves a model: ``endpoint/embed``, ``fleet/serve``. Its kind is a module beside this one, called
so, that has the functions of :class:`Kind`. Each may be called twice, and may be killed anywhere: called again it comes
to the same end. What it makes it names after the release's id, so that it finds it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Trigger = Literal["deploy", "artifact", "person", "rollback", "delete"]
Stage = Literal["approval", "apply", "progress", "verify", "promote", "back", "remove", "finish"]
Outcome = Literal["", "released", "rolled back", "rejected", "superseded", "failed"]


class ReleaseError(Exception):
    """The release cannot be. The message says why, to people; what was begun is taken back."""


class NotYetError(Exception):
    """The target cannot be changed now, for instance because it is changing: wait, and call again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a target has come. ``reason`` is for people: what it waits for, or why it failed."""

    kind: Literal["moving", "done", "failed"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """What a target serves, or did: enough to serve it again.

    :param declaration: the target's blueprint (JSON), as the construct wrote it.
    :param facts: what ``apply`` gave: names and numbers of what was made for it.
    :param at: when it was promoted, seconds since the epoch.
    :param asked_at: when it was asked for.
    """

    id: str
    model: str
    artifact_key: str
    artifact_uri: str
    declaration: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0
    asked_at: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """A release under way.

    :param id: eight hexadecimal digits, the same however often it is asked for.
    :param execution: the execution that works on it.
    :param asked_at: seconds since the epoch; the later of two artifacts wins, whichever is worked on first.
    :param stage: the step that comes next.
    :param reason: why it is taken back.
    :param outcome: how it ended, once it has.
    """

    id: str
    target: str
    trigger: Trigger
    model: str
    artifact_key: str
    artifact_uri: str
    declaration: str
    execution: str
    asked_at: int
    by: str = ""
    declared_key: str = ""
    stage: Stage = "apply"
    reason: str = ""
    outcome: Outcome = ""
    looks: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Kind(Protocol):
    """A module called like the kind. ``last_good`` is what is served until the release is promoted; None at first.

    A :class:`ReleaseError` of any of them ends what was tried; other errors are tried again and then end it, too.
    """

    def apply(self, release: Release, last_good: Released | None, /) -> Mapping[str, Any]:
        """Make what the release needs, and have the target move to it; the facts that later steps need.

        :raises NotYetError: the target is changing; called again.
        """

    def progress(self, release: Release, /) -> Progress:
        """How far the target has come."""

    def verify(self, release: Release, seconds: int, /) -> str:
        """What is wrong with what is served now; empty when nothing is.

        :param seconds: how long it may wait for what it looks at.
        """

    def settle(self, release: Release, last_good: Released | None, /) -> None:
        """What comes after verification and before promotion, such as registering scaling."""

    def take_back(self, release: Release, last_good: Released | None, /) -> Progress:
        """Have the target serve ``last_good`` again (nothing, at first); called until it is done or failed."""

    def tidy(self, kept: Sequence[Released], /) -> None:
        """Delete what was made for releases other than these: old ones, and those that were never finished.

        :param kept: what is served first, then what was served before; never empty.
        """

    def remove(self, release: Release, last_good: Released | None, /) -> Progress:
        """Delete the target and all that was made for it; called until it is done or failed."""
