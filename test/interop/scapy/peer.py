#!/usr/bin/python3
"""The other end of a tunnel, made with scapy, for one suite. Runs in the peer's namespace; prints "ok - ..." lines.

Inbound: ESP made by scapy goes to gateway A, whose TUN device must hand the inner packets to the kernel: the echo
requests are answered. Outbound: those answers come back as ESP made by bumpwire, and scapy decrypts them. tshark, where
it is installed, decrypts a capture of both directions and checks every ICV.
"""
import argparse
import copy
import json
import logging
import os
import shutil
import socket
import subprocess
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import ICMP, IP, UDP, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, Raw, raw, wrpcap  # noqa: E402
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402

CRYPT = {"gcm16": ("AES-GCM", "AES-GCM with 16 octet ICV [RFC4106]"), "ccm16": ("AES-CCM", None), "ctr": ("AES-CTR", "AES-CTR [RFC3686]"),
         "": ("AES-CBC", "AES-CBC [RFC3602]")}
AUTH = {"sha1": ("HMAC-SHA1-96", "HMAC-SHA-1-96 [RFC2404]"),
        "md5": ("HMAC-MD5-96", "HMAC-MD5-96 [RFC2403]"),
        "sha256": ("SHA2-256-128", "HMAC-SHA-256-128 [RFC4868]"),
        "sha384": ("SHA2-384-192", "HMAC-SHA-384-192 [RFC4868]"),
        "sha512": ("SHA2-512-256", "HMAC-SHA-512-256 [RFC4868]"),
        "aescmac": ("AES-CMAC-96", "ANY 96 bit authentication [no checking]")}


def names(suite):
    """For a suite: scapy's names and tshark's, (crypt, auth), (crypt or None, auth)."""
    cipher, _, integ = suite.partition("-")
    auth = AUTH.get(integ, ("NULL", "NULL"))
    if cipher == "chacha20poly1305":
        return ("CHACHA20-POLY1305", auth[0]), (None, auth[1])
    if cipher == "3des":
        return ("3DES", auth[0]), ("TripleDES-CBC [RFC2451]", auth[1])
    if cipher == "null":
        return ("NULL", auth[0]), ("NULL", auth[1])
    crypt = CRYPT[cipher[6:]]
    return (crypt[0], auth[0]), (crypt[1], auth[1])


class EsnMac:
    """scapy leaves the upper half of an extended sequence number out of ESP's separate ICV (RFC 4303 2.8): it goes last."""

    def __init__(self, mac):
        self.update, self.mac = mac.update, mac

    def finalize(self):
        self.mac.update(bytes(4))
        return self.mac.finalize()


class Peer:
    def __init__(self, a):
        self.a = a
        self.v6 = a.outer == "6"
        self.us, self.them = ("2001:db8::2", "2001:db8::1") if self.v6 else ("192.0.2.2", "192.0.2.1")
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind(("wan", 0))
        self.frames = []
        self.tx = self.sa(0x1002, a.key_ba, a.integ_ba, self.us, self.them)
        self.rx = self.sa(0x1001, a.key_ab, a.integ_ab, self.them, self.us)

    def sa(self, spi, key, integ, src, dst):
        (crypt, auth), _ = names(self.a.suite)
        outer = (IPv6 if self.v6 else IP)(src=src, dst=dst)
        more = {}
        if auth != "NULL":
            more = {"auth_algo": auth, "auth_key": bytes.fromhex(integ)}
        if self.a.esn == "yes":
            more |= {"esn_en": True, "esn": 0}
        if self.a.encap == "udp":
            more["nat_t_header"] = UDP(sport=4500, dport=4500)
        sa = SecurityAssociation(ESP, spi=spi, crypt_algo=crypt, crypt_key=bytes.fromhex(key),
                                 tunnel_header=outer, **more)
        if self.a.esn == "yes" and sa.auth_algo.mac:
            plain = sa.auth_algo
            sa.auth_algo = copy.copy(plain)
            sa.auth_algo.new_mac = lambda k: EsnMac(plain.new_mac(k))
        return sa

    def send(self, packet):
        # scapy leaves length and checksum of the UDP header it puts around ESP as they were without it
        if UDP in packet:
            del packet[UDP].len
            packet[UDP].chksum = None if self.v6 else 0
        frame = Ether(raw(Ether(src=self.a.mac_self, dst=self.a.mac) / packet))
        self.frames.append(frame)
        self.sock.send(raw(frame))

    def seal(self, inner, seq=None):
        return self.tx.encrypt(inner, seq_num=seq)

    def receive(self, want, seconds=3.0):
        """Decrypted inner packets from A until `want` of them came."""
        got, end = [], time.time() + seconds
        while len(got) < want and time.time() < end:
            self.sock.settimeout(max(0.01, end - time.time()))
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                break
            frame = Ether(data)
            if frame.src != self.a.mac or ESP not in frame or frame[ESP].spi != 0x1001:
                continue
            self.frames.append(frame)
            layer = frame[IPv6] if self.v6 else frame[IP]
            got.append(self.rx.decrypt(layer.copy()))
        return got

    def drops(self, reason):
        out = json.loads(subprocess.run(self.a.status.split(), stdout=subprocess.PIPE, check=True).stdout)
        return sum(d["packets"] for d in out["drops"] if d["reason"] == reason)


def say(good, what, why=""):
    print(("ok - " if good else "not ok - ") + what + (f" ({why})" if why and not good else ""), flush=True)


def echo4(n, size):
    return IP(src="10.2.0.2", dst="10.1.0.1", id=n) / ICMP(id=7, seq=n) / Raw(os.urandom(size))


def echo6(n, size):
    return IPv6(src="fd02::2", dst="fd01::1") / ICMPv6EchoRequest(id=7, seq=n, data=os.urandom(size))


def exchange(peer):
    sizes = [0, 1, 2, 3, 15, 16, 17, 64, 500, 1200]
    asked = []
    for i, size in enumerate(sizes, 1):
        asked.append(echo4(i, size))
        peer.send(peer.seal(asked[-1]))
    for i, size in enumerate(sizes, 1):
        asked.append(echo6(i, size))
        peer.send(peer.seal(asked[-1]))
    got = peer.receive(len(asked))
    say(len(got) == len(asked), "scapy's packets are accepted, and bumpwire's decrypted by scapy",
        f"{len(got)} of {len(asked)} came back")
    data = {bytes(p[ICMP].payload) for p in got if ICMP in p} | {p[ICMPv6EchoReply].data for p in got if ICMPv6EchoReply in p}
    sent = {bytes(p[ICMP].payload) for p in asked if ICMP in p} | {p[ICMPv6EchoRequest].data for p in asked if IPv6 in p}
    say(data == sent, "byte by byte")


def hand_made(peer):
    """What scapy's own encrypt() does not make: TFC padding, dummies, and wrong padding. By its parts."""
    from scapy.layers.ipsec import _ESPPlain

    def seal(payload, next_header, padlen=None, padding=None, seq=None):
        sa = peer.tx
        esp = _ESPPlain(spi=sa.spi, seq=sa.seq_num if seq is None else seq, iv=sa.crypt_algo.generate_iv())
        esp.data, esp.nh = payload, next_header
        esp = sa.crypt_algo.pad(esp) if padding is None else esp
        if padding is not None:
            esp.padlen, esp.padding = padlen, padding
        more = {"esn_en": sa.esn_en, "esn": sa.esn} if hasattr(sa, "esn_en") else {}
        e = sa.crypt_algo.encrypt(sa, esp, sa.crypt_key, sa.crypt_icv_size or sa.crypt_algo.icv_size, **more)
        sa.auth_algo.sign(e, sa.auth_key, **({"esn_en": more["esn_en"], "esn": more["esn"]} if more else {}))
        sa.seq_num += 1
        outer = peer.tx.tunnel_header.copy()
        if peer.a.encap == "udp":
            inner = UDP(sport=4500, dport=4500) / e
        else:
            inner = e
            if peer.v6:
                outer.nh = 50
            else:
                outer.proto = 50
        p = outer.__class__(raw(outer / inner))
        if UDP in p:
            del p[UDP].len, p[UDP].chksum
        if IPv6 in p:
            del p[IPv6].plen
        else:
            del p[IP].len, p[IP].chksum
        return p.__class__(raw(p))

    before = peer.drops("dummy")
    peer.send(seal(os.urandom(100), 59))
    peer.send(seal(raw(echo4(100, 40)) + os.urandom(333), 4))
    peer.send(seal(raw(echo6(101, 40)) + os.urandom(77), 41))
    got = peer.receive(2)
    say(len(got) == 2, "TFC padding behind the inner packet is accepted", f"{len(got)} of 2")
    say(peer.drops("dummy") == before + 1, "a dummy packet is counted and dropped")
    before = peer.drops("policy_in")
    peer.send(seal(raw(IP(src="10.9.9.9", dst="10.1.0.1") / ICMP() / Raw(b"x" * 20)), 4))
    peer.send(seal(raw(IP(src="10.2.0.2", dst="192.0.2.1") / ICMP() / Raw(b"x" * 20)), 4))
    time.sleep(0.3)
    say(peer.drops("policy_in") == before + 2, "inner addresses outside of the policy are dropped",
        f"{peer.drops('policy_in') - before} of 2 counted")
    before = peer.drops("next_header")
    peer.send(seal(raw(echo4(102, 40)), 6))
    time.sleep(0.3)
    say(peer.drops("next_header") == before + 1, "a next header that a tunnel cannot carry is dropped")


def tshark(peer):
    (_, _), (crypt, auth) = names(peer.a.suite)
    if not shutil.which("tshark"):
        print("skip - tshark: not installed")
        return
    if crypt is None or peer.a.esn == "yes":
        print("skip - tshark: it cannot decrypt " + ("extended sequence numbers" if crypt else "this cipher"))
        return
    path = os.path.join(peer.a.work, "interop.pcap")
    wrpcap(path, peer.frames)
    family = "IPv6" if peer.v6 else "IPv4"
    tables = []
    for spi, key, integ, src, dst in ((0x1001, peer.a.key_ab, peer.a.integ_ab, peer.them, peer.us),
                                      (0x1002, peer.a.key_ba, peer.a.integ_ba, peer.us, peer.them)):
        tables.append('uat:esp_sa:"%s","%s","%s","0x%08x","%s","%s","%s","%s"' % (
            family, src, dst, spi, crypt, "0x" + key if key else "", auth, "0x" + integ if integ else ""))
    cmd = ["tshark", "-r", path, "-o", "esp.enable_encryption_decode:TRUE",
           "-o", "esp.enable_authentication_check:TRUE", "-o", "esp.enable_null_encryption_decode_heuristic:FALSE",
           "-T", "fields", "-E", "separator=;", "-e", "esp.spi", "-e", "esp.icv_good", "-e", "icmp.type",
           "-e", "icmpv6.type"]
    # newer versions have two columns more: the length of sequence numbers, and their upper half
    for more in ("", ',"32-bit","0"'):
        r = subprocess.run(cmd + [w for t in tables for w in ("-o", t + more)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
        if r.returncode == 0:
            break
    rows = [line.split(";") for line in r.stdout.splitlines()]
    ours = [x for x in rows if x and x[0] == "0x00001001"]
    answered = [x for x in ours if "0" in x[2].split(",") or "129" in x[3].split(",")]
    say(len(ours) > 0 and len(answered) == len(ours), "tshark decodes every packet of bumpwire's",
        f"{len(answered)} of {len(ours)}; {r.stderr.strip()[-300:]}")
    if "no checking" in auth:
        print("skip - tshark: it does not check AES-CMAC")
        return
    good = [x for x in ours if x[1] in ("1", "True")]
    say(len(good) == len(ours), "tshark finds every ICV right", f"{len(good)} of {len(ours)}")


def main():
    p = argparse.ArgumentParser()
    for name in ("suite", "encap", "outer", "esn", "mac", "mac-self", "key-ab", "key-ba", "integ-ab", "integ-ba", "ns-a",
                 "status", "work"):
        p.add_argument("--" + name, required=True)
    peer = Peer(p.parse_args())
    exchange(peer)
    hand_made(peer)
    tshark(peer)


main()
