"""Draws the status page's icons as PNG from its SVG: `python -m docs.source.icons`, with Chromium.

Browsers keep the icons under the address of the manifest: change its text, too, if they change.
"""

import re
import shutil
from pathlib import Path

STATIC = Path(__file__).parents[2] / "watcher" / "web" / "static"
ICONS = {  # file: pixels, and whether a system cuts its own shape out of it
    "icon-180.png": (180, True),
    "icon-192.png": (192, False),
    "icon-512.png": (512, False),
    "icon-maskable-512.png": (512, True),
}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def drawn(svg: str, pixels: int, *, whole: bool) -> str:
    """Return the icon as a page; `whole` fills the corners, and keeps the drawing off the edges."""
    if whole:
        ground = re.search(r'<rect [^>]*fill="(#\w+)"/>', svg)
        colour = ground[1] if ground else ""
        svg = re.sub(
            r"<rect [^>]*/>", f'<rect x="-8" y="-8" width="48" height="48" fill="{colour}"/>', svg
        )
        svg = svg.replace('viewBox="0 0 32 32"', 'viewBox="-4 -4 40 40"')
    return (
        f'<body style="margin:0">{svg.replace("<svg ", f"<svg width={pixels} height={pixels} ", 1)}'
    )


def main() -> None:
    """Write the files."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, _BROWSERS)))
    svg = (STATIC / "icon.svg").read_text()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, (pixels, whole) in ICONS.items():
            page = chromium.new_page(viewport={"width": pixels, "height": pixels})
            page.set_content(drawn(svg, pixels, whole=whole))
            page.screenshot(path=STATIC / name, omit_background=True)
            page.close()
        chromium.close()


if __name__ == "__main__":
    main()
