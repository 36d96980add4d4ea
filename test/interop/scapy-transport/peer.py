#!/usr/bin/python3
"""The other end of one SA pair of AH or ESP, made with scapy. Runs in the peer's namespace; prints "ok - ..." lines.

scapy sends echo requests under protection, plain ones and such with IP options or extension headers; the kernel behind
gateway A answers them (options come back with the answer), bumpwire protects the answers, and scapy verifies them. What a
host sends by itself with options is provoked in A's namespace.
"""
import argparse
import logging
import os
import socket
import subprocess
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (ICMP, IP, UDP, Ether, HBHOptUnknown, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6,  # noqa: E402
                       IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, Raw, RouterAlert, raw)
from scapy.layers.inet import IPOption_RR, IPOption_Router_Alert, IPOption_Timestamp  # noqa: E402
from scapy.layers.ipsec import AH, ESP, SecurityAssociation  # noqa: E402

AUTH = {"sha1": "HMAC-SHA1-96", "md5": "HMAC-MD5-96", "sha256": "SHA2-256-128", "sha384": "SHA2-384-192",
        "sha512": "SHA2-512-256", "aescmac": "AES-CMAC-96"}


class Peer:
    def __init__(self, a):
        self.a = a
        self.v6 = a.outer == "6"
        self.us, self.them = ("2001:db8::2", "2001:db8::1") if self.v6 else ("192.0.2.2", "192.0.2.1")
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind(("wan", 0))
        self.tx = self.sa(0x1002, a.key_ba, a.integ_ba, self.us, self.them)
        self.rx = self.sa(0x1001, a.key_ab, a.integ_ab, self.them, self.us)

    def sa(self, spi, key, integ, src, dst, outer=None):
        more = {}
        if self.a.integ:
            more = {"auth_algo": AUTH[self.a.integ], "auth_key": bytes.fromhex(integ)}
        if self.a.proto == "esp":
            more |= {"crypt_algo": "AES-CBC" if self.a.integ else "AES-GCM", "crypt_key": bytes.fromhex(key)}
        if self.a.esn == "yes":
            more |= {"esn_en": True, "esn": 0}
        if self.a.mode == "tunnel":
            # AH covers the ID: one that the kernel would not choose for 0
            more["tunnel_header"] = outer or (IPv6(src=src, dst=dst) if self.v6 else IP(src=src, dst=dst, id=77))
        return SecurityAssociation(AH if self.a.proto == "ah" else ESP, spi=spi, **more)

    def send(self, packet):
        self.sock.send(raw(Ether(src=self.a.mac_self, dst=self.a.mac) / packet))

    def receive(self, want, seconds=3.0):
        """Packets from A that scapy has verified, without protection; None for each it refused."""
        got, end = [], time.time() + seconds
        layer = AH if self.a.proto == "ah" else ESP
        while len(got) < want and time.time() < end:
            self.sock.settimeout(max(0.01, end - time.time()))
            try:
                frame = Ether(self.sock.recv(65536))
            except socket.timeout:
                break
            if frame.src != self.a.mac or layer not in frame or frame[layer].spi != 0x1001:
                continue
            try:
                plain = self.rx.decrypt(frame.payload.copy())
                got.append((IPv6 if self.v6 else IP)(raw(plain)))  # scapy leaves what was behind AH undissected
            except Exception as e:  # scapy's own kinds
                print(f"# refused: {e}")
                got.append(None)
        return got

    def header(self, n, **more):
        if self.v6:
            return IPv6(src=self.us, dst=self.them)
        return IP(src=self.us, dst=self.them, id=n, **more)

    def echo(self, n, size=56):
        return ICMPv6EchoRequest(id=7, seq=n, data=os.urandom(size)) if self.v6 else ICMP(id=7, seq=n) / Raw(os.urandom(size))


def say(good, what, why=""):
    print(("ok - " if good else "not ok - ") + what + (f" ({why})" if why and not good else ""), flush=True)


def data_of(p):
    if p is None:
        return None
    if ICMP in p:
        return bytes(p[ICMP].payload)
    for kind in (ICMPv6EchoReply, ICMPv6EchoRequest):
        if kind in p:
            return bytes(p[kind].data)
    return None


def ask(peer, what, packets):
    """All are answered, byte by byte."""
    for p in packets:
        peer.send(peer.tx.encrypt(p))
    got = peer.receive(len(packets))
    came = sorted(data_of(p) or b"" for p in got)  # two workers: in any order
    say(None not in got and came == sorted(data_of(p) for p in packets), what,
        f"{sum(p is not None for p in got)} of {len(packets)} came back")
    return [p for p in got if p is not None]


def with_options(peer):
    """Transport mode: what stands between the IP header and the IPsec header. Tunnel mode: in the packet inside."""
    if not peer.v6:
        rows = [("router alert", [IPOption_Router_Alert()]), ("time stamp", [IPOption_Timestamp(flg=0, timestamp=0)]),
                ("record route", [IPOption_RR(routers=["0.0.0.0"] * 3)])]
        for i, (name, options) in enumerate(rows):
            got = ask(peer, f"IPv4 option {name}", [peer.header(200 + i, options=options) / peer.echo(200 + i)])
            if name != "router alert":
                say(bool(got) and len(got[0].options) > 0, f"the answer has {name} as well")
        return
    unknown = HBHOptUnknown(otype=0x3E, optdata=b"abcd")  # may change on the way; who does not know it skips it
    ask(peer, "IPv6 hop-by-hop options", [peer.header(0) / IPv6ExtHdrHopByHop(options=[RouterAlert(), unknown]) / peer.echo(210)])
    ask(peer, "IPv6 destination options", [peer.header(0) / IPv6ExtHdrDestOpt(options=[unknown]) / peer.echo(211)])
    ask(peer, "both", [peer.header(0) / IPv6ExtHdrHopByHop(options=[unknown]) / IPv6ExtHdrDestOpt(options=[unknown]) / peer.echo(212)])


def with_outer_options(peer):
    """Tunnel mode: between the outer IP header and the IPsec header, and inside at the same time."""
    unknown = HBHOptUnknown(otype=0x1E, optdata=b"abcd")  # does not change on the way
    ends = {"src": peer.us, "dst": peer.them}
    if peer.v6:
        rows = [("hop-by-hop options", IPv6(**ends) / IPv6ExtHdrHopByHop(options=[RouterAlert(), unknown])),
                ("destination options", IPv6(**ends) / IPv6ExtHdrDestOpt(options=[unknown])),
                ("both", IPv6(**ends) / IPv6ExtHdrHopByHop(options=[unknown]) / IPv6ExtHdrDestOpt(options=[unknown]))]
        inner = peer.header(0) / IPv6ExtHdrDestOpt(options=[unknown])
    else:
        rows = [("router alert", IP(id=78, options=[IPOption_Router_Alert()], **ends)),
                ("time stamp", IP(id=79, options=[IPOption_Timestamp(flg=0, timestamp=0)], **ends)),
                ("record route", IP(id=80, options=[IPOption_RR(routers=["0.0.0.0"] * 3)], **ends))]
        inner = peer.header(220, options=[IPOption_RR(routers=["0.0.0.0"] * 2)])
    plain, number = peer.tx, peer.tx.seq_num
    for i, (name, outer) in enumerate(rows):
        peer.tx = peer.sa(0x1002, peer.a.key_ba, peer.a.integ_ba, peer.us, peer.them, outer)
        peer.tx.seq_num = number + i
        ask(peer, f"outside, {name}", [inner / peer.echo(220 + i)])
    peer.tx, plain.seq_num = plain, number + len(rows)


SENDER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
if ':' in sys.argv[1]:
    pad = bytes([0, 0, 1, 4, 0, 0, 0, 0])
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, pad)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, pad)
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0]))
s.sendto(b'x' * 100, (sys.argv[1], 5555))
"""


def own_options(peer):
    """The host behind bumpwire sends a datagram with options."""
    subprocess.run(["ip", "netns", "exec", peer.a.ns_a, "/usr/bin/python3", "-c", SENDER, peer.us], check=True)
    got = [p for p in peer.receive(1) if p is not None and UDP in p]
    say(len(got) == 1 and bytes(got[0][UDP].payload)[:100] == b"x" * 100, "a datagram of the host's with options")
    if got and peer.v6:
        say(IPv6ExtHdrHopByHop in got[0] and IPv6ExtHdrDestOpt in got[0], "with both extension headers")
    elif got:
        say(len(got[0].options) >= 2, "with its options")


def main():
    ap = argparse.ArgumentParser()
    for key in ("proto", "mode", "integ", "outer", "esn", "mac", "mac-self", "key-ab", "key-ba", "integ-ab", "integ-ba", "ns-a"):
        ap.add_argument("--" + key, default="")
    peer = Peer(ap.parse_args())
    sizes = [0, 1, 2, 3, 15, 16, 17, 64, 500, 1200]
    ask(peer, "scapy's packets are accepted, and bumpwire's verified by scapy", [
        peer.header(i) / peer.echo(i, size) for i, size in enumerate(sizes, 1)])
    with_options(peer)
    own_options(peer)
    if peer.a.mode == "tunnel":
        with_outer_options(peer)
    # one bit of what AH or ESP covers
    p = peer.tx.encrypt(peer.header(300) / peer.echo(300))
    data = bytearray(raw(p))
    data[-20] ^= 1
    peer.send(p.__class__(bytes(data)))
    say(len(peer.receive(1, 0.5)) == 0, "a changed payload is not accepted")
    if peer.a.proto == "ah":
        p = peer.tx.encrypt(peer.header(301) / peer.echo(301))
        if peer.v6:
            p.hlim, p.tc, p.fl = 3, 0x20, 0x54321
        else:
            p.ttl, p.tos = 3, 0x20
            del p.chksum
        peer.send(p)
        say(len(peer.receive(1)) == 1, "what routers change may change")


main()
