"""``raycctv notify``: whether notices arrive."""

import json as json_lines

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import Json, print_json, stdout
from raycctv.cli.when import ConfigOption
from raycctv.clock import SystemClock
from raycctv.config import load
from raycctv.errors import ConfigError, SinkError
from raycctv.types import NO_CAMERA, TEST, Event

app = typer.Typer(help="Notices of events, by webhook and MQTT: try them.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Keeps ``test`` a command of its own."""


@app.command("test")
def try_out(config: ConfigOption = DEFAULT_CONFIG, json: Json = False) -> None:
    """Send a notice of kind `test` to every server that the configuration names. Exits 1 where one did not take it."""
    from raycctv.sinks.documents import fingerprint, state_of
    from raycctv.sinks.event_log import to_json
    from raycctv.sinks.outbox import Letter
    from raycctv.sinks.post import notifiers_of

    senders = notifiers_of(load(config))
    if not senders:
        raise ConfigError(
            f"{config}: names nobody to notify; write notify: {{webhook: http://host/path}} or {{mqtt: mqtt://host}}"
        )
    now_ns = SystemClock().now_ns()
    event = Event(
        f"test-{now_ns}", NO_CAMERA, TEST, now_ns, now_ns, {}, (), (0, 0, 0, 0), 0.0, None, None, "raycctv notify test"
    )
    letter = Letter(0, fingerprint(event), json_lines.dumps({**to_json(event, []), "state": state_of(event)}))
    problems = {}
    for name, send in senders.items():
        try:
            sent = send([letter])
            problems[name] = sent.later or sent.refused.get(0, "")
        except SinkError as error:
            problems[name] = str(error)
    for name, problem in problems.items():
        if json:
            print_json({"server": name, "delivered": not problem, "error": problem or None})
        else:
            stdout.print(f"{name}: {problem or 'has it'}", markup=False)
    if any(problems.values()):
        raise typer.Exit(1)
