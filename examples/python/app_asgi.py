"""An ASGI application that says when it is ready and that it still lives. No framework.

GET /        answers `pid:P worker:N`.
GET /slow/MS answers the same after MS milliseconds.
"""

import asyncio
import os

from sd_notify import notify, watchdog_interval


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "http":
        await answer(scope, send)


async def live(receive, send):
    await receive()  # lifespan.startup: open database pools and the like here
    beats = asyncio.create_task(beat())
    await send({"type": "lifespan.startup.complete"})
    notify("READY=1")
    await receive()  # lifespan.shutdown: every request has been answered
    beats.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def beat():
    """Runs on the loop that serves: when that hangs, the beats stop."""
    while interval := watchdog_interval():
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


async def answer(scope, send):
    if scope["path"].startswith("/slow/"):
        await asyncio.sleep(int(scope["path"].removeprefix("/slow/")) / 1000)
    body = f"pid:{os.getpid()} worker:{os.environ.get('HERDER_WORKER_ID', '-')}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
