#!/usr/bin/python3
"""What a scenario does to the wire: frames of a capture again, changed or not, and datagrams of any bytes.

  wire.py frames FILE --dev IF [--flip OFFSET] [--seq-add N] [--count N]
      sends the frames of a pcap file as they are, from IF. --flip turns one bit at that offset of the
      ESP packet (negative: from its end); --seq-add moves the sequence number.
  wire.py udp DST PORT HEX...     one datagram each ("-" for an empty one)
  wire.py raw DST HEX...          one IP packet of protocol 50 each

Nothing but Python's own library is needed.
"""
import argparse
import socket
import struct
import sys


def pcap_frames(path):
    with open(path, "rb") as f:
        magic, = struct.unpack("<I", f.read(4))
        if magic not in (0xA1B2C3D4, 0xA1B23C4D):
            sys.exit(f"{path}: not a little-endian pcap file")
        f.read(20)
        while len(head := f.read(16)) == 16:
            caplen = struct.unpack("<IIII", head)[2]
            yield bytearray(f.read(caplen))


def esp_offset(frame):
    """Where ESP starts in an Ethernet frame, or None; and whether it is behind UDP."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == 0x0800:
        proto, at = frame[23], 14 + 4 * (frame[14] & 15)
    elif kind == 0x86DD:
        proto, at = frame[20], 54
    else:
        return None, False
    if proto == 50:
        return at, False
    if proto == 17 and 4500 in struct.unpack_from("!HH", frame, at) and len(frame) > at + 12:
        return at + 8, True
    return None, False


def send_frames(args):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((args.dev, 0))
    sent = 0
    for frame in pcap_frames(args.file):
        at, udp = esp_offset(frame)
        if at is None or (args.count and sent >= args.count):
            continue
        if args.seq_add:
            seq, = struct.unpack_from("!I", frame, at + 4)
            struct.pack_into("!I", frame, at + 4, (seq + args.seq_add) & 0xFFFFFFFF)
        if args.flip is not None:
            frame[at + args.flip if args.flip >= 0 else len(frame) + args.flip] ^= 0x10
        if udp and frame[12] == 0x08:
            frame[at - 2:at] = b"\0\0"      # no checksum: the change is for ESP to find
        s.send(bytes(frame))
        sent += 1
    print(sent)


def send_datagrams(args, proto):
    v6 = ":" in args.dst
    family = socket.AF_INET6 if v6 else socket.AF_INET
    if proto == "udp":
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.connect((args.dst, args.port))
    else:
        s = socket.socket(family, socket.SOCK_RAW, 50)
        s.connect((args.dst, 0))
    for text in args.hex:
        try:
            s.send(b"" if text == "-" else bytes.fromhex(text))
        except ConnectionRefusedError:      # an ICMP error for the one before
            s.send(b"" if text == "-" else bytes.fromhex(text))
    print(len(args.hex))


def main():
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(dest="what", required=True)
    f = sub.add_parser("frames")
    f.add_argument("file")
    f.add_argument("--dev", required=True)
    f.add_argument("--flip", type=int)
    f.add_argument("--seq-add", type=int, default=0)
    f.add_argument("--count", type=int, default=0)
    u = sub.add_parser("udp")
    u.add_argument("dst")
    u.add_argument("port", type=int)
    u.add_argument("hex", nargs="+")
    r = sub.add_parser("raw")
    r.add_argument("dst")
    r.add_argument("hex", nargs="+")
    args = p.parse_args()
    if args.what == "frames":
        send_frames(args)
    else:
        send_datagrams(args, args.what)


main()
