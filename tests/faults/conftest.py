"""The table of what was lost, at the end of ``make test-faults``."""

import pytest

LOST = pytest.StashKey[list[tuple[str, float, float, float]]]()


@pytest.fixture
def lost(pytestconfig: pytest.Config) -> list[tuple[str, float, float, float]]:
    """Rows of the table: fault, seconds streamed, seconds lost, seconds until footage arrived again."""
    return pytestconfig.stash.setdefault(LOST, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(LOST, [])
    if not rows:
        return
    terminalreporter.write_sep("=", "footage lost")
    terminalreporter.write_line("| fault | streamed s | lost s | recording again after s |")
    terminalreporter.write_line("|---|---|---|---|")
    for fault, streamed_s, lost_s, again_s in rows:
        terminalreporter.write_line(f"| {fault} | {streamed_s:.1f} | {lost_s:.2f} | {again_s:.1f} |")
