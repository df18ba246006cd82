"""The command line: ``python -m chainrule run SCRIPT`` and ``python -m chainrule info``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = """\
usage: python -m chainrule COMMAND

  run SCRIPT [ARGUMENTS]     run a script written for Chainer, unchanged
  run -m MODULE [ARGUMENTS]  the same for a module
  info                       versions, CPU instruction set, threads, CUDA
  --version                  the version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The command and its arguments; those of the process by default.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    if command == "run" and len(arguments) > 1 and arguments[1] not in ("-h", "--help"):
        from chainrule.compat import run

        if arguments[1] != "-m":
            run.run_script(arguments[1], arguments[2:])
            return 0
        if len(arguments) > 2:
            run.run_module(arguments[2], arguments[3:])
            return 0
    elif command == "info" and len(arguments) == 1:
        from chainrule.info import print_runtime_info

        print_runtime_info()
        return 0
    elif command == "--version":
        from chainrule import __version__

        print(f"chainrule {__version__}")
        return 0
    wanted = command in ("-h", "--help") or arguments[1:] in (["-h"], ["--help"])
    print(USAGE, end="", file=sys.stdout if wanted else sys.stderr)
    return 0 if wanted else 2


if __name__ == "__main__":
    sys.exit(main())
