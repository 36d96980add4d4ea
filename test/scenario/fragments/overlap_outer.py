"""overlap_outer.py PCAP INTERFACE plain|overlap: sends the first fragmented packet of the capture once more, under another ID; with
overlap, a small fragment more lies across the border of the first and the second, with the very bytes that belong there."""
import sys

from scapy.all import IP, Ether, IPv6, IPv6ExtHdrFragment, Raw, conf, rdpcap, sendp

conf.verb = 0
packets = rdpcap(sys.argv[1])
how = sys.argv[3]
if any(IP in p and (p[IP].flags.MF or p[IP].frag) for p in packets):
    layer, bump = IP, 0x5555 if how == "plain" else 0x3333
    mine = [p for p in packets if IP in p and (p[IP].flags.MF or p[IP].frag)]
else:
    layer, bump = IPv6ExtHdrFragment, 0x555555 if how == "plain" else 0x333333
    mine = [p for p in packets if IPv6ExtHdrFragment in p]
pieces = [p for p in mine if p[layer].id == mine[0][layer].id]
assert len(pieces) > 1
data = [bytes(p[layer].payload) for p in pieces]
if how == "overlap":
    extra = pieces[1].copy()
    extra[layer].remove_payload()
    extra[layer].add_payload(Raw(data[0][-8:] + data[1][:8]))
    if layer is IP:
        extra[IP].frag -= 1
        extra[IP].flags = "MF"
    else:
        extra[layer].offset -= 1
        extra[layer].m = 1
    pieces.insert(1, extra)
for p in pieces:
    p[layer].id ^= bump
    if layer is IP:
        del p[IP].len, p[IP].chksum
    else:
        del p[IPv6].plen
    sendp(Ether(bytes(p)), iface=sys.argv[2])
