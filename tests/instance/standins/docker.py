"""docker, with one image: `run` is the project's own server, `python -m neuron_jobs.serve`, on the mounted artifact."""

import json
import os
import signal
import sys
import time
from pathlib import Path

STATE = Path(os.environ["INSTANCE_ROOT"]) / "docker"
STATE.mkdir(exist_ok=True)
verb, *words = sys.argv[1:]


def end(name: str, sent: int, seconds: float) -> None:
    file = STATE / f"{name}.pid"
    if not file.exists():
        return
    deadline = time.monotonic() + seconds
    try:
        os.kill(int(file.read_text()), sent)
        while time.monotonic() < deadline:
            os.kill(int(file.read_text()), 0)
            time.sleep(0.05)
        os.kill(int(file.read_text()), signal.SIGKILL)
    except ProcessLookupError:
        pass
    file.unlink()


with (STATE / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if verb == "image":
    sys.exit(not (STATE / "pulled").exists())
elif verb == "login":
    (STATE / "login").write_text(sys.stdin.read().strip() + " " + os.environ["DOCKER_CONFIG"])
elif verb == "pull":
    (STATE / "pulled").write_text(words[-1])
elif verb == "rm":
    end(words[-1], signal.SIGKILL, 5)
elif verb == "stop":
    end(words[-1], signal.SIGTERM, float(words[words.index("-t") + 1]))
elif verb == "run":
    options: dict[str, list[str]] = {}
    while words[0].startswith("--"):
        name, _, value = words.pop(0).partition("=")
        options.setdefault(name, []).append(value or ("" if name == "--rm" else words.pop(0)))
    (STATE / "run.json").write_text(json.dumps({"options": options, "image": words}))
    host, inside, mode = options["--volume"][0].rsplit(":", 2)
    assert (inside, mode) == ("/opt/ml/model", "ro")
    given = dict(pair.split("=", 1) for pair in options["--env"])
    (STATE / f"{options['--name'][0]}.pid").write_text(str(os.getpid()))
    environment = {**os.environ, **given, "SERVE_MODEL_DIR": host, "SERVE_BIND_HOST": "127.0.0.1"}
    os.execve(sys.executable, [sys.executable, "-m", "neuron_jobs.serve"], environment)
else:
    sys.exit(f"docker: unknown {verb}")
