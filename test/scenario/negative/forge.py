#!/usr/bin/python3
"""The peer of the scenario `negative`, who has the keys and does everything wrong: forge.py --outer 4|6 --mac OF-A --mac-self OURS.

Reads names, one a line; each sends some packets from the peer's wire and prints how many of them must be accepted, and how many dropped. With --outer 6 everything is IPv6, inside as well.
"""
import argparse
import hashlib
import hmac
import logging
import os
import socket
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (ICMP, IP, UDP, Ether, ICMPv6DestUnreach, ICMPv6EchoRequest, IPerror, IPerror6, IPv6,  # noqa: E402
                       IPv6ExtHdrFragment, Raw, UDPerror, raw)
from scapy.layers.ipsec import AH, ESP, SecurityAssociation, _ESPPlain  # noqa: E402

p = argparse.ArgumentParser()
p.add_argument("--outer", choices=("4", "6"), default="4")
p.add_argument("--mac", required=True)
p.add_argument("--mac-self", required=True)
ARGS = p.parse_args()
V6 = ARGS.outer == "6"
US, THEM = ("2001:db8::2", "2001:db8::1") if V6 else ("192.0.2.2", "192.0.2.1")
NEXT, OTHER = (41, 4) if V6 else (4, 41)  # next header of what is inside, and of what is not


def key(n, seed):
    return bytes((seed + i) % 256 for i in range(n))


def outer(proto=None, n=77):
    """n: AH covers the ID: one that the kernel would not choose for 0."""
    if V6:
        return IPv6(src=US, dst=THEM, **({} if proto is None else {"nh": proto}))
    return IP(src=US, dst=THEM, id=n, **({} if proto is None else {"proto": proto}))


def again(packet):
    """As it is read from the wire."""
    return (IPv6 if V6 else IP)(raw(packet))


def esp_sa(spi, seed, **more):
    return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key(20, seed), tunnel_header=outer(), **more)


def ah_sa(spi, seed):
    return SecurityAssociation(AH, spi=spi, auth_algo="SHA2-256-128", auth_key=key(32, seed), tunnel_header=outer())


ESP1, ESN, AH1 = esp_sa(0x1002, 10), esp_sa(0x1012, 20, esn_en=True, esn=0), ah_sa(0x1022, 30)
IN_AH, OUT_ESP = ah_sa(0x1032, 40), esp_sa(0x1042, 50)  # the bundle: AH inside, ESP outside


def host(net, n=2):
    return f"fd{net:02}::{n}" if V6 else f"10.{net}.0.{n}"


def inner(src=2, dst=1, n=1):
    """An echo request from a host of the network 10.src.0.0/16 or fd0src::/16, as src.2, to dst.1."""
    src, dst = host(src), host(dst, 1)
    if V6:
        return IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=7, seq=n, data=bytes(range(40)))
    return IP(src=src, dst=dst, id=n) / ICMP(id=7, seq=n) / Raw(bytes(range(40)))


def fragment(src):
    data = Raw(b"x" * 40)
    if V6:
        return IPv6(src=host(src), dst=host(1, 1)) / IPv6ExtHdrFragment(nh=17, offset=100, id=5) / data
    return IP(src=host(src), dst=host(1, 1), frag=100) / data


def seal(sa, packet, seq, **more):
    return again(sa.encrypt(packet, seq_num=seq, **more))


def esn(n, hi=None):
    """Sequence number n, of which the ICV covers `hi` as the upper half."""
    return seal(ESN, inner(3, n=n & 0xFFFF), n & 0xFFFFFFFF, esn_en=True, esn=n >> 32 if hi is None else hi)


def by_hand(seq, text, next_header, padlen=None, padding=None):
    """ESP with any text, next header and padding."""
    esp = _ESPPlain(spi=ESP1.spi, seq=seq, iv=ESP1.crypt_algo.generate_iv())
    esp.data, esp.nh = text, next_header
    if padding is None:
        esp = ESP1.crypt_algo.pad(esp)
    else:
        esp.padlen, esp.padding = padlen, padding
    e = ESP1.crypt_algo.encrypt(ESP1, esp, ESP1.crypt_key, 16)
    return again(outer(50) / e)


def ah_by_hand(seq, packet, spi=0x1032, seed=40, hi=None):
    """AH around any packet, of any number (RFC 4302 3.3.3.1): scapy would sign ESP inside in place of the whole. hi: of ESN."""
    pad = bytes(4 if V6 else 0)  # its size is a multiple of 8 then
    ah = bytes([NEXT, 6 if V6 else 5, 0, 0]) + spi.to_bytes(4, "big") + (seq & 0xFFFFFFFF).to_bytes(4, "big")
    size = len(ah) + 16 + len(pad) + len(packet)
    muted = outer(51, 79)
    if V6:
        muted.plen, muted.hlim = size, 0
    else:
        muted.len, muted.ttl, muted.chksum = 20 + size, 0, 0
    covered = raw(muted) + ah + bytes(16) + pad + raw(packet)
    if hi is not None:
        covered += hi.to_bytes(4, "big")
    icv = hmac.new(key(32, seed), covered, hashlib.sha256).digest()[:16]
    return again(outer(51, 79) / Raw(ah + icv + pad + raw(packet)))


def ah(seq):
    return ah_by_hand(seq, inner(4, n=seq & 0xFFFF), 0x1022, 30)


def ah_esn(n, hi=None):
    return ah_by_hand(n, inner(8, n=n & 0xFFFF), 0x1062, 70, n >> 32 if hi is None else hi)


def cut(packet, n):
    """The first n bytes behind the IP header, as a whole packet."""
    return again(outer(packet.nh if V6 else packet.proto, 78) / Raw(raw(packet.payload)[:n]))


def quoting(src, dst):
    if V6:
        about = IPerror6(src=src, dst=dst) / UDPerror(sport=5000, dport=80)
        return IPv6(src="fd99::1", dst=host(1, 1)) / ICMPv6DestUnreach(code=4) / about
    about = IPerror(src=src, dst=dst, proto=17) / UDPerror(sport=5000, dport=80)
    return IP(src="172.16.0.1", dst=host(1, 1)) / ICMP(type=3, code=3) / about


def truncated(sa, net):
    whole = seal(sa, inner(net), 5000)
    return [cut(whole, n) for n in range(1, len(raw(whole.payload)))]


def truncated_inner():
    data = raw(inner())
    return [by_hand(6000 + n, data[:n], NEXT) for n in range(len(data))]


CASES = {
    # name: packets that are accepted, packets that are not
    "good": lambda: ([seal(ESP1, inner(), 1), seal(AH1, inner(4), 1), esn(1), ah_esn(1),
                      seal(OUT_ESP, seal(IN_AH, inner(5), 1), 1)], []),
    "selectors-esp": lambda: ([], [seal(ESP1, inner(*a), 10 + i) for i, a in enumerate(((9,), (2, 7), (4,), (1, 2)))]),
    "selectors-ah": lambda: ([], [seal(AH1, inner(*a), 10 + i) for i, a in enumerate(((9,), (2,)))]),
    "fragment-esp": lambda: ([], [seal(ESP1, fragment(9), 20)]),
    "icmp": lambda: ([seal(ESP1, quoting(host(1, 1), host(2)), 30)], [seal(ESP1, quoting(host(1, 1), host(4)), 31)]),
    "order": lambda: ([], [ah_by_hand(10, seal(OUT_ESP, inner(5), 10))]),
    "one-missing": lambda: ([], [seal(IN_AH, inner(5), 11), seal(OUT_ESP, inner(5), 11)]),
    "one-more": lambda: ([], [seal(OUT_ESP, ah_by_hand(12, seal(ESP1, inner(), 40)), 12)]),
    # a window of 64 whose right edge is 200: 137 is its left edge
    "window": lambda: ([seal(ESP1, inner(n=2), n) for n in (200, 137, 201)],
                       [seal(ESP1, inner(n=2), n) for n in (137, 136, 138 - 64, 200)] + [by_hand(0, raw(inner()), NEXT)]),
    "window-ah": lambda: ([ah(n) for n in (200, 137, 201)], [ah(n) for n in (137, 136, 138 - 64, 200, 0)]),
    # without ESN the last number is the end: what comes behind it is old
    "wrap": lambda: ([seal(ESP1, inner(n=3), 0xFFFFFFFF)],
                     [seal(ESP1, inner(n=3), n) for n in (1, 0xFFFFFFFF)] + [by_hand(0, raw(inner()), NEXT)]),
    "wrap-ah": lambda: ([ah(0xFFFFFFFF)], [ah(n) for n in (1, 0xFFFFFFFF, 0)]),
    # from where the receiver is, it knows which upper half is meant
    "esn-near": lambda: ([esn(0xFFFFFFF0)], []),
    "esn-near-ah": lambda: ([ah_esn(0xFFFFFFF0)], []),
    "esn-wrap": lambda: across(esn),
    "esn-wrap-ah": lambda: across(ah_esn),
    # the upper half is not what the receiver takes it for: one round behind, one ahead; and behind the window
    "esn-half": lambda: ([], [esn(3, 0), esn(4, 2), esn(0xFFFFFF00, 0)]),
    "esn-half-ah": lambda: ([], [ah_esn(3, 0), ah_esn(4, 2), ah_esn(0xFFFFFF00, 0)]),
    "format": lambda: ([], [by_hand(300, raw(inner()), 6), by_hand(301, raw(inner()), OTHER),
                            by_hand(302, b"\x45" + bytes(33), NEXT, 4, b"\x01\x02\x09\x04"),
                            by_hand(303, bytes(10), NEXT, 200, bytes(4))]),
    "encap": lambda: ([], [again(outer() / UDP(sport=4500, dport=4500, chksum=None if V6 else 0) /
                                 Raw(raw(seal(ESP1, inner(), 310).payload)))]),
    "truncated-esp": lambda: ([], truncated(ESP1, 2)),
    "truncated-ah": lambda: ([], truncated(AH1, 4)),
    "truncated-inner": lambda: ([], truncated_inner()),
    "cleartext": lambda: ([], cleartext()),
}


def across(make):
    return ([make(n) for n in (0xFFFFFFFE, 0x100000001, 0xFFFFFFFF, 0x100000002)],
            [make(n) for n in (0x100000001, 0xFFFFFFFE, 0x100000002)])


def cleartext():
    echo = ICMPv6EchoRequest(id=9, data=b"clear") if V6 else ICMP(id=9) / Raw(b"clear")
    return [outer() / echo, outer() / UDP(sport=5000, dport=7) / Raw(b"clear")]


def main():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("wan", 0))
    for name in sys.stdin:
        good, bad = CASES[name.strip()]()
        for packet in good + bad:
            s.send(raw(Ether(src=ARGS.mac_self, dst=ARGS.mac) / packet))
        print(len(good), len(bad), flush=True)


main()
