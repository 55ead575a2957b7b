"""Lambda: a function runs as its role, a handler's exception has its own name, and no worker outlives the server.

ministack tells of every exception as ``Runtime.HandlerError``, so a Retry or Catch by error name would never match.
"""

from __future__ import annotations

import os
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from . import patching
from .iam import keys, sessions, switch
from .iam.authorization import RefusedError, authorize
from .iam.calls import Call
from .iam.operations import checks

_credentials = patching.original(lambda_runtime, "execution_credentials")
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
    for module in (lambda_runtime, lambda_svc):
        patching.replace(module, "execution_credentials", _credentials_of_its_role)


def end_workers() -> None:
    """End every worker and remove its folder, what it runs now included."""
    patching.original(lambda_runtime, "reset")()


def _invoke_and_note(self: Any, *arguments: Any, **keywords: Any) -> dict[str, Any]:
    answer: dict[str, Any] = _invoke(self, *arguments, **keywords)
    _raised.set(answer if "errorType" in answer else {})
    return answer


def _run_and_name(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    _raised.set({})
    if switch.on():
        try:
            _act(function.get("config") or function)
        except (sessions.CannotAssumeError, RefusedError) as error:
            name = (
                "AccessDeniedException" if isinstance(error, sessions.CannotAssumeError) else "KMSAccessDeniedException"
            )
            return {"error": True, "body": {"errorMessage": str(error), "errorType": name}}
    result: dict[str, Any] = _run(function, event, request_id)
    raised = _raised.get()
    if result.get("error") and raised:
        result["body"] |= {
            "errorType": raised["errorType"],
            "requestId": request_id,
            "stackTrace": raised["stackTrace"],
        }
    return result


def _credentials_of_its_role(configuration: dict[str, Any]) -> dict[str, str]:
    if not switch.on():
        plain: dict[str, str] = _credentials(configuration)
        return plain
    return sessions.credentials(_role(configuration))


def _role(configuration: dict[str, Any]) -> sessions.Caller:
    return sessions.take_on(configuration["Role"], "lambda.amazonaws.com", configuration["FunctionName"])


def _act(configuration: dict[str, Any]) -> None:
    """What Lambda does in a function's name before and while it runs: its variables are decrypted, its output is kept.

    "If you use a customer managed key, the function's execution role needs kms:Decrypt" ("Securing Lambda environment
    variables"). Where the log may not be written the function runs all the same, so that refusal is only noted.
    """
    caller = _role(configuration)
    region, account = configuration["FunctionArn"].split(":")[3:5]
    key = configuration.get("KMSKeyArn")
    if key and configuration.get("Environment", {}).get("Variables"):
        context = {"kms:encryptioncontext:aws:lambda:functionarn": configuration["FunctionArn"]}
        try:
            authorize(caller, [keys.use("Decrypt", key, via="lambda", region=region, account=account, **context)])
        except RefusedError as error:
            raise RefusedError(
                "Lambda was unable to decrypt the environment variables because KMS access was denied. Please check "
                f"the function's KMS key settings. KMS Exception: AccessDeniedException KMS Message: {error}"
            ) from error
    group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{configuration['FunctionName']}"
    for operation in ("CreateLogStream", "PutLogEvents"):
        written = {"logGroupName": group, "logStreamName": "latest"}
        with suppress(RefusedError):
            authorize(caller, checks(Call("logs", operation, written, region, account)))
