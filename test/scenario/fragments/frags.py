"""frags.py VERSION ORDER: sends the pieces of a datagram from host A to UDP port 7001 of host B, backwards, with an overlap,
or only its second one (orphan)."""
import random
import sys

from scapy.all import IP, UDP, IPv6, IPv6ExtHdrFragment, Raw, conf, send

conf.verb = 0
version, order = sys.argv[1:]
ident = random.randrange(1, 1 << 16)
if version == "4":
    whole = bytes(IP(src="10.1.0.2", dst="10.2.0.2") / UDP(sport=5000, dport=7001) / Raw(bytes(2400)))[20:]
else:
    whole = bytes((IPv6(src="fd01::2", dst="fd02::2") / UDP(sport=5000, dport=7001) / Raw(bytes(2400))))[40:]


def piece(at, end):
    more = int(end < len(whole))
    if version == "4":
        return IP(src="10.1.0.2", dst="10.2.0.2", id=ident, proto=17, flags=more, frag=at // 8) / Raw(whole[at:end])
    return IPv6(src="fd01::2", dst="fd02::2") / IPv6ExtHdrFragment(nh=17, id=ident, offset=at // 8, m=more) / Raw(whole[at:end])


pieces = [piece(0, 1000), piece(1000, 2000), piece(2000, len(whole))]
if order == "backwards":
    pieces.reverse()
elif order == "overlap":
    pieces[1] = piece(992, 2000)
elif order == "orphan":
    pieces = pieces[1:2]
for p in pieces:
    send(p)
