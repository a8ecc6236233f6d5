"""What mkdocs has to know of docs/: its start is the README, and links lead out of it."""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parents[1]
README = DOCS.parent / "README.md"
_LINK = re.compile(r"!?\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """The README comes first."""
    files.append(File.generated(config, "index.md", content=README.read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to what is no part of the site become text, pictures nothing."""
    is_start = page.file.src_uri == "index.md"
    source = README if is_start else DOCS / page.file.src_uri
    here = DOCS if is_start else source.parent

    def link(found: re.Match[str]) -> str:
        target = (source.parent / found[2]).resolve()
        if target == README:
            target = DOCS / "index.md"
        elif not (target.is_file() and target.is_relative_to(DOCS)):
            return "" if found[0].startswith("!") else found[1]
        return found[0].replace(found[2], os.path.relpath(target, here))

    return _LINK.sub(link, markdown)
