"""An HTTP server that takes its listeners as systemd (and herder) gives them.

GET /        answers `pid:P worker:N`.
GET /slow/MS answers the same after MS milliseconds.

Standard library only. One thread accepts, each connection has a thread of its own.
"""

import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

from sd_notify import notify, watchdog_interval

FIRST_LISTENER = 3  # after stdin, stdout and stderr


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds for a client to say what it wants

    def do_GET(self) -> None:
        if self.path.startswith("/slow/"):
            time.sleep(int(self.path.removeprefix("/slow/")) / 1000)
        body = f"pid:{os.getpid()} worker:{os.environ.get('HERDER_WORKER_ID', '-')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def inherited_listener() -> socket.socket:
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise SystemExit("plain.py needs one listener: herder run --listen 8080 -- python3 plain.py")
    return socket.socket(fileno=FIRST_LISTENER)


def serve(connection: socket.socket, address: object) -> None:
    try:
        with connection:
            Handler(connection, address, None)
    except OSError:
        pass  # the client has gone


def main() -> None:
    listener = inherited_listener()

    # Closing the listener ends accept() below, and touches nobody else: the herd keeps it open. A
    # handler that raised an exception instead could lose the connection that has just been accepted.
    signal.signal(signal.SIGTERM, lambda *_: listener.close())

    # A signal that comes right before accept() begins to wait would be seen only with the next
    # connection. So there is always a next signal. It also tells that this thread still runs.
    interval = watchdog_interval()
    signal.signal(signal.SIGALRM, lambda *_: notify("WATCHDOG=1") if interval else None)
    signal.setitimer(signal.ITIMER_REAL, interval or 1, interval or 1)

    notify("READY=1")
    connections = []
    while True:
        try:
            connection, address = listener.accept()
        except OSError:
            if listener.fileno() < 0:
                break  # SIGTERM
            time.sleep(0.1)  # no descriptor is left: connections wait in the kernel meanwhile
            continue
        thread = threading.Thread(target=serve, args=(connection, address))
        thread.start()
        connections = [other for other in connections if other.is_alive()] + [thread]

    notify("STOPPING=1")
    for thread in connections:
        thread.join()
    # An interpreter that is on its way out would die of the next one.
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
