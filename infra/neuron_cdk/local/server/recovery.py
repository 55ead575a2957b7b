"""What a start does with the state it found, once requests are answered."""

from __future__ import annotations

import asyncio

from . import executions, operations
from .sagemaker import endpoints, jobs

ready = False


async def recover() -> None:
    """Settle the jobs, executions and stacks that the last server's end interrupted, and bring the endpoints back."""
    global ready
    jobs.fail_interrupted()
    executions.tell_of_interrupted()
    await asyncio.to_thread(endpoints.restart)
    await operations.recover()
    ready = True
