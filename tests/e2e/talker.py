"""A WebSocket server as an app, and a visitor of it on another host: RFC 6455 by hand, each a program of a few lines for python3.

The server says back what it is told, with the client's address as the front passed it on.
"""

SERVER = """\
import base64, hashlib, http.server
KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
class Talk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if not key:
            return self.send_error(426)
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode() + KEY).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while head := self.rfile.read(6):
            told = bytes(byte ^ head[2 + at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 127)))
            said = self.headers["X-Forwarded-For"].encode() + b" said " + told
            self.wfile.write(bytes([0x81, len(said)]) + said)
http.server.ThreadingHTTPServer(("", 80), Talk).serve_forever()
"""

# Arguments: the front, the name that is asked for, and what to say. Prints its own address, the status and each answer.
VISITOR = """\
import socket, ssl, sys
context = ssl._create_unverified_context()
talk = context.wrap_socket(socket.create_connection((sys.argv[1], 443), 10), server_hostname=sys.argv[2])
lines = ["GET /talk HTTP/1.1", "Host: " + sys.argv[2], "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X-Forwarded-For: 192.0.2.99", "", ""]
talk.sendall("\\r\\n".join(lines).encode())
answers = talk.makefile("rb")
print(talk.getsockname()[0])
print(answers.readline().split()[1].decode())
while answers.readline().strip():
    pass
for word in sys.argv[3:]:
    talk.sendall(bytes([0x81, 0x80 | len(word), 1, 2, 3, 4]) + bytes(b ^ (1 + at % 4) for at, b in enumerate(word.encode())))
    print(answers.read(answers.read(2)[1]).decode())
"""
