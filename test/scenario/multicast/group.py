#!/usr/bin/python3
"""Datagrams to a multicast group.

  group.py send GROUP PORT --dev IF [--src ADDR] --text WORD [--count N] [--size BYTES]
  group.py receive GROUP PORT --dev IF --count N [--time SECONDS]
      prints "ready" once it has joined, then a line for each datagram: its sender, its first word and its
      number; ends after N, or when nothing has come for so long
  group.py ivs FILE
      of a pcap file with ESP in IPv4: how many packets, how many different explicit IVs, and pairs of the last
      byte of the source address and the first of the IV
"""
import argparse
import socket
import struct
import sys
import time


def joined(args):
    index = socket.if_nametoindex(args.dev)
    if ":" in args.group:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((args.group, args.port, 0, index))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     socket.inet_pton(socket.AF_INET6, args.group) + struct.pack("@i", index))
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((args.group, args.port))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     struct.pack("@4s4si", socket.inet_aton(args.group), b"\0" * 4, index))
    return s


def receive(args):
    s = joined(args)
    s.settimeout(args.time)
    print("ready", flush=True)
    try:
        for _ in range(args.count):
            data, who = s.recvfrom(65535)
            print(who[0], data.split()[0].decode(), data.split()[1].decode(), flush=True)
    except socket.timeout:
        pass


def send(args):
    index = socket.if_nametoindex(args.dev)
    v6 = ":" in args.group
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    if v6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 8)
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", b"\0" * 4, b"\0" * 4, index))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
    if args.src:
        s.bind((args.src, 0))
    for i in range(args.count):
        text = f"{args.text} {i} ".encode()
        s.sendto(text + b"x" * (args.size - len(text)), (args.group, args.port))
        time.sleep(0.01)


def ivs(args):
    seen, senders, n = set(), set(), 0
    with open(args.group, "rb") as f:
        f.read(24)
        while len(head := f.read(16)) == 16:
            frame = f.read(struct.unpack("<IIII", head)[2])
            if frame[12:14] != b"\x08\x00" or frame[23] != 50:
                continue
            at = 14 + 4 * (frame[14] & 15)
            n += 1
            seen.add(frame[at + 8:at + 16])
            senders.add((frame[29], frame[at + 8]))
    print(n, len(seen), sorted(senders))


p = argparse.ArgumentParser()
p.add_argument("what", choices=["send", "receive", "ivs"])
p.add_argument("group")
p.add_argument("port", type=int, nargs="?")
p.add_argument("--dev")
p.add_argument("--src")
p.add_argument("--text", default="text")
p.add_argument("--count", type=int, default=10)
p.add_argument("--size", type=int, default=100)
p.add_argument("--time", type=float, default=3)
a = p.parse_args()
sys.exit({"send": send, "receive": receive, "ivs": ivs}[a.what](a))
