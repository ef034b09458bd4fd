"""A registry without images: `registry.py PORT USER:PASSWORD`. Whoever is not logged in is told to do so."""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main(port: int, login: str) -> None:
    expected = f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logged_in = self.headers["Authorization"] == expected
            self.send_response(401 if not logged_in else 200 if self.path == "/v2/" else 404)
            if not logged_in:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            words = "logged in, and there is no such image" if logged_in else "log in first"
            body = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": words}]}).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_HEAD = do_GET

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
