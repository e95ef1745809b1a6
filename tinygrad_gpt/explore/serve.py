"""`--serve`: the page from a server on this machine, which computes an example again when the page changes an input."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.explore.page import as_json, render
from tinygrad_gpt.explore.subject import example_data

HOST = "127.0.0.1"
LONGEST_REQUEST = 1 << 20  # bytes


class Handler(BaseHTTPRequestHandler):
    """GET / is the page; POST /recompute takes {input: its numbers} and answers with new data."""

    server: "Server"

    def do_GET(self) -> None:
        if self.path != "/":
            self._answer(404, "text/plain", "There is only the page itself.")
        elif self._is_local():
            self._answer(200, "text/html", self.server.page)

    def do_POST(self) -> None:
        if not self._is_local():
            return
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/recompute" or length > LONGEST_REQUEST:
            self._answer(404, "text/plain", "There is nothing here to post to.")
            return
        try:
            inputs = json.loads(self.rfile.read(length))
            if not isinstance(inputs, dict):
                raise InputError("The inputs should be an object of lists.")
            self._answer(200, "application/json", as_json(example_data(self.server.example, inputs)))
        except InputError as error:
            self._answer(400, "text/plain", str(error))
        except ValueError:
            self._answer(400, "text/plain", "The request is not JSON.")

    def _is_local(self) -> bool:
        """Is the request addressed to us? Another site's name that leads here is not, and gets no answer."""
        local = self.headers.get("Host", "") in (f"{name}:{self.server.server_port}" for name in (HOST, "localhost"))
        if not local:
            self._answer(403, "text/plain", f"Open http://{HOST}:{self.server.server_port}/ instead.")
        return local

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments) -> None:
        """Print nothing for each request."""


class Server(ThreadingHTTPServer):
    """Serves one example on 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, example: str, port: int = 0):
        self.example = example
        self.page = render(example_data(example) | {"live": True})
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise InputError(f"--port={port} cannot be used: {error.strerror}.") from None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"
