"""Speaks the protocol of Node's cluster by hand, and breaks it when it is asked to."""
import json
import os
import signal
import socket
import sys

HOW = sys.argv[1]
channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
me = int(os.environ["NODE_UNIQUE_ID"])
rest = b""
seq = 0


def say(**message):
    global seq
    message = {"cmd": "NODE_CLUSTER", "seq": seq, **message}
    seq += 1
    channel.sendall(json.dumps(message).encode() + b"\n")


def hear():
    """The next line, and the descriptor that came with it."""
    global rest
    found = None
    while b"\n" not in rest:
        data, fds, _, _ = socket.recv_fds(channel, 65536, 4)
        found = fds[0] if fds else found
        if not data:
            sys.exit(0)
        rest += data
    line, rest = rest.split(b"\n", 1)
    return json.loads(line), found


def misbehave():
    if HOW == "blank":
        channel.sendall(b"\n")
    elif HOW == "json":
        channel.sendall(b'{"cmd":"NODE_CLUSTER",\n')
    elif HOW == "long":
        channel.sendall(b'{"cmd":"NODE_CLUSTER","act":"')
        for _ in range(100):
            channel.sendall(b"x" * 1024 * 1024)
    elif HOW == "message":
        channel.sendall(b'"')
        for _ in range(100):
            channel.sendall(b"x" * 1024 * 1024)
        channel.sendall(b'"\n')
    elif HOW == "sockets":
        for _ in range(64):
            mine, theirs = socket.socketpair()
            socket.send_fds(channel, [b'"look"\n'], [mine.fileno()])
            mine.close()
            theirs.close()
    elif HOW == "deaf":
        # Asks for ever, and never reads an answer.
        index = 0
        while True:
            say(act="queryServer", index=index, data="x" * 4096, address=None, port=-5, addressType=9)
            index += 1
    elif HOW == "lies":
        # Verdicts on what it was not given, and answers to what was not sent.
        for ack in range(1000):
            say(ack=ack + 1_000_000, accepted=ack % 2 == 0)
        channel.sendall(b'{"cmd":"NODE_HANDLE_ACK"}\n{"cmd":"NODE_HANDLE_NACK"}\n' * 1000)
        say(act="close", key="1000")
        say(act="close", key="nonsense")


say(act="online")
port = int(os.environ["PORT_TO_TAKE"])
query = {"index": 0, "data": None, "address": "127.0.0.1", "port": port, "addressType": 4, "flags": 0}
say(act="queryServer", **query)
misbehaved = False
while True:
    message, fd = hear()
    inner = message.get("msg", message)
    if inner.get("errno", 0) is None and "sockname" in inner:
        say(act="listening", **{**query, "port": inner["sockname"]["port"]})
    if inner.get("act") == "disconnect":
        sys.exit(0)
    if inner.get("act") != "newconn":
        continue
    channel.sendall(b'{"cmd":"NODE_HANDLE_ACK"}\n')
    say(ack=inner["seq"], accepted=True)
    connection = socket.socket(fileno=fd)
    connection.setblocking(True)
    connection.recv(65536)
    body = f"pid:{os.getpid()} worker:{me}".encode()
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)
    connection.close()
    if me == 1 and not misbehaved:
        misbehaved = True
        misbehave()
        # Whoever is killed for it takes nothing more: that would be cut with it, if the master is slow to read.
        while HOW not in ("lies", "message"):
            signal.pause()
