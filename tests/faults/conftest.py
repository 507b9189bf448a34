"""The table of what was lost, at the end of ``make test-faults``."""

import pytest
from faults.costs import Cost
from faults.pipeline import Lost

LOST = pytest.StashKey[list[Lost]]()
COSTS = pytest.StashKey[list[Cost]]()


@pytest.fixture
def lost(pytestconfig: pytest.Config) -> list[Lost]:
    """Rows of the table."""
    return pytestconfig.stash.setdefault(LOST, [])


@pytest.fixture
def costs(pytestconfig: pytest.Config) -> list[Cost]:
    """Rows of the table of nodes."""
    return pytestconfig.stash.setdefault(COSTS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(LOST, [])
    if rows:
        _print_lost(terminalreporter, rows)
    costs = config.stash.get(COSTS, [])
    if costs:
        _print_costs(terminalreporter, costs)


def _print_costs(terminalreporter: pytest.TerminalReporter, costs: list[Cost]) -> None:
    terminalreporter.write_sep("=", "nodes: what the worst camera lost")
    terminalreporter.write_line("| fault | footage lost s | analysis lost s | noticed after s | all again after s |")
    terminalreporter.write_line("|---|---|---|---|---|")
    for cost in costs:
        noticed = "" if cost.noticed_s is None else f"{cost.noticed_s:.1f} "
        figures = f"{cost.unrecorded_s:.2f} | {cost.unread_s:.1f} | {noticed}| {cost.again_s:.1f}"
        terminalreporter.write_line(f"| {cost.fault} | {figures} |")


def _print_lost(terminalreporter: pytest.TerminalReporter, rows: list[Lost]) -> None:
    terminalreporter.write_sep("=", "footage lost")
    terminalreporter.write_line("| fault | streamed s | lost s | recording again after s |")
    terminalreporter.write_line("|---|---|---|---|")
    for row in rows:
        again = "" if row.again_s is None else f"{row.again_s:.1f} "
        terminalreporter.write_line(f"| {row.fault} | {row.streamed_s:.1f} | {row.lost_s:.2f} | {again}|")
