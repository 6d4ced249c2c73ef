"""Messages that come faster than a page can take them, over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from playwright.sync_api import Page
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from nds_jupyter.widgets import panels
from tests.browser.modules.conftest import PAGE

pytestmark = pytest.mark.browser

BURST, ALL = 150, 200

LISTEN = """async (url) => {
  const { EventStream } = await import("/event_stream.js");
  window.told = [];
  let others = 0;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { others += 1; port2.postMessage(null); };
  port2.postMessage(null);
  const take = ({ number }) => {
    window.told.push({ number, others });
    // A panel that has much to do.
    for (const end = performance.now() + 2; performance.now() < end; );
  };
  window.stream = new EventStream(url, take, () => {});
}"""


class Home(RequestHandler):
    def get(self) -> None:
        self.finish(PAGE)


class Events(WebSocketHandler):
    """Sends numbered messages from where the page is; the first connection ends with a burst."""

    asked: ClassVar[list[int]] = []

    def check_origin(self, origin: str) -> bool:
        return True

    def open(self, *args: str, **kwargs: str) -> None:
        since = int(self.get_query_argument("since", "e.0").partition(".")[2])
        first = not self.asked
        self.asked.append(since)
        for number in range(since + 1, (BURST if first else ALL) + 1):
            told = {"type": "job", "seq": f"e.{number}", "number": number, "text": "x" * 20_000}
            self.write_message(json.dumps(told))
        if first:
            self.close()


@pytest.fixture
def events() -> Iterator[str]:
    Events.asked.clear()
    ready = threading.Event()
    addresses: list[str] = []
    stop: list[asyncio.Event] = []

    async def serve() -> None:
        stop.append(asyncio.Event())
        files = (r"/(\w+\.\w+)", StaticFileHandler, {"path": str(panels.STATIC)})
        server = HTTPServer(Application([("/nds/events", Events), ("/", Home), files]))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            server.add_socket(listening)
            addresses.append(f"http://127.0.0.1:{listening.getsockname()[1]}/")
            loops.append(asyncio.get_running_loop())
            ready.set()
            await stop[0].wait()
            server.stop()
            await server.close_all_connections()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30), "the server of the test did not start"
    yield addresses[0]
    loops[0].call_soon_threadsafe(stop[0].set)
    thread.join(30)


def test_a_burst_is_taken_in_turns_and_a_cut_loses_nothing(bare_page: Page, events: str) -> None:
    # A browser lets no page from elsewhere talk to its own machine.
    bare_page.goto(events)
    bare_page.evaluate(LISTEN, f"{events}nds")
    bare_page.wait_for_function(f"window.told.at(-1)?.number === {ALL}")
    told = bare_page.evaluate("window.told")
    bare_page.evaluate("window.stream.close()")
    assert [each["number"] for each in told] == list(range(1, ALL + 1))
    # What else the page had to do was done in between.
    at_once = max(
        sum(1 for each in told if each["others"] == others)
        for others in {each["others"] for each in told}
    )
    assert at_once <= 10
    # The second connection began after what was read of the first.
    assert Events.asked[0] == 0
    assert len(Events.asked) == 2
