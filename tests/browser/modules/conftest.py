"""A page that has the front end's modules and nothing else: no JupyterLab, no server, no engine."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from nds_jupyter.widgets import panels

ADDRESS = "http://panels.test/"
PAGE = """<!doctype html>
<html lang="en">
<title>Panels</title>
<link rel="stylesheet" href="/nds.css">
<style>body { margin: 0 } #place { height: 600px; width: 900px }</style>
<div id="place"></div>
"""


def answer(route: Route) -> None:
    """Serve the checkout's own files."""
    name = urlsplit(route.request.url).path.lstrip("/")
    if not name:
        route.fulfill(body=PAGE, content_type="text/html; charset=utf-8")
        return
    path = panels.STATIC / name
    if not path.is_file():
        route.fulfill(status=404)
        return
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    route.fulfill(body=path.read_bytes(), content_type=f"{kind}; charset=utf-8")


@pytest.fixture
def bare_page(context: BrowserContext) -> Iterator[Page]:
    """Give a page with an empty place of 900 by 600 pixels; it may log no error."""
    errors: list[str] = []
    page = context.new_page()
    page.set_viewport_size({"width": 900, "height": 600})
    page.route(f"{ADDRESS}**", answer)
    page.on("pageerror", lambda error: errors.append(str(error.stack or error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto(ADDRESS)
    yield page
    page.close()
    assert errors == []
