"""An HTTP server at every listener that LISTEN_FDS names: answers `pid:P worker:N`, after as many milliseconds as
`/slow/MS` says, and for `/names` the names of its listeners.

With SIGTERM it takes no new connections, and finishes those that it has.
"""

import asyncio
import os
import signal
import socket
import sys

FIRST_LISTENER = 3  # after stdin, stdout and stderr
NAMES = os.environ.get("LISTEN_FDNAMES", "")


def notify(state: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), os.environ["NOTIFY_SOCKET"])


async def serve(connection: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        _, path, _ = head.decode().split("\r\n")[0].split(" ")
        if path.startswith("/slow/"):
            await asyncio.sleep(int(path.removeprefix("/slow/")) / 1000)
        body = f"pid:{os.getpid()} worker:{os.environ.get('HERDER_WORKER_ID', '-')}"
        if path == "/names":
            body = NAMES
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client has gone
    finally:
        writer.close()


class Server:
    def __init__(self, listeners: list[socket.socket]) -> None:
        self.listeners = listeners
        self.connections: set[asyncio.Task] = set()

    def accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # another worker was faster
        # At once in the set: between accepting and serving there is no moment in which it is nobody's.
        task = asyncio.create_task(serve(connection))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        leaving = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, leaving.set)
        for listener in self.listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self.accept, listener)
        notify("READY=1")
        await leaving.wait()
        for listener in self.listeners:
            loop.remove_reader(listener)
            listener.close()
        while self.connections:
            await asyncio.wait(set(self.connections))


if __name__ == "__main__":
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("listeners are needed: herder run --listen 8080 --listen unix:/run/it.sock -- python3 several.py")
    count = int(os.environ["LISTEN_FDS"])
    asyncio.run(Server([socket.socket(fileno=FIRST_LISTENER + place) for place in range(count)]).live())
