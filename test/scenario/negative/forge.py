#!/usr/bin/python3
"""The peer of the scenario `negative`, who has the keys and does everything wrong: forge.py NAME --mac OF-A --mac-self OURS.

Each name sends some packets from the peer's wire and prints how many of them must be accepted, and how many dropped.
"""
import argparse
import hashlib
import hmac
import logging
import os
import socket

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import ICMP, IP, UDP, Ether, IPerror, Raw, UDPerror, raw  # noqa: E402
from scapy.layers.ipsec import AH, ESP, SecurityAssociation, _ESPPlain  # noqa: E402

US, THEM = "192.0.2.2", "192.0.2.1"


def key(n, seed):
    return bytes((seed + i) % 256 for i in range(n))


def tunnel():
    return IP(src=US, dst=THEM, id=77)  # AH covers the ID: one that the kernel would not choose for 0


def esp_sa(spi, seed, **more):
    return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key(20, seed), tunnel_header=tunnel(), **more)


def ah_sa(spi, seed):
    return SecurityAssociation(AH, spi=spi, auth_algo="SHA2-256-128", auth_key=key(32, seed), tunnel_header=tunnel())


ESP1, ESN, AH1 = esp_sa(0x1002, 10), esp_sa(0x1012, 20, esn_en=True, esn=0), ah_sa(0x1022, 30)
IN_AH, OUT_ESP = ah_sa(0x1032, 40), esp_sa(0x1042, 50)  # the bundle: AH inside, ESP outside


def inner(src="10.2.0.2", dst="10.1.0.1", n=1):
    return IP(src=src, dst=dst, id=n) / ICMP(id=7, seq=n) / Raw(bytes(range(40)))


def seal(sa, packet, seq, **more):
    return IP(raw(sa.encrypt(packet, seq_num=seq, **more)))


def esn(n, hi=None):
    """Sequence number n, of which the ICV covers `hi` as the upper half."""
    return seal(ESN, inner("10.3.0.2", n=n & 0xFFFF), n & 0xFFFFFFFF, esn_en=True, esn=n >> 32 if hi is None else hi)


def by_hand(seq, text, next_header, padlen=None, padding=None):
    """ESP with any text, next header and padding."""
    esp = _ESPPlain(spi=ESP1.spi, seq=seq, iv=ESP1.crypt_algo.generate_iv())
    esp.data, esp.nh = text, next_header
    if padding is None:
        esp = ESP1.crypt_algo.pad(esp)
    else:
        esp.padlen, esp.padding = padlen, padding
    e = ESP1.crypt_algo.encrypt(ESP1, esp, ESP1.crypt_key, 16)
    return IP(raw(IP(src=US, dst=THEM, proto=50) / e))


def ah_by_hand(seq, packet):
    """The bundle's AH around a packet with ESP in it, which scapy would sign in place of the whole (RFC 4302 3.3.3.1)."""
    ah = bytes([4, 5, 0, 0]) + (0x1032).to_bytes(4, "big") + seq.to_bytes(4, "big")
    ip = IP(src=US, dst=THEM, id=79, proto=51, len=20 + len(ah) + 16 + len(packet), ttl=0, chksum=0)
    icv = hmac.new(key(32, 40), raw(ip) + ah + bytes(16) + raw(packet), hashlib.sha256).digest()[:16]
    return IP(raw(IP(src=US, dst=THEM, id=79, proto=51) / Raw(ah + icv + raw(packet))))


def cut(packet, n):
    """The first n bytes behind the IP header, as a whole packet."""
    return IP(raw(IP(src=US, dst=THEM, proto=packet.proto, id=78) / Raw(raw(packet.payload)[:n])))


def quoting(src, dst):
    about = IPerror(src=src, dst=dst, proto=17) / UDPerror(sport=5000, dport=80)
    return IP(src="172.16.0.1", dst="10.1.0.1") / ICMP(type=3, code=3) / about


def truncated(sa, host):
    whole = seal(sa, inner(host), 5000)
    return [cut(whole, n) for n in range(1, len(raw(whole.payload)))]


def truncated_inner():
    data = raw(inner())
    return [by_hand(6000 + n, data[:n], 4) for n in range(len(data))]


CASES = {
    # name: packets that are accepted, packets that are not
    "good": lambda: ([seal(ESP1, inner(), 1), seal(AH1, inner("10.4.0.2"), 1), esn(1),
                      seal(OUT_ESP, seal(IN_AH, inner("10.5.0.2"), 1), 1)], []),
    "selectors-esp": lambda: ([], [seal(ESP1, inner(*a), 10 + i) for i, a in enumerate((
        ("10.9.0.9",), ("10.2.0.2", "10.7.0.1"), ("10.4.0.2",), ("10.1.0.1", "10.2.0.2")))]),
    "selectors-ah": lambda: ([], [seal(AH1, inner(*a), 10 + i) for i, a in enumerate((("10.9.0.9",), ("10.2.0.2",)))]),
    "fragment-esp": lambda: ([], [seal(ESP1, IP(src="10.9.0.9", dst="10.1.0.1", frag=100) / Raw(b"x" * 40), 20)]),
    "icmp": lambda: ([seal(ESP1, quoting("10.1.0.1", "10.2.0.2"), 30)], [seal(ESP1, quoting("10.1.0.1", "10.4.0.2"), 31)]),
    "order": lambda: ([], [ah_by_hand(10, seal(OUT_ESP, inner("10.5.0.2"), 10))]),
    "one-missing": lambda: ([], [seal(IN_AH, inner("10.5.0.2"), 11), seal(OUT_ESP, inner("10.5.0.2"), 11)]),
    "one-more": lambda: ([], [seal(OUT_ESP, ah_by_hand(12, seal(ESP1, inner(), 40)), 12)]),
    # a window of 64 whose right edge is 200: 137 is its left edge
    "window": lambda: ([seal(ESP1, inner(n=2), n) for n in (200, 137, 201)],
                       [seal(ESP1, inner(n=2), n) for n in (137, 136, 138 - 64, 200)] + [by_hand(0, raw(inner()), 4)]),
    # without ESN the last number is the end: what comes behind it is old
    "wrap": lambda: ([seal(ESP1, inner(n=3), 0xFFFFFFFF)], [seal(ESP1, inner(n=3), n) for n in (1, 0xFFFFFFFF)] + [by_hand(0, raw(inner()), 4)]),
    # from where the receiver is, it knows which upper half is meant
    "esn-near": lambda: ([esn(0xFFFFFFF0)], []),
    "esn-wrap": lambda: ([esn(n) for n in (0xFFFFFFFE, 0x100000001, 0xFFFFFFFF, 0x100000002)],
                         [esn(n) for n in (0x100000001, 0xFFFFFFFE, 0x100000002)]),
    # the upper half is not what the receiver takes it for: one round behind, one ahead; and behind the window
    "esn-half": lambda: ([], [esn(3, 0), esn(4, 2), esn(0xFFFFFF00, 0)]),
    "format": lambda: ([], [by_hand(300, raw(inner()), 6), by_hand(301, raw(inner()), 41),
                            by_hand(302, b"\x45" + bytes(33), 4, 4, b"\x01\x02\x09\x04"),
                            by_hand(303, bytes(10), 4, 200, bytes(4))]),
    "encap": lambda: ([], [IP(raw(IP(src=US, dst=THEM) / UDP(sport=4500, dport=4500, chksum=0) /
                                  Raw(raw(seal(ESP1, inner(), 310).payload))))]),
    "truncated-esp": lambda: ([], truncated(ESP1, "10.2.0.2")),
    "truncated-ah": lambda: ([], truncated(AH1, "10.4.0.2")),
    "truncated-inner": lambda: ([], truncated_inner()),
}


def cleartext():
    return [IP(src=US, dst=THEM) / ICMP(id=9) / Raw(b"clear"), IP(src=US, dst=THEM) / UDP(sport=5000, dport=7) / Raw(b"clear")]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("name")
    p.add_argument("--mac", required=True)
    p.add_argument("--mac-self", required=True)
    a = p.parse_args()
    good, bad = ([], cleartext()) if a.name == "cleartext" else CASES[a.name]()
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("wan", 0))
    for packet in good + bad:
        s.send(raw(Ether(src=a.mac_self, dst=a.mac) / packet))
    print(len(good), len(bad))


main()
