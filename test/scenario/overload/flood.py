#!/usr/bin/python3
"""UDP as fast as it goes: flood.py DST PORT SECONDS. Prints how many bytes the system took."""
import socket
import sys
import time

UDP_SEGMENT = 103
SIZE, SEGMENTS = 1300, 40

to, end = (sys.argv[1], int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    burst = bytes(SIZE * SEGMENTS)
except OSError:
    burst = bytes(SIZE)
sent = 0
while time.monotonic() < end:
    for _ in range(20):
        try:
            sent += s.sendto(burst, to)
        except OSError:
            pass
print(sent)
