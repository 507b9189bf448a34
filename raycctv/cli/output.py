"""How every command speaks: tables for people on standard output, JSON for programs, progress on standard error."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from raycctv.types import Watch

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

_WIDTH_IN_A_FILE = 120

_FOLDED_WIDTH = 12
_NUMBER = re.compile(r"-?\d[\d.e+-]*")

stdout = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _WIDTH_IN_A_FILE)
stderr = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output, and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for a person. A column of numbers is set to the right; where the width is short the last column is folded."""
    table = Table(
        title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )
    texts = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        folds = index == len(columns) - 1
        table.add_column(
            column,
            justify="right" if texts and all(_NUMBER.fullmatch(row[index]) for row in texts) else "left",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
            min_width=_FOLDED_WIDTH if folds else None,
        )
    for row in texts:
        table.add_row(*map(escape, row))
    stdout.print(table)
    stdout.print()


def progress() -> Progress:
    """A progress bar on standard error; shows nothing where that is no terminal.

    Rich would write standard output above the bar, which is to standard error, even where it leads to a file.
    """
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=stderr, disable=not stderr.is_terminal, redirect_stdout=sys.stdout.isatty(),
    )  # fmt: skip


def shown_by(bar: Progress) -> Watch:
    """One line of ``bar`` for work of several steps."""
    task = bar.add_task("starting", total=None)
    shown = ""

    def show(what: str, done: float, total: float) -> None:
        nonlocal shown
        if what != shown:
            bar.reset(task, description=what, total=round(total))
            shown = what
        bar.update(task, completed=round(done))

    return show
