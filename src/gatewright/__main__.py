"""The `gatewright` command, and `python -m gatewright`."""

import signal


def main() -> None:
    """Run the command line."""
    # Until there is something to take down, Ctrl-C just ends the process, with no traceback, imports included.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gatewright.cli import main as command

    command()


if __name__ == "__main__":
    main()
