"""forge.py udp|none SRC DST SPI MTU: an ICMP message to SRC, saying that its packet of 1500 bytes to DST was too big, the MTU being so."""
import sys

from scapy.all import ICMP, IP, UDP, ICMPv6PacketTooBig, IPv6, Raw, conf, send

conf.verb = 0
encap, src, dst, spi, mtu = sys.argv[1:]
esp = int(spi, 0).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes(16)
if ":" in src:
    quote = IPv6(src=src, dst=dst, nh=17 if encap == "udp" else 50, plen=1460)
    quote /= UDP(sport=4500, dport=4500, len=1460) / Raw(esp) if encap == "udp" else Raw(esp)
    send(IPv6(src="2001:db8:1::ff", dst=src) / ICMPv6PacketTooBig(mtu=int(mtu)) / Raw(bytes(quote)))
else:
    quote = IP(src=src, dst=dst, proto=17 if encap == "udp" else 50, len=1500, flags="DF")
    quote /= UDP(sport=4500, dport=4500, len=1480) / Raw(esp) if encap == "udp" else Raw(esp)
    send(IP(src="192.0.2.254", dst=src) / ICMP(type=3, code=4, nexthopmtu=int(mtu)) / Raw(bytes(quote)))
