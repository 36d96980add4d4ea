#!/usr/bin/python3
"""Packets that crashed other implementations, one hex line each.

  vectors.py bytes FOLDER   each packet, from its IP header and from behind its transport header
  vectors.py esp FOLDER     each IP packet inside of ESP under the scenario's key for SPI 0x1001
"""
import logging
import os
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import IP, IPv6, PcapReader, raw

what, folder = sys.argv[1:]
key = bytes(range(16))
salt = bytes(range(16, 20))


def link_payload(data, kind):
    """From an Ethernet, loopback or raw frame to the IP header, by its first byte."""
    for skip in ((0,) if kind == "raw" else (14, 4, 16, 18, 0)):
        if len(data) > skip and data[skip] >> 4 in (4, 6):
            return data[skip:]
    return data


def packets():
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".dat"):
            with open(path, "rb") as f:
                yield f.read()
            continue
        with PcapReader(path) as reader:
            for p in reader:
                yield link_payload(raw(p), "raw" if isinstance(p, (IP, IPv6)) else "")


def esp(seq, inner, next_header):
    pad = -(len(inner) + 2) % 4
    plain = inner + bytes(range(1, pad + 1)) + bytes([pad, next_header])
    head = (0x1001).to_bytes(4, "big") + seq.to_bytes(4, "big")
    iv = seq.to_bytes(8, "big")
    return head + iv + AESGCM(key).encrypt(salt + iv, plain, head)


seq = 1000
for p in packets():
    p = p[:1400]
    if not p:
        continue
    if what == "bytes":
        print(p.hex())
        if len(p) > 28:
            print(p[28:].hex())
        print(("00001001" "00001000" + p.hex())[:2800])
        continue
    # as it is; with addresses the policy lets in; and cut off everywhere in its headers
    forms = [p]
    if p[0] >> 4 == 4 and len(p) >= 20:
        forms.append(p[:12] + bytes([10, 1, 0, 2, 10, 2, 0, 2]) + p[20:])
    if p[0] >> 4 == 6 and len(p) >= 40:
        forms.append(p[:8] + bytes.fromhex("fd01" + "0" * 26 + "02" + "fd02" + "0" * 26 + "02") + p[40:])
    forms += [forms[-1][:n] for n in (1, 8, 19, 20, 21, 39, 40, 41, 44)]
    for inner in forms:
        for next_header in (4, 41):
            seq += 1
            print(esp(seq, inner, next_header).hex())
for next_header in (0, 6, 17, 50, 51, 59, 255):
    seq += 1
    print(esp(seq, b"\x45" + bytes(30), next_header).hex())
