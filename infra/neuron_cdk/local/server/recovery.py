"""What a start does with the state it found."""

from __future__ import annotations

import asyncio
import logging

from . import application_autoscaling, executions, operations
from .autoscaling import engine
from .cloudwatch import alarms
from .sagemaker import jobs, lifecycle

logger = logging.getLogger("neuron_cdk.local")

ready = False


def settle() -> None:
    """Before the first request: jobs that were under way did not survive."""
    jobs.fail_interrupted()


async def recover() -> None:
    """Once requests are answered: bring back the endpoints, let fleets go on, settle what was interrupted."""
    global ready
    try:
        engine.soon()
        alarms.wake()
        executions.tell_of_interrupted()
        await asyncio.to_thread(lifecycle.restart)
        application_autoscaling.resume()
        await operations.recover()
    except Exception:  # a server that answers and says what is wrong is worth more than one that never gets ready
        logger.exception("not everything came back")
    ready = True
