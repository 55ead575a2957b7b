"""The function behind ``Custom::NeuronImageMirror``: it starts a build that copies an image and answers CloudFormation.

Event: CloudFormation's request object, with ``ResourceProperties`` ``Source`` (what is copied, by tag or digest),
``Tag`` (under which it is kept) and ``Digest`` (what must come out; empty when whatever comes is right).

- ``Create``, ``Update``: starts the build once, however often the request is delivered.
- ``Delete``: answered at once. Copies stay: a version that is rolled back to is pulled again.
"""

from __future__ import annotations

from typing import Any

from .. import aws, cloudformation, log, settings
from . import aws as compile_aws

SETTINGS = settings.load(settings.ImageMirror)


def handler(event: dict[str, Any], _context: object) -> None:
    request = cloudformation.parse(event)
    if request.kind == "Delete":
        cloudformation.deliver(request, cloudformation.success(request, request.physical_id, {}))
        return
    wanted = event["ResourceProperties"]
    variables = {
        "SOURCE": wanted["Source"],
        "TAG": wanted["Tag"],
        "EXPECTED": wanted.get("Digest", ""),
        "ANSWER_URL": request.response_url,
        "STACK_ID": request.stack_id,
        "REQUEST_ID": request.request_id,
        "LOGICAL_ID": request.logical_id,
    }
    try:
        aws.patiently(lambda: compile_aws.start_build(SETTINGS.project, request.request_id, variables))
    except Exception as error:  # nobody else would answer, and CloudFormation would wait an hour
        log.decision("refused", key=wanted.get("Source", ""), error=f"{type(error).__name__}: {error}")
        cloudformation.deliver(
            request, cloudformation.failure(request, "", "The copy did not start:", detail=str(error))
        )
        return
    log.decision("started", key=wanted["Source"])
