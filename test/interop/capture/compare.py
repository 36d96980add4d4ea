#!/usr/bin/python3
"""The same packets three times: as a gateway read them from its TUN device, on the wire, and as the other gateway wrote
them to its TUN device. The wire is decrypted by the cryptography package, and then every byte is accounted for:

  read     each packet or super-packet is on the wire, whole or cut up as the rules of TSO and USO say
  wire     sequence numbers without a gap; padding, trailer, lengths and all checksums right; nothing that was not read
  written  each packet is one of the wire, byte for byte, or several joined by the same rules; none is missing

  compare.py READ.pcap WIRE.pcap WRITTEN.pcap SPI SEED DST4 DST6

SEED: the key bytes count up from it. DST4, DST6: prefixes that packets of this direction go to. Prints what it saw as JSON.
"""
import ipaddress
import json
import struct
import sys
from collections import defaultdict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TCP, UDP, ICMP4, ICMP6, FRAGMENT = 6, 17, 1, 58, 44
FIN, PSH, CWR = 0x01, 0x08, 0x80
NEAR = 100


def die(*words):
    sys.exit(" ".join(str(w) for w in words))


def pcap(path):
    """IP packets, without what the link puts in front."""
    with open(path, "rb") as f:
        magic, link = struct.unpack("<I16xI", f.read(24))
        if magic not in (0xA1B2C3D4, 0xA1B23C4D):
            die(path, "is not a little-endian pcap file")
        skip = {1: 14, 12: 0, 101: 0}[link & 0xFFFF]
        while len(head := f.read(16)) == 16:
            caplen, length = struct.unpack("<8xII", head)
            data = f.read(caplen)
            if caplen != length:
                die(path, "was cut off")
            if link & 0xFFFF == 1 and data[12:14] not in (b"\x08\x00", b"\x86\xdd"):
                continue
            yield data[skip:]


def csum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


class Packet:
    """An IP packet, with the offsets of its parts."""

    def __init__(self, b):
        self.b, self.v = b, b[0] >> 4
        if self.v == 4:
            total, self.id, frag = struct.unpack_from("!HHH", b, 2)
            self.l4, self.proto, self.fragment = 4 * (b[0] & 15), b[9], frag & 0x3FFF != 0
            self.src, self.dst = b[12:16], b[16:20]
        else:
            total, self.l4, self.proto, self.fragment = 40 + struct.unpack_from("!H", b, 4)[0], 40, b[6], False
            self.src, self.dst = b[8:24], b[24:40]
            if self.proto == FRAGMENT:
                self.proto, self.fragment, self.l4 = b[40], True, 48
                self.id, = struct.unpack_from("!I", b, 44)
        if total != len(b):
            die("length of an IP packet:", total, "in the header,", len(b), "really")
        at = self.l4
        self.data = at if self.fragment else at + {TCP: 4 * (b[at + 12] >> 4) if self.proto == TCP else 0, UDP: 8}.get(self.proto, 0)
        key = (self.id,) if self.fragment else struct.unpack_from("!HH", b, at) if self.proto in (TCP, UDP) else ()
        self.flow = (self.proto, self.src, self.dst, self.fragment, key)

    def payload(self):
        return self.b[self.data:]

    def blank(self):
        """The packet without its TCP or UDP checksum, which a device may still have to fill in."""
        b = bytearray(self.b)
        if not self.fragment and self.proto in (TCP, UDP):
            at = self.l4 + (16 if self.proto == TCP else 6)
            b[at:at + 2] = b"\0\0"
        return bytes(b)

    def check(self):
        """All checksums are right."""
        if self.v == 4 and csum(self.b[:self.l4]) != 0xFFFF:
            die("IPv4 header checksum on the wire:", self.b[:self.l4].hex())
        if self.fragment or self.proto not in (TCP, UDP, ICMP4, ICMP6):
            return
        text = self.b[self.l4:]
        pseudo = b"" if self.proto == ICMP4 else self.src + self.dst + struct.pack("!II", len(text), self.proto)
        if csum(pseudo + text) != 0xFFFF:
            die("checksum of protocol", self.proto, "on the wire:", self.b[:self.data].hex())


def piece(whole, off, size, number, last):
    """The packet that a device makes of whole's data [off, off + size); no TCP or UDP checksum, no IPv4 header checksum."""
    b = bytearray(whole.blank()[:whole.data]) + whole.payload()[off:off + size]
    if whole.v == 4:
        struct.pack_into("!HH", b, 2, len(b), (whole.id + number) & 0xFFFF)
        b[10:12] = b"\0\0"
    else:
        struct.pack_into("!H", b, 4, len(b) - 40)
    at = whole.l4
    if whole.proto == TCP:
        seq, = struct.unpack_from("!I", b, at + 4)
        struct.pack_into("!I", b, at + 4, (seq + off) & 0xFFFFFFFF)
        if not last:
            b[at + 13] &= ~(FIN | PSH)
        if number:
            b[at + 13] &= ~CWR & 0xFF
    else:
        struct.pack_into("!H", b, at + 4, 8 + size)
    return bytes(b)


def without_header_sum(p):
    b = bytearray(p.blank())
    if p.v == 4:
        b[10:12] = b"\0\0"
    return bytes(b)


def take(parts, same, count):
    """Takes the first of parts that is the same. A capture may show two packets that two processors hand to a device
    the other way round than the device: so not only the very next counts."""
    for i, p in enumerate(parts[:NEAR]):
        if same(p):
            count["overtook"] += i > 0
            return parts.pop(i)
    return None


def cut(whole, parts, count):
    """Takes from parts those that whole consists of."""
    if p := take(parts, lambda p: p.blank() == whole.blank(), count):
        return [p]
    where = f"{whole.b[:whole.data].hex()} and {len(whole.payload())} bytes"
    if whole.fragment or whole.proto not in (TCP, UDP):
        die("not there:", where)
    total, off, taken, size = len(whole.payload()), 0, [], None

    def begins(p):
        n = len(p.payload())
        return 0 < n < total and without_header_sum(p) == piece(whole, 0, n, 0, False)

    while off < total:
        n = min(size or 0, total - off)
        want = piece(whole, off, n, len(taken), off + n == total)
        p = take(parts, (lambda p: without_header_sum(p) == want) if taken else begins, count)
        if not p:
            die(f"piece {len(taken)} at {off} is not there:", where, *(f"\n {p.b[:p.data].hex()} {len(p.b)}" for p in parts[:NEAR]))
        size = size or len(p.payload())
        off += len(p.payload())
        taken.append(p)
    name = f"{'tcp' if whole.proto == TCP else 'udp'}{whole.v}"
    count[name] += 1
    count["most"] = max(count["most"], len(whole.b))
    return taken


def decrypt(path, spi, seed):
    key = bytes((seed + i) % 256 for i in range(20))
    aead, salt, seen = AESGCM(key[:16]), key[16:], []
    for ip in pcap(path):
        p = Packet(ip)
        if p.proto != UDP or p.fragment or 4500 not in struct.unpack_from("!HH", ip, p.l4):
            continue
        esp = p.payload()
        if esp[:4] != struct.pack("!I", spi):
            continue
        seen.append(struct.unpack_from("!I", esp, 4)[0])
        text = aead.decrypt(salt + esp[8:16], esp[16:], esp[:8])
        pad, following = text[-2], text[-1]
        if text[-2 - pad:-2] != bytes(range(1, pad + 1)) or len(esp) % 4:
            die("padding:", text[-2 - pad:].hex())
        inner = Packet(text[:-2 - pad])
        if following != {4: 4, 6: 41}[inner.v]:
            die("next header", following)
        inner.check()
        yield inner
    if not seen or sorted(seen) != list(range(min(seen), min(seen) + len(seen))):  # two workers may overtake each other
        die("sequence numbers:", len(seen), "from", min(seen, default=0), "to", max(seen, default=0))


def by_flow(packets):
    flows = defaultdict(list)
    for p in packets:
        flows[p.flow].append(p)
    return flows


def towards(packets, nets):
    return [p for p in map(Packet, packets) if any(p.dst in n for n in nets)]


class Net:
    def __init__(self, text):
        self.net = ipaddress.ip_network(text)

    def __contains__(self, b):
        return len(b) * 8 == self.net.max_prefixlen and ipaddress.ip_address(b) in self.net


def main():
    read, wire, written, spi, seed = *sys.argv[1:4], int(sys.argv[4], 0), int(sys.argv[5])
    nets = [Net(a) for a in sys.argv[6:]]
    inner = list(decrypt(wire, spi, seed))
    saw = {"wire": len(inner), "fragments": sum(p.fragment for p in inner),
           "icmp": sum(p.proto in (ICMP4, ICMP6) and not p.fragment for p in inner),
           "kinds": len({(p.v, p.proto, p.fragment) for p in inner}), "sizes": len({len(p.b) for p in inner})}
    for name, path in (("read", read), ("written", written)):
        left, count = by_flow(inner), defaultdict(int)
        for p in towards(pcap(path), nets):
            count["packets"] += 1
            parts = cut(p, left.get(p.flow, []), count)
            if name == "written" and len(parts) == 1 and p.payload() == parts[0].payload() and p.b != parts[0].b:
                count["unfinished"] += 1  # its checksum is left to the kernel
        if rest := [p for v in left.values() for p in v]:
            die(len(rest), "packets of the wire were not", name, *(f"\n {p.b[:p.data].hex()} {len(p.b)}" for p in rest))
        saw[name] = count
    print(json.dumps(saw))


main()
