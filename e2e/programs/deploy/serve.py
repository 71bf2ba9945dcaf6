"""A server of some version over LISTEN_FDS: what the file VERSION_FILE says when it starts,
`VERSION [MISDEED [NUMBER]]`.

  throw      ends while it is loaded
  mute       never says that it is ready
  dies MS    ends so many milliseconds after it is ready

It leaves as a program should that holds connections for later requests: with SIGTERM it takes no new ones, says
`Connection: close` in every answer from then on, and closes a connection only when for a second nothing came.
"""

import asyncio
import os
import signal
import socket
import sys

FIRST_LISTENER = 3  # after stdin, stdout and stderr
LINGER = 2.5  # seconds in which a request that was on its way is still served
IDLE = 30.0

with open(os.environ["VERSION_FILE"]) as file:
    VERSION, MISDEED, NUMBER = (file.read().split() + ["", ""])[:3]
if MISDEED == "throw":
    raise ImportError(f"version {VERSION} cannot be loaded")

ME = f"pid:{os.getpid()} worker:{os.environ.get('HERDER_WORKER_ID', '-')} version:{VERSION}"
LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if "LEDGER" in os.environ else None


def notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # a name that is no file
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


class Server:
    def __init__(self, listener: socket.socket) -> None:
        self.leaving = asyncio.Event()
        self.listener = listener
        self.connections: set[asyncio.Task] = set()
        listener.setblocking(False)

    def accept(self) -> None:
        try:
            connection, (_, port) = self.listener.accept()
        except OSError:
            return  # another worker was faster
        if LEDGER is not None:
            os.write(LEDGER, f"got {port} {os.getpid()}\n".encode())
        # At once in the set: between accepting and serving there is no moment in which it is nobody's.
        task = asyncio.create_task(self.serve(connection))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            while await self.request(reader, writer):
                pass
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()

    async def head(self, reader: asyncio.StreamReader) -> bytes | None:
        """The next head; None when the client has gone, or nothing comes while the server leaves."""
        head = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        leaving = asyncio.ensure_future(self.leaving.wait())
        try:
            await asyncio.wait({head, leaving}, timeout=IDLE, return_when=asyncio.FIRST_COMPLETED)
            if not head.done():
                await asyncio.wait({head}, timeout=LINGER)
            return await head if head.done() else None
        except asyncio.IncompleteReadError:
            return None
        finally:
            head.cancel()
            leaving.cancel()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await self.head(reader)
        if head is None:
            return False
        first, *lines = head.decode().split("\r\n")
        _, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if LEDGER is not None and "x-request" in headers:
            os.write(LEDGER, f"saw {headers['x-request']} {os.getpid()}\n".encode())
        body = ME
        if length := int(headers.get("content-length", 0)):
            body += f" bytes:{len(await reader.readexactly(length))}"
        if path.startswith("/slow/"):
            await asyncio.sleep(int(path.removeprefix("/slow/")) / 1000)
        closes = self.leaving.is_set() or headers.get("connection", "").lower() == "close"
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
        answer += f"Connection: {'close' if closes else 'keep-alive'}\r\n\r\n{body}"
        writer.write(answer.encode())
        await writer.drain()
        return not closes


async def main() -> None:
    server = Server(socket.socket(fileno=FIRST_LISTENER))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.leaving.set)
    if MISDEED != "mute":
        loop.add_reader(server.listener, server.accept)
        notify("READY=1")
    if MISDEED == "dies":
        loop.call_later(int(NUMBER) / 1000, os._exit, 3)
    await server.leaving.wait()
    # The listener is everybody's: it is only not asked any more.
    loop.remove_reader(server.listener)
    while server.connections:
        await asyncio.wait(set(server.connections))


if __name__ == "__main__":
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit("one listener is needed: herder run --listen 8080 -- python3 serve.py")
    asyncio.run(main())
