"""``raycctv elasticsearch``: what Elasticsearch must know."""

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import Json, print_json, stdout
from raycctv.cli.when import ConfigOption
from raycctv.config import load
from raycctv.errors import ConfigError

app = typer.Typer(help="Elasticsearch, for searching events: set it up.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Keeps ``setup`` a command of its own."""


@app.command()
def setup(config: ConfigOption = DEFAULT_CONFIG, json: Json = False) -> None:
    """Install data streams with their lifecycle, and ingest pipelines. Running it again brings them up to date."""
    from raycctv.sinks.elasticsearch import installed

    settings = load(config).elasticsearch
    if settings is None:
        raise ConfigError(f"{config}: names no Elasticsearch; write elasticsearch: {{url: http://127.0.0.1:9200}}")
    done = installed(settings)
    if json:
        print_json(done)
    else:
        for what, names in done.items():
            stdout.print(f"{what}: {', '.join(names)}", markup=False)
