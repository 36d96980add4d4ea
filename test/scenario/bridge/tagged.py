"""Frames that no kernel here would make: tagged.py SRC_MAC DST_MAC TAGS SRC DST COUNT sends that many ICMP echo requests behind
VLAN tags ("5", "5,7"), the first of an 802.1ad kind when there are two."""
import sys
from scapy.all import Dot1Q, Ether, ICMP, IP, Raw, sendp

src_mac, dst_mac, tags, src, dst, count = sys.argv[1:]
frame = Ether(src=src_mac, dst=dst_mac)
tags = tags.split(",")
for tag in tags:
    frame /= Dot1Q(vlan=int(tag))
if len(tags) > 1:
    frame.type = 0x88A8
frame /= IP(src=src, dst=dst) / ICMP(id=77, seq=5) / Raw(b"t" * 100)
sendp(frame, iface="eth0", count=int(count), inter=0.01, verbose=False)
