#!/usr/bin/env python3
"""Stand between the programs for services and the receiver, and use all freedom that Server-Sent Events leave.

Lines end with CR LF, comments stand within events, data has two lines, and a connection breaks within a line. While
the receiver is away, the answer is 502 with a page, as of other proxies.
"""
import http.client, sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

receiver = urlsplit(sys.argv[1]).netloc


class Proxy(BaseHTTPRequestHandler):
    def body(self):
        """Read the body of a request, which may come in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "transfer-encoding")}
        try:
            upstream = http.client.HTTPConnection(receiver)
            upstream.request(self.command, self.path, self.body(), headers)
            answer = upstream.getresponse()
        except OSError:
            self.send_error(502)
            return
        self.send_response(answer.status)
        for name in ("Content-Type", "Location", "Retry-After"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        if answer.headers["Content-Type"] != "text/event-stream":
            self.wfile.write(answer.read())
            return
        with suppress(OSError, http.client.HTTPException):  # until the receiver or the program is gone
            for line in answer:
                line = line.rstrip(b"\n").replace(b"data: {", b"data:{\r\n: a comment\r\ndata: ")
                self.wfile.write(b": a comment\r\n" * (line != b"") + line + b"\r\n")
        with suppress(OSError):
            self.wfile.write(b"event: finished\r\nid: 999999")  # a program that counts this line is wrong

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
