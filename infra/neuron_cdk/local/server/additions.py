"""Everything that is added to ministack, put in place before the first request.

Each module takes the names it needs through ``patching``, so a ministack without one of them ends the start with one
sentence.
"""

from __future__ import annotations

import sys

from . import patching


def install() -> None:
    """Put the additions in place; exits with one sentence when this ministack is not the one they were written for."""
    try:
        patching.check_version()
        _install()
    except (patching.MismatchError, ImportError) as error:
        sys.exit(f"the embedded AWS cannot be put together: {error}")


def _install() -> None:
    from ministack import app
    from ministack.core import router

    from . import (
        application_autoscaling,
        cloudformation,
        ec2_zones,
        event_queues,
        executions,
        functions,
        operations,
        parameters,
        schedules,
        service_quotas,
        waiters,
    )
    from .autoscaling import ec2_operations
    from .autoscaling import service as autoscaling
    from .cloudwatch import service as cloudwatch
    from .iam import gate, integrations, invocations
    from .sagemaker import runtime, service

    added = {
        "sagemaker": (service.handle_request, "SageMaker."),
        "application-autoscaling": (application_autoscaling.handle_request, "AnyScaleFrontendService."),
        "servicequotas": (service_quotas.handle_request, "ServiceQuotasV20190624."),
    }
    handlers = patching.original(app, "SERVICE_HANDLERS")
    patterns = patching.original(router, "SERVICE_PATTERNS")
    for name, (handle_request, prefix) in added.items():
        handlers[name] = handle_request
        patterns[name] = {"target_prefixes": [prefix]}
    handlers["autoscaling"] = autoscaling.handle_request
    handlers["monitoring"] = cloudwatch.handle_request
    handlers[runtime.NAME] = runtime.handle_request
    detect = patching.original(app, "detect_service")

    def detect_runtime(method: str, path: str, headers: dict[str, str], query: dict[str, object]) -> str:
        return runtime.NAME if runtime.is_mine(path, headers) else str(detect(method, path, headers, query))

    patching.replace(app, "detect_service", detect_runtime)
    for addition in (
        application_autoscaling,
        cloudformation,
        cloudwatch,
        ec2_zones,
        ec2_operations,
        event_queues,
        executions,
        functions,
        gate,
        integrations,
        invocations,
        operations,
        parameters,
        schedules,
        waiters,
    ):
        addition.install()
