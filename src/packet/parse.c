/*
 * A packet comes in, a pkt_info goes out: length, addresses, upper protocol, ports. Plain IPv4 and
 * IPv6 with TCP or UDP run straight down; options, extension headers and fragments take the side
 * roads.
 */
#include "packet/parse.h"

#include <netinet/in.h>

#define IP4_HDR 20u
#define IP6_HDR 40u
#define IP6_EXT_MAX 16
#define PROTO_MH 135
#define TCP_FLAG_SYN 0x02

/* The last word of the key, as it lies in memory on a little-endian machine. */
static inline uint64_t key_word(uint16_t sport, uint16_t dport, uint8_t proto, uint8_t ver,
				uint8_t flags)
{
	return (uint64_t)sport | (uint64_t)dport << 16 | (uint64_t)proto << 32 |
	       (uint64_t)ver << 40 | (uint64_t)flags << 48;
}

/* Puts ports or their stand-ins into the key; q[0..left) is the upper header and what follows it.
 */
static inline void key_upper(struct pkt_info *out, const uint8_t *q, uint32_t left, uint8_t proto,
			     uint8_t ver)
{
	uint16_t sport = 0, dport = 0;
	uint8_t opaque = 0;
	uint32_t need;

	if (likely(proto == IPPROTO_TCP)) {
		need = 20;
		if (likely(left >= need) && unlikely(q[13] & TCP_FLAG_SYN))
			out->flags |= PKT_TCP_SYN;
	} else if (likely(proto == IPPROTO_UDP)) {
		need = 8;
	} else {
		switch (proto) {
		case IPPROTO_ICMP:
		case IPPROTO_ICMPV6:
			need = 4;
			break;
		case PROTO_MH:
			need = 6;
			break;
		case IPPROTO_SCTP:
		case IPPROTO_DCCP:
			need = 12;
			break;
		case IPPROTO_UDPLITE:
			need = 8;
			break;
		default:
			need = UINT32_MAX;
		}
	}
	if (unlikely(left < need)) {
		opaque = FLOW_OPAQUE;
	} else if (unlikely(proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)) {
		dport = load_be16(q);
	} else if (unlikely(proto == PROTO_MH)) {
		dport = (uint16_t)(q[2] << 8);
	} else {
		sport = load_be16(q);
		dport = load_be16(q + 2);
	}
	uint64_t w = key_word(sport, dport, proto, ver, opaque);
	memcpy(&out->key.sport, &w, sizeof(w));
}

/* The key of a packet whose upper header is out of reach. */
static void key_opaque(struct pkt_info *out, uint8_t proto, uint8_t ver)
{
	uint64_t w = key_word(0, 0, proto, ver, FLOW_OPAQUE);
	memcpy(&out->key.sport, &w, sizeof(w));
}

static inline enum drop parse4(const uint8_t *p, size_t len, struct pkt_info *out)
{
	if (unlikely(len < IP4_HDR))
		return DROP_SHORT;
	uint32_t hdr = (p[0] & 15u) * 4, total = load_be16(p + 2);
	uint32_t frag = load_be16(p + 6);

	if (unlikely(hdr < IP4_HDR))
		return DROP_BAD_HEADER;
	if (unlikely(total > len || total < hdr))
		return DROP_BAD_LENGTH;
	uint64_t zero = 0, src = 0, dst = 0;
	memcpy(&src, p + 12, 4);
	memcpy(&dst, p + 16, 4);
	memcpy(out->key.src, &src, 8);
	memcpy(out->key.src + 8, &zero, 8);
	memcpy(out->key.dst, &dst, 8);
	memcpy(out->key.dst + 8, &zero, 8);
	out->len = total;
	out->l4_off = (uint16_t)hdr;
	out->tos = p[1];
	out->flags = (uint8_t)(frag & 0x4000 ? PKT_DF : 0) | (hdr > IP4_HDR ? PKT_OPTIONS : 0);
	if (unlikely(frag & 0x3fff)) {
		out->flags |= frag & 0x1fff ? PKT_FRAG_LATER : PKT_FRAG_FIRST;
		if (frag & 0x1fff) {
			key_opaque(out, p[9], 4);
			return DROP_NONE;
		}
	}
	key_upper(out, p + hdr, total - hdr, p[9], 4);
	return DROP_NONE;
}

static inline bool is_ext(uint8_t nh)
{
	return nh == IPPROTO_HOPOPTS || nh == IPPROTO_ROUTING || nh == IPPROTO_DSTOPTS ||
	       nh == IPPROTO_FRAGMENT;
}

/* Walks the extension headers from *off on. A chain that the packet ends in is malformed, in a
 * first fragment too (RFC 7112 5). */
static enum drop walk_ext(const uint8_t *p, uint32_t total, uint32_t *off, uint8_t *nh,
			  struct pkt_info *out)
{
	bool fragment = false;

	out->flags |= PKT_OPTIONS;
	for (unsigned n = 0; is_ext(*nh); n++) {
		const uint8_t *e = p + *off;
		uint32_t left = total - *off;
		/* hop-by-hop options come first or not at all (RFC 8200 4.1) */
		if (n == IP6_EXT_MAX || left < 8 || (*nh == IPPROTO_HOPOPTS && n > 0))
			return DROP_BAD_HEADER;
		if (*nh == IPPROTO_FRAGMENT) {
			uint16_t f = load_be16(e + 2);
			if (fragment)
				return DROP_BAD_HEADER;
			fragment = true;
			*nh = e[0];
			*off += 8;
			if (f & 0xfff8) {
				out->flags |= PKT_FRAG_LATER;
				return DROP_NONE;
			}
			if (f & 1)
				out->flags |= PKT_FRAG_FIRST;
			continue;
		}
		uint32_t size = (e[1] + 1u) * 8;
		if (size > left)
			return DROP_BAD_HEADER;
		*nh = e[0];
		*off += size;
	}
	return DROP_NONE;
}

static inline enum drop parse6(const uint8_t *p, size_t len, struct pkt_info *out)
{
	if (unlikely(len < IP6_HDR))
		return DROP_SHORT;
	uint32_t total = IP6_HDR + load_be16(p + 4), off = IP6_HDR;
	uint8_t nh = p[6];

	if (unlikely(total > len))
		return DROP_BAD_LENGTH;
	memcpy(out->key.src, p + 8, 16);
	memcpy(out->key.dst, p + 24, 16);
	out->len = total;
	out->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	out->flags = PKT_DF;
	if (unlikely(is_ext(nh))) {
		enum drop d = walk_ext(p, total, &off, &nh, out);
		if (d != DROP_NONE)
			return d;
	}
	out->l4_off = (uint16_t)off; /* 16 headers of 2048 bytes at most */
	if (unlikely(out->flags & PKT_FRAG_LATER))
		key_opaque(out, nh, 6);
	else
		key_upper(out, p + off, total - off, nh, 6);
	return DROP_NONE;
}

enum drop pkt_parse(const uint8_t *p, size_t len, struct pkt_info *out)
{
	if (unlikely(len == 0))
		return DROP_SHORT;
	if (likely(p[0] >> 4 == 4))
		return parse4(p, len, out);
	if (likely(p[0] >> 4 == 6))
		return parse6(p, len, out);
	return DROP_NOT_IP;
}

void flow_key_reverse(const struct flow_key *k, struct flow_key *out)
{
	struct flow_key r = *k;

	memcpy(r.src, k->dst, sizeof(r.src));
	memcpy(r.dst, k->src, sizeof(r.dst));
	if (k->proto != IPPROTO_ICMP && k->proto != IPPROTO_ICMPV6 && k->proto != PROTO_MH) {
		r.sport = k->dport;
		r.dport = k->sport;
	}
	*out = r;
}

struct ip_addr flow_key_src(const struct flow_key *k)
{
	return k->ver == 4 ? ip_addr_from_v4(k->src) : ip_addr_from_v6(k->src);
}

struct ip_addr flow_key_dst(const struct flow_key *k)
{
	return k->ver == 4 ? ip_addr_from_v4(k->dst) : ip_addr_from_v6(k->dst);
}

/* Multiplies to 128 bits and folds: every bit of both reaches every bit of the result. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* One word, by itself: a wider load would have to wait for the narrower stores of pkt_parse(). */
static inline uint64_t word(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t flow_key_hash(const struct flow_key *k, uint64_t seed)
{
	/* odd constants without pattern: the fractional parts of the square roots of primes */
	uint64_t a = mix(word(k->src) ^ seed ^ 0x6a09e667f3bcc909,
			 word(k->dst) ^ 0xbb67ae8584caa73b);
	uint64_t b = mix(word(k->src + 8) ^ 0x3c6ef372fe94f82b,
			 word(k->dst + 8) ^ seed ^ 0xa54ff53a5f1d36f1);
	return mix(a ^ word((const uint8_t *)k + 32) ^ 0x510e527fade682d1, b ^ 0x9b05688c2b3e6c1f);
}
