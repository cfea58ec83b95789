"""Cards and Data Docs as files: nothing is fetched, nothing is run, the verdict comes first.

The static tests run everywhere. Where Chromium is installed the pages are opened in it as well: no
line on its console, and no request beyond the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import CHROMIUM, Browser

_FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
_RUNNING = {"script", "iframe", "frame", "object", "embed", "applet", "base", "form", "link", "img"}


class Links(HTMLParser):
    """Tags, addresses and policies of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []
        self.policies: list[str] = []
        self.words: list[str] = []
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self._style = tag in ("style", "title")
        self.handlers += [name for name in given if name.startswith("on")]
        self.fetched += [value for name, value in given.items() if name in _FETCHING]
        if "href" in given:
            (self.links if tag == "a" else self.fetched).append(given["href"])
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(given["content"])

    def handle_data(self, data: str) -> None:
        if not self._style and data.strip():
            self.words.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self._style = False


def pages_of(folder: Path) -> dict[str, Path]:
    """Every page that a build of the demo's contracts writes, by what it is."""
    found: dict[str, Path] = {}
    for table in ("transactions", "transactions_gan"):
        (found[f"owner's card of {table}"],) = (folder / "target" / "cards" / table).glob(
            "*/report-card.html"
        )
        (found[f"analyst's card of {table}"],) = (folder / "target" / "cards" / table).glob(
            "*/report-card-analyst.html"
        )
        site = folder / "gx" / "uncommitted" / "data_docs" / "local_site"
        (found[f"Data Docs of {table}"],) = (site / "validations" / table).rglob("*.html")
        found[f"suite of {table}"] = site / "expectations" / f"{table}.html"
    found["Data Docs"] = site / "index.html"
    return found


NAMES = [
    *(
        f"{kind} of {table}"
        for table in ("transactions", "transactions_gan")
        for kind in ("owner's card", "analyst's card", "Data Docs", "suite")
    ),
    "Data Docs",
]


@pytest.fixture(scope="session")
def pages(built_once: Path) -> dict[str, Path]:
    found = pages_of(built_once)
    assert sorted(found) == sorted(NAMES)
    return found


def problems(text: str) -> list[str]:
    """Why a page may not be opened without a network, or may run something; empty for a good one."""
    page = Links(text)
    found = [f"tag {tag}" for tag in sorted(page.tags & _RUNNING)]
    found += [f"handler {name}" for name in page.handlers]
    found += [f"fetches {address}" for address in page.fetched if not address.startswith("#")]
    found += [f"leads to {address}" for address in page.links if urlsplit(address).scheme]
    found += [
        f"style {words}" for words in re.findall(r"@import[^;]*|url\(\s*['\"]?(?!#)[^)]*", text)
    ]
    if len(page.policies) != 1 or not page.policies[0].startswith("default-src 'none'"):
        found.append("no policy")
    elif "script-src" in page.policies[0] or "connect-src" in page.policies[0]:
        found.append("policy lets scripts or requests through")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_page_fetches_and_runs_nothing(pages: dict[str, Path], name: str) -> None:
    assert problems(pages[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        '<script>1</script>', '<img src="x.png">', '<a href="https://example.org">x</a>',
        '<link rel="stylesheet" href="a.css">', '<p onclick="f()">x</p>', '<style>@import "a";</style>',
        '<style>p{background:url(//example.org/a.png)}</style>', '<svg><use xlink:href="a.svg"/></svg>',
        '<meta http-equiv="Content-Security-Policy" content="default-src *">',
    ],
)  # fmt: skip
def test_the_test_above_sees_a_bad_page(pages: dict[str, Path], bad: str) -> None:
    good = pages["Data Docs"].read_text(encoding="utf-8")
    assert problems(good.replace("</body>", f"{bad}</body>"))
    assert problems(re.sub(r"<meta http-equiv[^>]*>", "", good)) == ["no policy"]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_page_or_a_place_that_is_there(
    pages: dict[str, Path], name: str
) -> None:
    text = pages[name].read_text(encoding="utf-8")
    for address in Links(text).links:
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in text, address
        else:
            assert (pages[name].parent / unquote(address)).resolve().is_file(), address


def test_card_and_data_docs_of_a_run_lead_to_each_other(pages: dict[str, Path]) -> None:
    for table in ("transactions", "transactions_gan"):
        card, docs = pages[f"owner's card of {table}"], pages[f"Data Docs of {table}"]
        there = [(card.parent / unquote(a)).resolve() for a in Links(card.read_text()).links]
        back = [(docs.parent / unquote(a)).resolve() for a in Links(docs.read_text()).links]
        assert docs.resolve() in there
        assert card.resolve() in back
        index = pages["Data Docs"]
        front = [(index.parent / unquote(a)).resolve() for a in Links(index.read_text()).links]
        assert {card.resolve(), docs.resolve()} <= set(front)
        analyst = pages[f"analyst's card of {table}"].read_text()
        assert all(address.startswith("#") for address in Links(analyst).links)


def test_the_verdict_comes_first(pages: dict[str, Path]) -> None:
    words = Links(pages["Data Docs of transactions_gan"].read_text()).words
    assert words[0] == "RELEASE BLOCKED"
    card = Links(pages["owner's card of transactions_gan"].read_text())
    assert "Do not use." in " ".join(card.words[:20])


def test_every_rule_that_was_measured_has_a_plot(pages: dict[str, Path]) -> None:
    for table in ("transactions", "transactions_gan"):
        text = pages[f"Data Docs of {table}"].read_text(encoding="utf-8")
        measured = len(re.findall(r'<td class="(?:holds|broken)">', text))
        assert measured >= 8
        assert len(re.findall(r'<svg [^>]*aria-labelledby="r\d+-t', text)) >= measured


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with Browser() as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_the_console_is_empty_and_no_request_leaves_the_page(
    pages: dict[str, Path], browser: Browser, name: str, dark: bool
) -> None:
    visit = browser.open(pages[name], dark=dark)
    assert visit.console == []
    assert visit.requests == [pages[name].resolve().as_uri()]


def test_the_browser_tells_of_errors_and_requests(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    pixel = '<img src="http://cards.invalid/pixel.png">'
    page.write_text(f"<!doctype html><script>console.error('x')</script>{pixel}")
    visit = browser.open(page)
    assert any('"x"' in line for line in visit.console)
    assert "http://cards.invalid/pixel.png" in visit.requests
    page.write_text(
        '<!doctype html><meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'\">{pixel}"
    )
    assert browser.open(page).console  # the policy holds it back, and the console says so
