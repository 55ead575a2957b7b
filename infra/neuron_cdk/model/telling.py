"""What a hook that tells of models needs to be allowed (``neuron_hooks.model_events``)."""

from __future__ import annotations

from constructs import Construct

from ..place import arn
from ..roles import Allow


def telling_rights(scope: Construct) -> Allow:
    """The right to put events on the default bus; log lines and metrics go where every hook writes anyway."""
    return Allow(["events:PutEvents"], [arn(scope, "events", "event-bus/default")])
