"""What the parts of the deployment file are made of: what every part has in common, and ranges of numbers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from .fields import Count, Word, refusal


class Part(BaseModel):
    """What every part of the file has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, data: Any, info: ValidationInfo) -> Any:
        """``fleets:`` with nothing behind it is a fleets section that is not there.

        Notes for the loader, on the way, which class judged which mapping: it suggests names for unknown fields.
        """
        if not isinstance(data, dict):
            return data
        if info.context is not None:
            info.context[id(data)] = cls
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


class Range(Part):
    """Limits, both included."""

    min: Count
    """Never fewer."""
    max: Count
    """Never more."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise refusal(
                "NCDK-SIZE-001",
                f"min {self.min} is above max {self.max}",
                allowed="min at most max",
                fix="raise max or lower min",
            )
        return self


class Size(Range):
    """Limits, and where to start."""

    desired: Count | None = None
    """At creation only; scaling owns it afterwards. Default: min."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.desired is not None and not self.min <= self.desired <= self.max:
            raise refusal(
                "NCDK-SIZE-002",
                f"desired {self.desired} is outside {self.min} to {self.max}",
                allowed=f"{self.min} to {self.max}",
                fix="leave desired out to start at min",
            )
        return self


class Release(Part):
    """How the release pipeline releases a model; for what has managed_by: pipeline."""

    approval: Annotated[bool, Field(strict=True)] = False
    """Whether a person is asked before a new artifact is released without a deploy; after a day the answer is no."""


class ScheduledSize(Range):
    """Other limits from a time on."""

    cron: Word
    """Six fields in UTC: minute hour day-of-month month day-of-week year."""
