#!/usr/bin/env python3
"""Takes the place of Node: stands between a worker, which it starts by TAP_NODE, and whoever is its primary.

Every line of the channel is written to TAP/wire-ID.jsonl before it goes on. With TAP_SEED it goes on in random
pieces, and together with others, as a socket may deliver it at its worst."""
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time

SEED = os.environ.pop("TAP_SEED", None)
DIRECTORY = os.environ.pop("TAP")
NODE = os.environ.pop("TAP_NODE")
MOST = 65536


class Way:
    """One direction."""

    def __init__(self, name, source, target, dice):
        self.name, self.source, self.target, self.dice = name, source, target, dice
        self.rest = b""
        self.descriptors = []
        # Lines without a descriptor that wait for company.
        self.waiting = b""

    def carry(self, log):
        """Reads once, and hands on what is complete. False at the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self.source, MOST, 16)
        except ConnectionError:
            data, fds = b"", []
        self.descriptors += fds
        if not data:
            self.flush()
            return False
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line.lstrip(b"\x02"))
            except ValueError:
                message = repr(line)
            is_envelope = isinstance(message, dict) and message.get("cmd") == "NODE_HANDLE"
            record = {"way": self.name, "line": message}
            log.write(json.dumps(record) + "\n")
            log.flush()
            self.hand_on(line + b"\n", self.descriptors.pop(0) if is_envelope and self.descriptors else None)
        self.flush()
        return True

    def hand_on(self, line, descriptor):
        if self.dice is None:
            return self.send(line, descriptor)
        if descriptor is None and self.dice.random() < 0.5:
            self.waiting += line
            return None
        line, self.waiting = self.waiting + line, b""
        cuts = sorted({self.dice.randrange(1, len(line)) for _ in range(self.dice.randrange(4))})
        pieces = [line[start:end] for start, end in zip([0, *cuts], [*cuts, len(line)])]
        # A worker waits for an answer before it sends another descriptor, so that its may come with any piece.
        # A primary need not wait, and Node keeps only the newest: it must come with the end of its line.
        carrier = self.dice.randrange(len(pieces)) if self.name == "up" else len(pieces) - 1
        for place, piece in enumerate(pieces):
            self.send(piece, descriptor if place == carrier else None)
            # Time for it to be read alone.
            time.sleep(self.dice.choice([0, 0, 0.0002, 0.001]))
        return None

    def flush(self):
        data, self.waiting = self.waiting, b""
        if data:
            self.send(data, None)

    def send(self, data, descriptor):
        fds = [] if descriptor is None else [descriptor]
        try:
            while data:
                data = data[socket.send_fds(self.target, [data], fds) if fds else self.target.send(data) :]
                fds = []
        except OSError:
            pass  # Its reader has gone; the end will be read.
        if descriptor is not None:
            os.close(descriptor)


def main():
    life = os.environ["NODE_UNIQUE_ID"]
    number = int(os.environ["NODE_CHANNEL_FD"])
    primary = socket.socket(fileno=os.dup(number))
    # The worker's end goes there, and nothing else until then.
    os.dup2(os.open(os.devnull, os.O_RDWR), number)
    # A line that has begun is written to its end.
    primary.setblocking(True)
    worker, theirs = socket.socketpair()
    child = subprocess.Popen(
        [NODE, *sys.argv[1:]],
        preexec_fn=lambda: os.dup2(theirs.fileno(), number),
        pass_fds=[number],
    )
    theirs.close()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda received, _: child.send_signal(received))
    dice = [None if SEED is None else random.Random(f"{SEED} {life} {way}") for way in ("down", "up")]
    ways = [Way("down", primary, worker, dice[0]), Way("up", worker, primary, dice[1])]
    with open(os.path.join(DIRECTORY, f"wire-{life}.jsonl"), "w") as log:
        relay(ways, log)
    # Nobody closes half of a channel.
    primary.close()
    worker.close()
    status = child.wait()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def relay(ways, log):
    """Until one of them ends."""
    selector = selectors.DefaultSelector()
    for way in ways:
        selector.register(way.source, selectors.EVENT_READ, way)
    while True:
        for key, _ in selector.select():
            if not key.data.carry(log):
                return


if __name__ == "__main__":
    main()
