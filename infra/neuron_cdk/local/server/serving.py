"""The server's life: its surroundings, its additions to ministack, its state, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from ...assets import lambda_root

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_recovering: set[asyncio.Task[None]] = set()
"""The event loop itself holds its tasks weakly."""


def serve(folder: Path, listen: int, port: int) -> None:
    """Serve on the inherited socket ``listen`` until SIGTERM, with the state saved last in ``folder``."""
    _surround(folder, port)

    # ministack reads its settings when it is imported; install() watches the imports of what takes hold of it.
    from . import additions

    logging.getLogger("botocore").setLevel(logging.WARNING)  # ministack turns INFO on for everybody
    additions.install()

    from . import functions, processes, recovery, state
    from .autoscaling import keeping
    from .iam import survey
    from .sagemaker import service

    state.configure(folder / "saved")
    service.configure(folder, lambda_root(), state.save)
    keeping.configure(state.save)
    state.restore()
    recovery.settle()
    try:
        asyncio.run(_serve(listen, recovery.recover))
        state.save()
    finally:
        functions.end_workers()
        processes.stop_all()
        survey.leave()


def _surround(folder: Path, port: int) -> None:
    """ministack's settings, and the variables that Lambda code and jobs inherit."""
    os.environ.pop("PYTHONPATH")
    url = f"http://127.0.0.1:{port}"
    os.environ.update(
        BIND_HOST="127.0.0.1",
        MINISTACK_HOST="127.0.0.1",  # in the URLs it hands out
        GATEWAY_PORT=str(port),
        MINISTACK_ACCOUNT_ID="000000000000",
        STATE_DIR=str(folder / "run" / "ministack"),
        S3_DATA_DIR=str(folder / "run" / "ministack-s3"),
        # It opens sockets of its own for these, on every interface.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        DOCKER_HOST=f"unix://{folder}/no-docker",  # never touch the containers of whoever works on this machine
        LOG_LEVEL="INFO",
        AWS_ENDPOINT_URL=url,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - the embedded AWS checks none
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )


async def _serve(listen: int, recover: Callable[[], Coroutine[Any, Any, None]]) -> None:
    from hypercorn.asyncio import serve as hypercorn  # type: ignore[import-not-found,unused-ignore]
    from hypercorn.config import Config  # type: ignore[import-not-found,unused-ignore]
    from ministack import app as ministack

    from . import status

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await ministack.app(scope, receive, _then(send, recover))
        elif scope["type"] == "http" and scope["path"].startswith("/_neuron_cdk/"):
            await status.answer(scope, receive, send)
        else:
            await ministack.app(scope, receive, send)

    config = Config()
    config.bind = [f"fd://{listen}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1  # kept-alive connections would hold the end up
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def stop() -> None:
        await stopping.wait()

    await hypercorn(app, config, shutdown_trigger=stop)


def _then(send: Send, recover: Callable[[], Coroutine[Any, Any, None]]) -> Send:
    """``send``, which also starts ``recover`` once the server answers requests (recovery makes some)."""

    async def announce(message: Message) -> None:
        await send(message)
        if message["type"] == "lifespan.startup.complete":
            _recovering.add(asyncio.create_task(recover()))

    return announce
