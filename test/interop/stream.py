#!/usr/bin/python3
"""A TCP stream that goes on until it is told to end, with a hash of it at both ends.

stream.py recv PORT                   takes one connection; prints "BYTES SHA256" at its end
stream.py send ADDRESS PORT RATE      sends RATE bytes a second (less where TCP slows down) until SIGTERM;
                                      prints the same, and how long the longest pause of it was, in ms
"""
import hashlib
import os
import signal
import socket
import sys
import time


def receive(port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    peer = server.accept()[0]
    digest, count = hashlib.sha256(), 0
    while data := peer.recv(1 << 16):
        digest.update(data)
        count += len(data)
    print(count, digest.hexdigest(), flush=True)


def send(address, port, rate):
    done = False

    def end(*_):
        nonlocal done
        done = True

    signal.signal(signal.SIGTERM, end)
    peer = socket.create_connection((address, port), timeout=20)
    block = os.urandom(16384)
    digest, count, longest = hashlib.sha256(), 0, 0.0
    start = time.monotonic()
    while not done:
        ahead = count / rate - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)
        before = time.monotonic()
        data = count.to_bytes(8, "big") + block[8:]
        peer.sendall(data)
        longest = max(longest, time.monotonic() - before)
        digest.update(data)
        count += len(data)
    peer.close()
    print(count, digest.hexdigest(), round(longest * 1000), flush=True)


if sys.argv[1] == "recv":
    receive(int(sys.argv[2]))
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
