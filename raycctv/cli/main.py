"""``raycctv``: the commands, and what their exit status means.

0: done. 1: something was found wrong. 2: the command or its configuration was wrong.
"""

import logging
import sys

import typer

from raycctv import __version__
from raycctv.cli import analyze, catalog, cluster, console, demo, detect, elasticsearch, footage, loadtest, models, notify, rtmp
from raycctv.cli.output import stderr
from raycctv.errors import ConfigError, RaycctvError
from raycctv.redact import redact

app = typer.Typer(
    name="raycctv",
    help="CCTV monitoring and backup as a Ray actor cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(demo.demo)
app.command()(loadtest.loadtest)
app.command()(cluster.check)
app.command()(cluster.up)
app.command()(cluster.reload)
app.command()(cluster.status)
app.command()(cluster.down)
app.command()(analyze.analyze)
app.command()(detect.detect)
app.command()(catalog.events)
app.command()(catalog.recordings)
app.command()(footage.export)
app.command()(footage.verify)
app.add_typer(models.app, name="models")
app.add_typer(rtmp.app, name="rtmp")
app.add_typer(notify.app, name="notify")
app.add_typer(console.app, name="console")
app.add_typer(elasticsearch.app, name="elasticsearch")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raycctv {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more on standard error."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),  # noqa: ARG001 - typer calls back
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Entry point: errors that raycctv raises on purpose become one line and an exit status."""
    try:
        app()
    except ConfigError as error:
        _fail(error, 2)
    except RaycctvError as error:
        _fail(error, 1)


def _fail(error: RaycctvError, status: int) -> None:
    stderr.print(f"error: {redact(str(error))}", style="red", markup=False, soft_wrap=True)
    sys.exit(status)
