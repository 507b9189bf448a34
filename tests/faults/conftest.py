"""The table of what was lost, at the end of ``make test-faults``."""

import pytest
from faults.pipeline import Lost

LOST = pytest.StashKey[list[Lost]]()


@pytest.fixture
def lost(pytestconfig: pytest.Config) -> list[Lost]:
    """Rows of the table."""
    return pytestconfig.stash.setdefault(LOST, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(LOST, [])
    if not rows:
        return
    terminalreporter.write_sep("=", "footage lost")
    terminalreporter.write_line("| fault | streamed s | lost s | recording again after s |")
    terminalreporter.write_line("|---|---|---|---|")
    for row in rows:
        again = "" if row.again_s is None else f"{row.again_s:.1f} "
        terminalreporter.write_line(f"| {row.fault} | {row.streamed_s:.1f} | {row.lost_s:.2f} | {again}|")
