"""How a worker says how it fares: systemd's protocol, in the standard library alone.

Outside of herder (and of systemd) there is nobody to tell, and nothing happens.
"""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Sends one message, such as READY=1 or WATCHDOG=1. Never fails and never waits."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # a name that is no file
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        sender.sendto(state.encode(), address)


def watchdog_interval() -> float | None:
    """How often to send WATCHDOG=1, in seconds: twice as often as is asked for."""
    micros = os.environ.get("WATCHDOG_USEC")
    return int(micros) / 2_000_000 if micros else None
