"""Run one command for as long as the process that asked for it lives.

    python guard.py COMMAND [ARGUMENT...]

The asker holds the other end of our standard input. It closes when the asker wants the command to
stop, and the kernel closes it when the asker is killed, so a `kill -9` leaves no broker behind.
PR_SET_PDEATHSIG would do the same on Linux, but it fires at the end of the *thread* that forked,
needs code between fork and exec of a threaded process, and `setpriv` is not on every machine.
Only the standard library: it runs with `python -I -S`, in about 20 ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

GRACE_SECONDS = 5.0


def stop_at_end_of_input(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):  # not sys.stdin: a daemon thread must hold no lock of it when the interpreter ends
        pass
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def main(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own caller's command, no shell
    threading.Thread(target=stop_at_end_of_input, args=(child,), daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
