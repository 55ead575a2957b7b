"""Runs one command in a process group that dies with the embedded AWS.

Started by ``processes`` as ``python -I -S guard.py LIFE REPORT COMMAND...``, as the leader of a new process group.
LIFE is the reading end of a pipe that only the server can write to: when it closes, the server is gone, whatever
killed it, and the whole group goes too. REPORT receives two lines: the command's process id, then its exit code. When
the command ends its group ends with it, as the processes of a container do when its first one ends.

A pipe and not PR_SET_PDEATHSIG, which macOS lacks and which fires when the *thread* that started the child ends.
"""

import os
import signal
import subprocess
import sys
import threading

NOT_STARTED = 127  # what a shell says of a command it cannot run


def main() -> None:
    life, report, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)
        os.write(report, f"0\n{NOT_STARTED}\n".encode())
        return
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    os.write(report, f"{child.pid}\n".encode())
    threading.Thread(target=_end_with_the_server, args=(life,), daemon=True).start()
    code = child.wait()
    os.write(report, f"{code}\n".encode())
    os.killpg(0, signal.SIGKILL)


def _end_with_the_server(life: int) -> None:
    os.read(life, 1)
    os.killpg(0, signal.SIGKILL)


main()
