"""Labelled UDP packets into a TUN device: label.py DEVICE SRC DST LEVEL CATEGORIES(hex of the bit map) [bad].

Past the kernel's router, which may know of no DOI and refuse them; a LEVEL of none sends a packet without a label."""
import socket
import struct
import sys

from scapy.all import IP, UDP, IPOption, Raw

device, src, dst, level, cats = sys.argv[1:6]
options = []
if level != "none":
    bits = bytes.fromhex(cats)
    align = 1 if sys.argv[6:] == ["bad"] else 0
    tag = bytes([1, 4 + len(bits), align, int(level)]) + bits
    options = [IPOption(bytes([134, 6 + len(tag)]) + struct.pack(">I", 1) + tag)]
packet = bytes(IP(src=src, dst=dst, options=options) / UDP(sport=7000, dport=7000) / Raw(b"labelled"))
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as s:
    s.sendto(packet, (device, 0x0800))
