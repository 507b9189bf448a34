"""``raycctv rtmp``: what an RTMP server asks raycctv."""

import signal
from typing import Annotated

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import stdout
from raycctv.cli.when import ConfigOption
from raycctv.config import load
from raycctv.errors import ConfigError

app = typer.Typer(help="The RTMP server: who may publish and play.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Keeps ``keys`` a command of its own."""


@app.command()
def keys(
    config: ConfigOption = DEFAULT_CONFIG,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8081,
) -> None:
    """Answer nginx-rtmp whether a key is right, until interrupted. Keys stand in the cameras' sources: rtmp://...?key=..."""
    from raycctv.rtmp.keys import KeyServer, keys_of

    known = keys_of(load(config))
    if not known:
        raise ConfigError(
            f"{config}: no camera's source is an RTMP stream with a key; write rtmp://host/live/NAME?key=${{KEY}}"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with KeyServer(known, address, port) as server:
        stdout.print(f"keys of {len(known)} streams, asked at {address}:{server.port}", markup=False)
        try:
            server.wait()
        except KeyboardInterrupt:
            stdout.print("stopped", markup=False)
