"""The timeline in Chromium: footage plays across segments and gaps, at many speeds, and by key."""

from collections.abc import Iterator

import pytest
from desk import GATE, Desk, served
from playwright.sync_api import Browser, Page
from running_console import chromium
from support import NS, T0_NS, until

from raycctv.clock import iso
from raycctv.console.access import COOKIE

pytestmark = pytest.mark.timeout(240)


def at(seconds: float) -> str:
    return iso(T0_NS + round(seconds * NS))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def timeline(desk: Desk, browser: Browser, free_port: int) -> Iterator[Page]:
    """The page of the gate, which has footage from 0 to 30 and from 60 to 70 s; it begins to play at 25 s."""
    cookie = desk.browser("operator").cookies.get(COOKIE)
    with served(desk, free_port) as base, browser.new_context() as context:
        context.add_cookies([{"name": COOKIE, "value": str(cookie), "url": base}])
        page = context.new_page()
        page.goto(f"{base}/timeline?camera=gate&at={at(25)}")
        yield page


def holds(page: Page, condition: str) -> None:
    """Wait until that is so on the page, whose policy lets nothing be waited for in the page itself."""
    until(lambda: bool(page.evaluate(condition)), 60)


def shows(page: Page, from_s: float, to_s: float) -> None:
    """Wait until what is shown was then."""
    span = f"clock.dateTime >= '{at(from_s)}' && clock.dateTime < '{at(to_s)}'"
    holds(page, f"document.querySelector('video').readyState >= 2 && {span}")


def test_footage_plays_on_after_a_gap(timeline: Page) -> None:
    shows(timeline, 25.5, 30)
    shows(timeline, 60.5, 70)
    assert timeline.evaluate("document.querySelector('video').error") is None


def test_eight_times_the_speed_takes_keyframes_alone_and_shows_the_right_time(timeline: Page) -> None:
    shows(timeline, 25, 30)
    timeline.keyboard.press("4")
    holds(timeline, "document.querySelector('video').src.includes('keyframes=true')")
    shows(timeline, 60.5, 70)
    assert timeline.evaluate("document.querySelector('video').playbackRate") == 8


def test_keys_go_to_events_and_step(timeline: Page) -> None:
    shows(timeline, 25, 30)
    timeline.keyboard.press("p")  # of 2 to 8 s, from three seconds before
    shows(timeline, 0, 8)
    timeline.keyboard.press("k")
    holds(timeline, "document.querySelector('video').paused")
    timeline.keyboard.press("ArrowRight")
    shows(timeline, 10, 19)


def test_click_plays_from_there(timeline: Page) -> None:
    shows(timeline, 25, 30)
    place = timeline.evaluate(
        """() => {
            const box = document.getElementById('day').getBoundingClientRect();
            return [box.left, box.top, box.width];
        }"""
    )
    left, top, width = place  # the page shows half an hour before and after
    timeline.mouse.click(left + width * (1800 - 20) / 3600, top + 26 + 17)
    shows(timeline, 4, 12)


def test_damaged_segment_in_the_middle_is_passed(desk: Desk, timeline: Page) -> None:
    shows(timeline, 25, 30)
    damaged = desk.catalog.segments(GATE)[2]  # from 20 to 30 s
    (desk.root / damaged.path).write_bytes(b"no footage")
    timeline.goto(f"{timeline.url.partition('?')[0]}?camera=gate&at={at(17)}")
    shows(timeline, 17.5, 20)
    shows(timeline, 60.5, 70)
