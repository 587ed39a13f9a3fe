"""Check every page of a web site: work that waits, and a loop that waits for one page at a time.

The site is a small server that this program starts on its own machine; each page takes 50 ms to answer. The same pages
are fetched twice, as a loop and as `pmap`, and both must give the same answer. Nothing here says "threads": parmap sees
that the function waits.

Run it:

    python examples/fetch_pages.py            # 200 pages, about ten seconds for the loop
    python examples/fetch_pages.py --quick    # a sample, about a second
"""

import argparse
import http.client
import http.server
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from parmap import pmap

PAGES = 200
QUICK_LIMIT = 20
ANSWER_SECONDS = 0.05


class Site(http.server.BaseHTTPRequestHandler):
    """A site of numbered pages, each with a title and some links; every seventh page is missing."""

    def do_GET(self) -> None:
        """Answer one request, slowly."""
        time.sleep(ANSWER_SECONDS)
        number = int(self.path.rpartition("/")[2])
        links = "".join(f'<a href="/page/{number * step}">more</a>' for step in range(2, 3 + number % 5))
        body = f"<title>Page {number}</title>{links}".encode()
        self.send_response(404 if number % 7 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Stay quiet."""


class Server(http.server.ThreadingHTTPServer):
    """A server that many clients may call at the same moment."""

    request_queue_size = 256  # the default of 5 makes a burst of clients wait a second for the next try


@dataclass(frozen=True, slots=True)
class Page:
    """What a visitor learns of one page."""

    number: int
    status: int
    title: str
    links: tuple[str, ...]


def fetch(number: int) -> Page:
    """Get one page and read its title and links: this is the body of the loop."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", f"/page/{number}")
        response = connection.getresponse()
        text = response.read().decode()
    title = re.search("<title>(.*?)</title>", text)
    return Page(number, response.status, title[1] if title else "", tuple(re.findall('href="(.*?)"', text)))


def timed(job: Callable[[], list[Page]]) -> tuple[list[Page], float]:
    """Run a job and return its result with the seconds that it took."""
    start = time.perf_counter()
    result = job()
    return result, time.perf_counter() - start


parser = argparse.ArgumentParser(description="Fetch the pages of a slow local web site, as a loop and as pmap.")
parser.add_argument("--limit", type=int, metavar="N", default=PAGES, help=f"fetch N pages (default {PAGES})")
parser.add_argument("--quick", action="store_true", help=f"the same as --limit {QUICK_LIMIT}")
arguments = parser.parse_args()
if arguments.limit < 1:
    parser.error(f"--limit is {arguments.limit}: it must be at least 1")

server = Server(("127.0.0.1", 0), Site)
port = server.server_address[1]
threading.Thread(target=server.serve_forever, daemon=True).start()

numbers = range(1, 1 + (QUICK_LIMIT if arguments.quick else arguments.limit))
print(f"http://127.0.0.1:{port}: {len(numbers)} pages, each answers after {ANSWER_SECONDS * 1000:.0f} ms\n")

expected, loop_seconds = timed(lambda: [fetch(number) for number in numbers])
results, pmap_seconds = timed(lambda: pmap(fetch, numbers))
server.shutdown()
server.server_close()

missing = [page.number for page in results if page.status == http.client.NOT_FOUND]
print(f"pages found    {len(results) - len(missing):7}")
print(f"pages missing  {len(missing):7}  {', '.join(map(str, missing[:8]))}{', ...' if missing[8:] else ''}")
print(f"links seen     {sum(len(page.links) for page in results):7}")
print(f"\nloop       {loop_seconds:7.2f} s")
print(f"pmap       {pmap_seconds:7.2f} s")
print(f"speed-up   {loop_seconds / pmap_seconds:7.2f} x")
print(f"identical  {'yes' if results == expected else 'NO':>7}")
sys.exit(0 if results == expected else 1)
