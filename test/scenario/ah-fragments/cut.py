#!/usr/bin/python3
"""A wire that cuts: frames go from one interface to the other and back, IP packets longer than SIZE in fragments, the last of
them first.

  cut.py IF1 IF2 SIZE
"""
import select
import socket
import struct
import sys


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pieces(data, size):
    each = size & ~7
    return [(at, data[at:at + each], at + each < len(data)) for at in range(0, len(data), each)]


def cut4(frame, size):
    ip = frame[14:]
    length, = struct.unpack_from("!H", ip, 2)
    head, data = ip[:4 * (ip[0] & 15)], ip[4 * (ip[0] & 15):length]
    for at, part, more in pieces(data, size - len(head)):
        h = bytearray(head)
        struct.pack_into("!H", h, 2, len(h) + len(part))
        struct.pack_into("!H", h, 6, (0x2000 if more else 0) | at // 8)
        struct.pack_into("!H", h, 10, 0)
        struct.pack_into("!H", h, 10, checksum(h))
        yield frame[:14] + bytes(h) + part


def cut6(frame, size, number):
    head, data = frame[14:54], frame[54:54 + struct.unpack_from("!H", frame, 18)[0]]
    for at, part, more in pieces(data, size - 48):
        h = bytearray(head)
        struct.pack_into("!H", h, 4, 8 + len(part))
        h[6] = 44
        yield frame[:14] + bytes(h) + struct.pack("!BBHI", head[6], 0, at | more, number) + part


def main(names, size):
    ends = []
    for name in names:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.bind((name, 0))
        ends.append(s)
    number = 0
    print("ready", flush=True)
    while True:
        for s in select.select(ends, [], [])[0]:
            frame, who = s.recvfrom(65535)
            if who[2] == socket.PACKET_OUTGOING:
                continue
            out, kind = [frame], frame[12:14]
            if len(frame) - 14 > size and kind == b"\x08\x00":
                out = list(cut4(frame, size))
            elif len(frame) - 14 > size and kind == b"\x86\xdd":
                number += 1
                out = list(cut6(frame, size, number))
            for f in reversed(out):
                ends[s is ends[0]].send(f)


main(sys.argv[1:3], int(sys.argv[3]))
