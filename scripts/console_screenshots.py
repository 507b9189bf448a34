"""The pictures of docs/console.md: every page of a console on real footage, as WebP in docs/images.

    .venv/bin/python scripts/console_screenshots.py [NAME ...]    # all, or those of these names: cameras setup trial

Takes about two minutes: raycctv is started with four simulated cameras, and people must have walked by.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", ".")]

from PIL import Image
from playwright.sync_api import Browser, Page
from running_console import DESK, PHONE, Running, await_event, chromium, logged_in, running_console

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "images"
QUALITY = 80
SETTLE_MS = 2500
_PICTURES_THERE = """() => [...document.querySelectorAll('img:is([src], [data-picture]):not([hidden])')].every(image => {
    const place = image.getBoundingClientRect();
    return image.naturalWidth > 0 || !image.checkVisibility() || place.top > innerHeight || place.bottom < 0;
})"""
"""Those that can be seen."""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2, "has_touch": True, "is_mobile": True},
}  # fmt: skip


def main() -> None:
    wanted = set(sys.argv[1:])
    with tempfile.TemporaryDirectory() as place, chromium() as browser, running_console(Path(place)) as running:
        event = await_event(running, "plaza", "person", 120)
        export(browser, running)
        draw(browser, running)
        for look, pages in shown(event.id).items():
            with logged_in(browser, running.url, expected=(404,), **LOOKS[look]) as page:
                for name, path in pages.items():
                    if wanted and name not in wanted:
                        continue
                    page.goto(path)
                    prepare(page, name)
                    page.wait_for_timeout(SETTLE_MS)
                    page.wait_for_function(_PICTURES_THERE, timeout=60_000)
                    save(page, PICTURES / f"console-{name}{'' if look == 'light' else f'-{look}'}.webp")
        with logged_in(browser, running.url, None, **LOOKS["light"]) as page:
            page.goto("/login")
            save(page, PICTURES / "console-login.webp")


def shown(event_id: str) -> dict[str, dict[str, str]]:
    """Look: picture's name: path."""
    pages = {
        "cameras": "/", "camera": "/camera/plaza", "timeline": "/timeline?camera=plaza", "events": "/events",
        "event": f"/events/{event_id}", "exports": "/exports", "system": "/system", "setup": "/setup/plaza",
        "trial": "/setup/plaza", "accounts": "/accounts", "audit": "/audit",
    }  # fmt: skip
    dark = {name: pages[name] for name in ("cameras", "timeline")}
    return {"light": pages, "dark": dark, "phone": {name: pages[name] for name in ("cameras", "timeline", "setup")}}


def export(browser: Browser, running: Running) -> None:
    with logged_in(browser, running.url) as page:
        page.goto("/events?camera=plaza")
        page.locator("#events a").first.click()
        page.wait_for_url("**/events/*", wait_until="load")
        page.locator("[data-act=export]").click()
        page.locator("dialog#export button.main").click()
        page.goto("/exports")
        page.locator("#exports .files a").first.wait_for()


def draw(browser: Browser, running: Running) -> None:
    """A mask and a zone."""
    with logged_in(browser, running.url) as page:
        page.goto("/setup/plaza")
        page.locator("#picture[src]").wait_for()
        for kind, corners in (
            ("mask", ((0.02, 0.03), (0.3, 0.03), (0.22, 0.26), (0.02, 0.3), (0.02, 0.03))),
            ("zone", ((0.1, 0.4), (0.62, 0.3), (0.95, 0.62), (0.9, 0.8), (0.4, 0.6), (0.1, 0.4))),
        ):
            page.locator(f"[data-add={kind}]").click()
            box = page.locator("#drawing").bounding_box()
            assert box is not None
            for x, y in corners:
                page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        for kind, name in (("mask", "flags"), ("zone", "path")):
            field = page.locator(f"[data-list={kind}] input")
            field.fill(name)
            field.press("Enter")
        page.locator("#save").click()
        page.locator("#confirm button.main").click()
        page.locator(".notice").wait_for(timeout=60_000)


def prepare(page: Page, name: str) -> None:
    """What somebody would have done who looks at that page."""
    if name == "timeline":
        page.locator("[data-act=in]").click(click_count=8)
        page.locator("[data-act=play]").click()
    elif name == "setup":
        page.locator("#picture[src]").wait_for()
        page.locator("[data-list=zone] input").focus()
    elif name == "trial":
        page.locator("#try:enabled").wait_for()
        slider = page.locator("#rules input[type=range]").first
        slider.focus()
        for _ in range(35):
            slider.press("ArrowRight")
        page.locator("#try").click()
        page.locator("#trial-state").get_by_text("Tried all").or_(page.get_by_text("Tried the last")).wait_for(timeout=200_000)
        page.locator("#results").evaluate("results => results.scrollIntoView()")


def save(page: Page, path: Path) -> None:
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
