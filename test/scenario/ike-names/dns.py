#!/usr/bin/env python3
"""A name server for one address: dns.py ADDRESS NAME ANSWER. Everything else does not exist."""
import socket
import sys

address, name, answer = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((address, 53))
print("ready", flush=True)
while True:
    q, peer = s.recvfrom(512)
    labels, at = [], 12
    while q[at]:
        labels.append(q[at + 1:at + 1 + q[at]].decode())
        at += 1 + q[at]
    question, kind = q[12:at + 5], q[at + 2]
    known = ".".join(labels) == name
    records = [b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04" + socket.inet_aton(answer)] if known and kind == 1 else []
    flags = b"\x85\x80" if known else b"\x85\x83"
    s.sendto(q[:2] + flags + b"\0\x01" + bytes([0, len(records)]) + b"\0\0\0\0" + question + b"".join(records), peer)
