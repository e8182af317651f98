"""The command line: `training-portal`. A command's module is loaded when it is called, so that `--help` is quick."""

import click

from training_portal.version import __version__

_COMMANDS = {
    "run": ("run", "Register a run, prepare its data set and send the receipt: all in one."),
    "fetch": ("fetch", "Bring and verify what a run may use; renew it."),
    "verify": ("data", "Check that a directory is a data set, as its receipt says."),
    "subtract": ("subtract", "Take members who have left out of a data set, and renew its lease."),
    "audit": ("audit", "Repeat the preparation of a data set and compare it, row by row."),
    "exec": ("exec", "Run a training on a verified data set, and report how it ends."),
    "status": ("status", "Say who you are, or how a run stands."),
    "keys": ("keys", "The key that signs your receipts."),
}


class _Lazy(click.Group):
    """The commands by name; `--help` shows their lines without loading them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"training_portal.cli.{_COMMANDS[name][0]}_commands")
        command = getattr(module, f"{name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in _COMMANDS.items()])


_EPILOG = """
\b
Settings: PORTAL_URL, PORTAL_TOKEN (or PORTAL_TOKEN_FILE) and PORTAL_KEY, or the file
~/.config/training-portal/config.toml. A token is never an argument.

\b
Exit codes: 0 done, 2 usage, 3 refused by the portal, 4 verification failed,
5 lease over or withdrawals, 6 try again.
"""


@click.command(
    cls=_Lazy,
    epilog=_EPILOG,
    help="From permission to use member data for training to a clean, proved data set.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="training-portal")
def main() -> None:
    """The group; each command says what it does."""
