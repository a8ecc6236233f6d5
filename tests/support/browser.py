"""A real browser that looks at the page, and remembers what it should not have seen."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

AXE = Path(__file__).with_name("axe") / "axe.min.js"
SERIOUS = ("serious", "critical")


def chromium() -> str | None:
    """Where Chromium is: distributions name it differently."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def missing() -> str | None:
    """What is not here, None: all is."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "needs playwright"
    return None if chromium() else "needs Chromium: apt-get install chromium"


class Looked:
    """What went wrong in the browser while it looked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []

    def watch(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self._url):
            self.elsewhere.append(request.url)


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    """A Chromium without a window."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        # A container has no place for its sandbox, and it sees this machine's pages only.
        started = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"]
        )
        try:
            yield started
        finally:
            await started.close()


@asynccontextmanager
async def looking(chrome: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    """A page of a fresh profile. Ends with an error where it said or asked what it should not."""
    context = await chrome.new_context(base_url=url, **options)
    looked = Looked(url)
    context.on("page", looked.watch)
    page = await context.new_page()
    page.set_default_timeout(30_000)
    page.looked = looked
    try:
        yield page
    finally:
        await context.close()
    assert looked.errors == []
    assert looked.elsewhere == []


async def accessible(page: Any) -> list[str]:
    """What axe-core finds serious. It is put into the page from outside, past the page's policy."""
    if not await page.evaluate("typeof axe !== 'undefined'"):
        await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


async def fits(page: Any) -> bool:
    """Whether nothing is wider than the window."""
    return await page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


async def overlaps(page: Any) -> list[str]:
    """Which texts are printed over others, or cells over cells: each pair, as it is seen."""
    return await page.evaluate(_OVERLAPS)


_OVERLAPS = """() => {
  const cut = (a, b) => ({left: Math.max(a.left, b.left), right: Math.min(a.right, b.right),
                          top: Math.max(a.top, b.top), bottom: Math.min(a.bottom, b.bottom)});
  const wide = (box) => box.right - box.left > 2 && box.bottom - box.top > 3;
  const shown = (element) => element.checkVisibility({visibilityProperty: true});
  const clipped = (element, box) => {
    for (let up = element; up && up !== document.body; up = up.parentElement) {
      if (getComputedStyle(up).overflow !== "visible") box = cut(box, up.getBoundingClientRect());
    }
    return box;
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || !shown(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = clipped(element, rect);
      if (wide(box)) texts.push([box, node, node.data.trim().slice(0, 40)]);
    }
  }
  const inside = (cell) => {
    const box = cell.getBoundingClientRect(), style = getComputedStyle(cell);
    const padding = (side) => parseFloat(style[`padding${side}`]);
    return {left: box.left + padding("Left"), right: box.right - padding("Right"),
            top: box.top + padding("Top"), bottom: box.bottom - padding("Bottom")};
  };
  const cellOf = (cell) =>
    [clipped(cell, inside(cell)), cell, cell.textContent.trim().slice(0, 40)];
  const rows = [...document.querySelectorAll("tr")];
  const found = [];
  for (const group of [texts, ...rows.map((row) => [...row.cells].filter(shown).map(cellOf))]) {
    group.forEach(([box, node, text], place) => {
      for (const [other, its, said] of group.slice(place + 1)) {
        if (node !== its && wide(cut(box, other))) found.push(`${text} | ${said}`);
      }
    });
  }
  return [...new Set(found)];
}"""
