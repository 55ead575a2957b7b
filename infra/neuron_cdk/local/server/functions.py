"""Lambda: a handler's exception arrives under its own name, and no worker outlives the server.

ministack tells of every exception as ``Runtime.HandlerError``, so a Retry or Catch by error name would never match.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from . import patching

_run = patching.original(lambda_svc, "_execute_function_warm")
_worker = patching.original(lambda_runtime, "Worker")
_invoke = patching.original(_worker, "invoke")
_SCRIPT = "_PYTHON_WORKER_SCRIPT"
_raised: ContextVar[dict[str, Any]] = ContextVar("neuron_cdk_lambda_raised")

# Between invocations a worker waits on a pipe from the server and ends with it; this ends one inside a handler too.
_ORPHAN_WATCH = """
def _end_with(server):
    import os, threading, time
    def watch():
        while os.getppid() == server:
            time.sleep(0.5)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()

"""
_ANSWER = '"error": str(e), "trace": traceback.format_exc()'
_NAMED_ANSWER = (
    '"error": str(e), "errorType": type(e).__name__, "stackTrace": traceback.format_tb(e.__traceback__), '
    '"trace": traceback.format_exc()'
)


def install() -> None:
    script: str = patching.original(lambda_runtime, _SCRIPT)
    if script.count(_ANSWER) != 1 or "def run():\n" not in script:
        raise patching.MismatchError("ministack's Lambda worker does not look as the additions expect")
    script = script.replace(_ANSWER, _NAMED_ANSWER)
    script = script.replace("def run():\n", f"{_ORPHAN_WATCH}def run():\n    _end_with({os.getpid()})\n", 1)
    patching.replace(lambda_runtime, _SCRIPT, script)
    patching.replace(_worker, "invoke", _invoke_and_note)
    patching.replace(lambda_svc, "_execute_function_warm", _run_and_name)


def end_workers() -> None:
    """End every worker and remove its folder, what it runs now included."""
    patching.original(lambda_runtime, "reset")()


def _invoke_and_note(self: Any, *arguments: Any, **keywords: Any) -> dict[str, Any]:
    answer: dict[str, Any] = _invoke(self, *arguments, **keywords)
    _raised.set(answer if "errorType" in answer else {})
    return answer


def _run_and_name(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    _raised.set({})
    result: dict[str, Any] = _run(function, event, request_id)
    raised = _raised.get()
    if result.get("error") and raised:
        result["body"] |= {
            "errorType": raised["errorType"],
            "requestId": request_id,
            "stackTrace": raised["stackTrace"],
        }
    return result
