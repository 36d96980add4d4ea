#!/usr/bin/python3
"""What the hosts say to each other.

  talk.py serve             TCP port 7100: answers with the sha256 of what came; UDP port 7101: listens
  talk.py send ADDR MTU     TCP in odd pieces both ways, UDP of odd sizes alone, in trains and in fragments

Little is on its way at a time, so that nothing is lost for lack of room.
"""
import hashlib
import random
import socket
import sys
import threading
import time

UDP_SEGMENT = 103


def receive_all(s):
    h = hashlib.sha256()
    while data := s.recv(65536):
        h.update(data)
    return h.digest()


def serve():
    def answer(c):
        c.sendall(receive_all(c) + random.Random(2).randbytes(200_001))
        c.close()

    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    udp.bind(("::", 7101))
    tcp = socket.create_server(("::", 7100), family=socket.AF_INET6, dualstack_ipv6=True)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
    while True:
        threading.Thread(target=answer, args=(tcp.accept()[0],), daemon=True).start()


def tcp(family, to, total):
    r, h = random.Random(total), hashlib.sha256()
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    s.settimeout(15)
    s.connect((to, 7100))
    while total:
        piece = r.randbytes(min(total, r.choice((1, 7, 1359, 1361, 10_001, 64_999))))
        h.update(piece)
        s.sendall(piece)
        total -= len(piece)
    s.shutdown(socket.SHUT_WR)
    back = b""
    while data := s.recv(65536):
        back += data
    if back != h.digest() + random.Random(2).randbytes(200_001):
        sys.exit("TCP: what came back is not what was sent")


def udp(family, to, mtu):
    r = random.Random(mtu)
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    s.connect((to, 7101))
    most = mtu - (28 if family == socket.AF_INET else 48)
    for size in [*range(0, 20), *range(most - 9, most + 1), *(r.randrange(most) for _ in range(30))]:
        s.send(r.randbytes(size))
    time.sleep(0.05)
    for size in (most + 1, 5001, 20_000, 65_000):  # fragments
        s.send(r.randbytes(size))
        time.sleep(0.01)
    for seg, n, tail in ((1, 3, 0), (7, 64, 0), (99, 40, 98), (777, 30, 1), (most // 2, 9, 5), (most, 5, most - 1), (1001, 1, 7)):
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, seg)
        s.send(r.randbytes(seg * n + tail))
        time.sleep(0.01)


if sys.argv[1] == "serve":
    serve()
address, link = sys.argv[2], int(sys.argv[3])
kind = socket.AF_INET6 if ":" in address else socket.AF_INET
for amount in (1, 4321, 900_001):
    tcp(kind, address, amount)
udp(kind, address, link)
