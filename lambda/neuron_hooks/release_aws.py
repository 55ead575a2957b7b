"""The calls of releases, on the clients of ``aws``. Thin: what is asked and read is in ``release_*``."""

from __future__ import annotations

from botocore.exceptions import ClientError

from . import aws


def fail_task(token: str, error: str, cause: str) -> None:
    """Have a state that waits for a task token fail; one that waits no more is left alone."""
    try:
        aws.client("stepfunctions").send_task_failure(taskToken=token, error=error, cause=cause)
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken"):
            raise
