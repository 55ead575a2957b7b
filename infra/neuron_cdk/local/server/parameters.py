"""SSM's public parameters for the Neuron Deep Learning AMIs."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ssm

from . import patching

_NEURON_AMI = re.compile(r"/aws/service/neuron/dlami/[\w.-]+/[\w.-]+/[\w.-]+/image_id")
_known = patching.original(ssm, "_public_parameter")


def install() -> None:
    patching.replace(ssm, "_public_parameter", _public_parameter)


def _public_parameter(name: str) -> dict[str, Any] | None:
    """For every name of the documented form an image id made of name and region, the same in every run."""
    if not _NEURON_AMI.fullmatch(name or ""):
        parameter: dict[str, Any] | None = _known(name)
        return parameter
    region = get_region()
    digest = hashlib.sha256(f"{region}{name}".encode()).hexdigest()[:17]
    return {
        "Name": name,
        "Type": "String",
        "Value": f"ami-{digest}",
        "DataType": "aws:ec2:image",
        "Version": 1,
        "LastModifiedDate": 0,
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
    }
