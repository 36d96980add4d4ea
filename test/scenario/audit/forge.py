"""Forged packets for the audit scenario, by scapy: forge.py WHAT SRC DST [SPI SEQ]."""
import sys

from scapy.all import AH, ESP, ICMP, IP, UDP, IPv6, Raw, send

what, src, dst = sys.argv[1:4]
spi, seq = (int(a, 0) for a in (sys.argv[4:6] or ("0", "0")))
ip = IPv6(src=src, dst=dst, fl=0x12345) if ":" in src else IP(src=src, dst=dst)
esp = ESP(spi=spi, seq=seq, data=bytes(range(64)))
if what == "esp":
    packet = ip / esp
elif what == "udp":
    packet = ip / UDP(sport=4500, dport=4500, chksum=0) / Raw(bytes(esp))
elif what == "ike":     # an IKE_AUTH of no SA
    head = bytes(range(1, 17)) + bytes([46, 0x20, 35, 8, 0, 0, 0, 1, 0, 0, 0, 60]) + bytes(32)
    packet = ip / UDP(sport=500, dport=500) / Raw(head)
send(packet, count=int(sys.argv[6]) if len(sys.argv) > 6 else 1, verbose=False)
