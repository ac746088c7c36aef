"""Becomes another program that ends when its parent does: `python launch.py PARENT PROGRAM [ARGUMENT ...]`.

Run as a file, without site packages, so that it costs little: it is gone before the program begins.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel to be killed with the parent (Linux; elsewhere nothing is asked), and become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)  # it has ended already, of which the kernel tells only once
    os.execvp(program[0], program)  # noqa: S606 - what runs is what the manifest says


if __name__ == "__main__":
    main()
