"""Render the pictures of docs/images from the project's own cards; needs Chromium and a built demo.

    make demo && .venv/bin/python tools/pictures.py [PROJECT]

PROJECT (default: this repository) is a folder in which both contracts of the demo were built.
"""

from __future__ import annotations

import sys
from pathlib import Path

from browser import Browser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
#: file, table, CSS selector (None: from the top), height in pixels, dark
PICTURES = (
    ("report-card-released.png", "transactions", None, 900, False),
    ("report-card-blocked.png", "transactions_gan", None, 900, False),
    ("report-card-figures.png", "transactions_gan", "section[aria-labelledby=fidelity]", 1000, False),
    ("report-card-control.png", "transactions", "section[aria-labelledby=control]", 1000, False),
)  # fmt: skip


def newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        sys.exit(f"there is no {pattern} in {folder}: build the demo first")
    return found[-1]


def main() -> None:
    project = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    with Browser() as browser:
        for name, table, section, height, dark in PICTURES:
            page = newest(project / "target" / "cards" / table, "*/report-card.html")
            visit = browser.open(page, dark=dark)
            if visit.console or visit.requests != [page.resolve().as_uri()]:
                sys.exit(f"{page} is not quiet: {visit}")
            browser.picture(IMAGES / name, section=section, height=height)
            print(f"docs/images/{name}: {page}")
        site = project / "gx" / "uncommitted" / "data_docs" / "local_site"
        browser.open(newest(site / "validations" / "transactions_gan", "**/*.html"))
        browser.picture(IMAGES / "data-docs-blocked.png", height=1100)
        print("docs/images/data-docs-blocked.png")


if __name__ == "__main__":
    main()
