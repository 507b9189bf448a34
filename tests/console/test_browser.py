"""The console in Debian's Chromium, on the whole of raycctv as it runs."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from running_console import CAMERAS, PHONE, Running, await_event, chromium, log_in, logged_in, running_console
from support import until

from raycctv.config import load
from raycctv.types import CameraName, Event

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def running(browser: Browser, weights: Path, pedestrians: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_console(tmp_path_factory.mktemp("console")) as started:
        yield started


@pytest.fixture(scope="module")
def person(running: Running) -> Event:
    """Somebody who has gone."""
    return await_event(running, "plaza", "person", 120)


@pytest.fixture
def page(running: Running, browser: Browser) -> Iterator[Page]:
    """Where the administrator is logged in."""
    with logged_in(browser, running.url) as opened:
        yield opened


_SHOWN = """async image => {
    if (!image.naturalWidth) return '';
    const context = new OffscreenCanvas(64, 36).getContext('2d');
    context.drawImage(image, 0, 0, 64, 36);
    return Array.from(context.getImageData(0, 0, 64, 36).data).join();
}"""
"""What a picture shows, as a text: another one when something moved."""


def test_four_live_pictures_change(page: Page) -> None:
    page.goto("/")
    pictures = page.locator("#cameras img")
    expect(pictures).to_have_count(len(CAMERAS))
    seen: list[set[str]] = [set() for _ in CAMERAS]

    def look() -> None:
        for texts, picture in zip(seen, pictures.all(), strict=True):
            texts.add(str(picture.evaluate(_SHOWN)))

    until(lambda: all(len(texts - {""}) >= 3 for texts in seen), 40, act=look)


def test_one_camera_plays_at_its_full_rate(page: Page) -> None:
    page.goto("/camera/plaza")
    video = page.locator("video")
    until(lambda: advanced(video, 1.0), 30)
    assert video.evaluate("v => [v.videoWidth, v.videoHeight]") == [1280, 720]


def test_person_is_found_and_played_and_exported(page: Page, person: Event, tmp_path: Path) -> None:
    page.goto("/events?camera=plaza")
    page.locator("select[name=kind]").select_option("person")
    page.locator("#filters button.main").click()
    page.locator(f'#events a[href*="{person.id}"]').first.click()
    page.wait_for_url(f"**/events/{person.id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("person, plaza")
    assert page.locator("img[src$=snapshot]").evaluate("i => i.naturalWidth") == 1280
    until(lambda: advanced(page.locator("video"), 0.5), 30)

    page.locator("[data-act=export]").click()
    page.locator("dialog#export button.main").click()
    page.goto("/exports")
    link = page.locator("#exports .files a").first
    expect(link).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        link.click()
    path = tmp_path / "exported.mp4"
    download.value.save_as(path)
    shown = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", str(path)]
    assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout == "h264,1280\n"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expect(page.locator("#exports .files").first).to_contain_text(digest)


def advanced(video: Locator, least_s: float) -> bool:
    """Whether it has played so long."""
    played = "v => v.readyState > 1 && v.played.length > 0 ? v.played.end(0) - v.played.start(0) : 0"
    return float(video.evaluate(played)) >= least_s


def test_mask_that_is_drawn_is_in_the_file_and_runs(page: Page, running: Running) -> None:
    before = running.file.read_text()
    page.goto("/setup/walkway")
    expect(page.locator("#picture")).to_have_attribute("alt", "Picture of walkway")
    page.get_by_role("button", name="Add a mask").click()
    box = page.locator("#drawing").bounding_box()
    assert box is not None
    for x, y in ((0.1, 0.1), (0.4, 0.1), (0.4, 0.5), (0.1, 0.1)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.get_by_label("Name of the mask").fill("tree")
    page.get_by_label("Name of the mask").press("Enter")
    save(page)
    after = running.file.read_text()
    assert next(line for line in after.splitlines() if line not in before.splitlines()) == "    masks:"
    assert set(before.splitlines()) < set(after.splitlines())
    (mask,) = load(running.file).cameras[CameraName("walkway")].masks.values()
    assert [pytest.approx(corner, abs=0.01) for corner in mask] == [(0.1, 0.1), (0.4, 0.1), (0.4, 0.5)]
    expect(page.locator("#pending")).to_be_hidden()  # what runs is what the file says


def save(page: Page) -> None:
    page.locator("#save").click()
    page.locator("#confirm").get_by_role("button", name="Save").click()
    expect(page.locator(".notice")).to_contain_text("Saved", timeout=60_000)


def test_corner_is_dragged_and_taken_back(page: Page) -> None:
    page.goto("/setup/gate")
    expect(page.locator("#picture")).to_have_attribute("alt", "Picture of gate")
    page.get_by_role("button", name="Add a mask").focus()
    page.keyboard.press("Enter")
    drag(page, (0.35, 0.35), (0.1, 0.2))
    expect(page.locator("[data-corner='0']")).to_have_attribute("aria-label", re.compile("10 % across, 20 % down"))
    drag(page, (0.65, 0.5), (0.9, 0.5))  # between two corners there is none yet
    expect(page.locator("[data-corner]")).to_have_count(5)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.locator("polygon.mask").press("Enter")
    expect(page.locator("[data-corner='0']")).to_have_attribute("aria-label", re.compile("35 % across, 35 % down"))
    page.get_by_role("button", name="Discard changes").click()
    expect(page.locator("polygon.mask")).to_have_count(0)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    box = page.locator("#drawing").bounding_box()
    assert box is not None
    (x, y), (u, v) = ((box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in (start, end))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + u) / 2, (y + v) / 2)
    page.mouse.move(u, v)
    page.mouse.up()


def test_zone_is_drawn_by_touch(running: Running, browser: Browser) -> None:
    with logged_in(browser, running.url, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto("/setup/gate")
        expect(page.locator("#picture")).to_have_attribute("alt", "Picture of gate")
        page.get_by_role("button", name="Add a zone").tap()
        box = page.locator("#drawing").bounding_box()
        assert box is not None
        for x, y in ((0.2, 0.2), (0.7, 0.3), (0.5, 0.8)):
            page.touchscreen.tap(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.get_by_role("button", name="Finish the polygon").tap()
        expect(page.locator("polygon.zone")).to_have_count(1)
        expect(page.locator("[data-corner]")).to_have_count(3)


def test_zone_is_drawn_and_saved_by_keyboard_alone(page: Page, running: Running) -> None:
    page.goto("/setup/empty")
    expect(page.locator("#picture")).to_have_attribute("alt", "Picture of empty")
    page.get_by_role("button", name="Add a zone").focus()
    page.keyboard.press("Enter")
    corner = page.locator("[data-corner='0']")
    expect(corner).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Insert")
    expect(page.locator("[data-corner='1']")).to_be_focused()
    page.keyboard.press("Delete")
    page.locator("#save").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm pre")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Saved", timeout=60_000)
    (zone,) = load(running.file).cameras[CameraName("empty")].zones.values()
    assert zone == ((0.3, 0.355), (0.65, 0.35), (0.65, 0.65), (0.35, 0.65))


@pytest.mark.slow
def test_mask_over_everything_is_tried(page: Page, person: Event) -> None:
    page.goto("/setup/plaza")
    expect(page.locator("#try")).to_be_enabled()
    page.get_by_role("button", name="Add a mask").focus()
    page.keyboard.press("Enter")
    for corner, keys in enumerate(("ArrowLeft ArrowUp", "ArrowRight ArrowUp", "ArrowRight ArrowDown", "ArrowLeft ArrowDown")):
        page.locator(f"[data-corner='{corner}']").focus()
        for key in keys.split():
            for _ in range(8):
                page.keyboard.press(f"Shift+{key}")
    page.locator("#try").click()
    expect(page.locator("#trial-state")).to_contain_text("Tried all", timeout=120_000)
    gone = page.locator("[data-events=go] li:has(img)")
    assert gone.count() >= 1
    assert gone.first.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") == 1280
    expect(page.locator("[data-count=come]")).to_have_text("0")
    expect(page.locator("[data-count=stay]")).to_have_text("0")


def test_viewer_is_refused_what_is_not_theirs(running: Running, browser: Browser, person: Event) -> None:
    with logged_in(browser, running.url, "viewer", expected=(403, 404)) as page:
        assert page.locator("#cameras > li").evaluate_all("all => all.map(one => one.dataset.camera)") == ["gate"]
        for path, status in {
            "/camera/plaza": 404, f"/events/{person.id}": 404, "/setup/gate": 403, "/accounts": 403, "/camera/gate": 200
        }.items():  # fmt: skip
            answer = page.goto(path)
            assert answer is not None
            assert (path, answer.status) == (path, status)
        assert page.get_by_role("link", name="Set up").count() == 0


def test_login_by_keyboard_and_out_again(running: Running, browser: Browser) -> None:
    with logged_in(browser, running.url, None) as page:
        page.goto("/system")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("viewer")
        page.keyboard.press("Tab")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("do not belong together")
        log_in(page, "viewer")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        assert page.context.cookies() == []


def test_page_is_in_the_language_that_is_chosen(running: Running, browser: Browser) -> None:
    with logged_in(browser, running.url, "admin", locale="id-ID") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Kamera")
        expect(page.locator("#cameras dt").first).to_contain_text("24 jam")
        page.locator("#language").select_option("en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Cameras")


PAGES = (
    "/", "/camera/plaza", "/timeline", "/events", "/events/{event}", "/exports", "/system", "/setup/plaza", "/accounts",
    "/audit", "/account", "/login",
)  # fmt: skip
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
}  # fmt: skip
SERIOUS = ("serious", "critical")


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_serious_fault(running: Running, browser: Browser, person: Event, look: str) -> None:
    faults: list[str] = []
    with logged_in(browser, running.url, **LOOKS[look]) as page:
        for path in PAGES:
            page.goto(path.format(event=person.id))
            page.wait_for_timeout(700)
            found = Axe().run(page).response["violations"]
            faults += [
                f"{path}: {fault['id']}: {fault['nodes'][0]['html'][:200]}"
                for fault in found
                if fault["impact"] in ("serious", "critical")
            ]
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            faults += [f"{path}: {wide} px wider than the window"] if wide > 0 else []
    assert not faults, "\n".join(faults)
