"""What stands for a container here: a process with a container's files below a folder of its own, and clean variables.

``/opt/ml`` in commands, arguments and variables becomes that folder. Nothing else of a container is imitated: the
process sees this machine's files, and its network even where isolation is asked for.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..iam import sessions

ROOT = "/opt/ml"
_RUNNABLE = "neuron-cdk-cpu"
_OUTSIDE = ("AWS_", "HF_ENDPOINT")  # where AWS is, and a hub of models: Hugging Face's, or one of a test


def why_not(image: str) -> str | None:
    """Why ``image`` cannot run on this machine, or None when it can."""
    repository = re.split(r"[:@]", image.rpartition("/")[2])[0]
    if repository == _RUNNABLE:
        return None
    return (
        f"the embedded AWS cannot run the image {image}: it runs {_RUNNABLE} only (compile target cpu, engine "
        "onnxruntime); images of the Neuron SDK need AWS"
    )


def below(root: Path, text: str) -> str:
    """``text`` with the container's /opt/ml replaced by ``root``, wherever a path begins with it."""
    return re.sub(rf"(?<![\w/]){ROOT}(?![\w-])", str(root), text)


def command(root: Path, words: Iterable[str]) -> list[str]:
    return [below(root, word) for word in words]


def environment(root: Path, variables: Mapping[str, str], *, isolated: bool) -> dict[str, str]:
    """The variables of a process: those asked for, and where it may reach AWS, the way to the embedded one and to the
    hub of models that this machine is told of.

    It reaches it as the role that acts.
    """
    temporary = root / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    base = {
        # python3 is the embedded environment's, which has what the image would have.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(root),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "NEURON_JOBS_ROOT": str(root),
    }
    aws = {} if isolated else {name: value for name, value in os.environ.items() if name.startswith(_OUTSIDE)}
    caller = sessions.acting.get()
    if caller and not isolated:
        aws |= sessions.credentials(caller)
    return base | aws | {name: below(root, value) for name, value in variables.items()}
