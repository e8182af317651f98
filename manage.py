#!/usr/bin/env python
import getpass
import os
import sys


def main(arguments: list[str]) -> None:
    """Run a command. What it writes to the ledger records the command, and which user of the system ran it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

    from django.core.management import execute_from_command_line  # noqa: PLC0415

    from ledger import open_entry  # noqa: PLC0415
    from portal import directories  # noqa: PLC0415

    directories.make()
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # A container may have no name for its user.
        user = str(os.getuid())
    command = arguments[1] if len(arguments) > 1 else "help"
    with open_entry.acting_with(f"command:{command}:{user}"[:150]):
        execute_from_command_line(arguments)


if __name__ == "__main__":
    main(sys.argv)
