"""Every code a finding can carry. Codes are never reused or renumbered: people search for them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """Errors stop before any AWS call; warnings and infos are shown and passed over."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Code(NamedTuple):
    """How bad it is, and what it means in general: a row of the reference page."""

    severity: Severity
    meaning: str


_ERRORS = {
    "NCDK-FILE-001": "The file is not there, or may not be read.",
    "NCDK-FILE-002": "The file is larger than 1 MiB.",
    "NCDK-FILE-003": "The file is not UTF-8.",
    "NCDK-FILE-004": "The file is not YAML.",
    "NCDK-FILE-005": "The file is empty.",
    "NCDK-FILE-006": "The file holds several YAML documents.",
    "NCDK-FILE-007": "The file is a list or a text instead of a mapping of fields.",
    "NCDK-FILE-008": "The file uses a YAML tag or directive.",
    "NCDK-FILE-009": "A field is there twice; YAML would silently take the last.",
    "NCDK-FILE-010": "An alias leads nowhere, or aliases or values are too many.",
    "NCDK-FILE-011": "The file is nested too deeply.",
    "NCDK-FILE-012": "A field's name is not a plain text, or is YAML's merge key.",
    "NCDK-FIELD-001": "There is no such field.",
    "NCDK-FIELD-002": "A required field is missing.",
    "NCDK-FIELD-003": "A value is of the wrong type.",
    "NCDK-FIELD-004": "A value is not one of the choices.",
    "NCDK-FIELD-005": "A number is out of range.",
    "NCDK-FIELD-006": "A list or text is too short or too long.",
    "NCDK-FIELD-007": "A value is refused for a reason without a code of its own.",
    "NCDK-FIELD-008": "A list holds the same entry twice.",
    "NCDK-NAME-001": "The deployment's name cannot prefix stack names.",
    "NCDK-NAME-002": "A name cannot be used for stacks and resources.",
    "NCDK-TAG-001": "AWS does not take this tag key.",
    "NCDK-TAG-002": "AWS does not take this tag value.",
    "NCDK-SIZE-001": "min is above max.",
    "NCDK-SIZE-002": "desired is outside min and max.",
}

_INFOS = {
    "NCDK-FILE-013": "There are more findings than are shown.",
    "NCDK-LATER-001": "Models from Hugging Face are not built yet.",
    "NCDK-LATER-002": "The engine is not built yet.",
    "NCDK-LATER-003": "Smoke tests are not built yet.",
    "NCDK-LATER-004": "Fleets that serve a model are not built yet.",
    "NCDK-LATER-005": "Reserved capacity, fallbacks and base are not built yet.",
    "NCDK-LATER-006": "The fleet's scaling metric is not built yet.",
    "NCDK-LATER-007": "Scheduled sizes are not built yet.",
    "NCDK-LATER-008": "Asynchronous endpoints are not built yet.",
    "NCDK-LATER-009": "Endpoints of the release pipeline are not built yet.",
    "NCDK-LATER-010": "Components are not built yet.",
    "NCDK-LATER-011": "Pools of several instance types are not built yet.",
    "NCDK-LATER-012": "Endpoint scaling is not built yet.",
    "NCDK-LATER-013": "Rollouts other than all-at-once are not built yet.",
    "NCDK-LATER-014": "Training clusters are not built yet.",
    "NCDK-LATER-015": "Budgets are not built yet.",
    "NCDK-LATER-016": "Delivery is not built yet.",
}

CODES: dict[str, Code] = {
    **{code: Code(Severity.ERROR, meaning) for code, meaning in _ERRORS.items()},
    **{code: Code(Severity.INFO, meaning) for code, meaning in _INFOS.items()},
}
