"""``raycctv console``: what is done to the console without it."""

import sys
from typing import Annotated

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import stdout
from raycctv.cli.when import ConfigOption
from raycctv.config import load
from raycctv.errors import ConfigError

app = typer.Typer(help="The web console.", no_args_is_help=True)


@app.callback()
def _console() -> None:
    """The web console."""


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="Account.")],
    config: ConfigOption = DEFAULT_CONFIG,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the new password from standard input, a line.")] = False,
) -> None:
    """Give an account another password: a random one, which is printed, or one from standard input. Its sessions end.

    Works where the footage lies, whether the console runs or not.
    """
    from raycctv.clock import SystemClock
    from raycctv.console.accounts import Accounts, new_password
    from raycctv.console.database import DATABASE_NAME

    path = load(config).recording.root / DATABASE_NAME
    if not path.is_file():
        raise ConfigError(f"there are no accounts yet: {path} is made when a console starts for the first time")
    new = sys.stdin.readline().rstrip("\n") if stdin else new_password()
    accounts = Accounts.open(path, SystemClock())
    try:
        accounts.set_password(name, new)
    finally:
        accounts.close()
    stdout.print(f"{name} has another password" if stdin else f"log in as {name} with the password {new}", markup=False)
