"""Fragments of one datagram of which the second begins inside the first: overlap.py SRC_MAC DST_MAC SRC DST"""
import sys
from scapy.all import Ether, IP, Raw, sendp

src_mac, dst_mac, src, dst = sys.argv[1:]
head = Ether(src=src_mac, dst=dst_mac)
sendp([head / IP(src=src, dst=dst, proto=17, id=4711, flags="MF", frag=0) / Raw(b"a" * 800),
       head / IP(src=src, dst=dst, proto=17, id=4711, frag=50) / Raw(b"b" * 800)], iface="eth0", verbose=False)
