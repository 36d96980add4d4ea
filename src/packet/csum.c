/*
 * Ones' complement sums. Bytes are added in 64-byte blocks, as vectors of eight 64-bit lanes that
 * take the low and the high half of each word apart, so no carry is ever lost; the compiler makes
 * of that whatever the CPU has.
 */
#include "packet/csum.h"

#include <netinet/in.h>

#include "base/bytes.h"

/* One clone per vector width, chosen by the dynamic loader. Its resolvers run too early for the
 * sanitizers. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) &&                            \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MULTI_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MULTI_CPU
#endif

#define BLOCK 64u

typedef uint64_t lanes __attribute__((vector_size(BLOCK)));

/* Adds the last len < 64 bytes. dst, if any, gets a copy. */
static inline __attribute__((always_inline)) uint64_t sum_tail(uint64_t sum, uint8_t *dst,
							       const uint8_t *p, size_t len)
{
	uint64_t odd = 0;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		sum += v & UINT32_MAX;
		odd += v >> 32;
		if (dst) {
			memcpy(dst, &v, 8);
			dst += 8;
		}
	}
	if (len & 4) {
		uint32_t v;
		memcpy(&v, p, 4);
		sum += v;
		p += 4;
		if (dst) {
			memcpy(dst, &v, 4);
			dst += 4;
		}
	}
	if (len & 2) {
		uint16_t v;
		memcpy(&v, p, 2);
		sum += v;
		p += 2;
		if (dst) {
			memcpy(dst, &v, 2);
			dst += 2;
		}
	}
	if (len & 1) { /* the missing byte counts as zero, after this one */
		sum += *p;
		if (dst)
			*dst = *p;
	}
	return sum + odd;
}

static inline __attribute__((always_inline)) uint64_t sum_blocks(uint64_t sum, uint8_t *dst,
								 const uint8_t *p, size_t len)
{
	if (len >= BLOCK) {
		lanes lo = { 0 }, hi = { 0 };
		do {
			lanes v;
			memcpy(&v, p, BLOCK);
			lo += v & UINT32_MAX;
			hi += v >> 32;
			if (dst) {
				memcpy(dst, &v, BLOCK);
				dst += BLOCK;
			}
			p += BLOCK;
			len -= BLOCK;
		} while (len >= BLOCK);
		lo += hi;
		for (unsigned i = 0; i < BLOCK / 8; i++)
			sum += lo[i];
	}
	return sum_tail(sum, dst, p, len);
}

MULTI_CPU uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	return sum_blocks(sum, NULL, p, len);
}

MULTI_CPU uint64_t csum_copy(uint64_t sum, void *dst, const void *src, size_t len)
{
	return sum_blocks(sum, dst, src, len);
}

uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint64_t word32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put16(uint8_t *p, uint16_t native)
{
	memcpy(p, &native, sizeof(native));
}

uint64_t csum_pseudo(const uint8_t *ip, uint32_t l4_len, uint8_t proto)
{
	uint64_t sum = (uint64_t)__builtin_bswap32(l4_len) + ((uint64_t)proto << 8);

	if (ip[0] >> 4 == 4)
		return sum + word32(ip + 12) + word32(ip + 16);
	for (unsigned i = 8; i < 40; i += 4)
		sum += word32(ip + i);
	return sum;
}

/* The sum of the IPv4 header at ip. */
static inline uint64_t header_sum(const uint8_t *ip)
{
	unsigned hdr = (ip[0] & 15u) * 4;
	uint64_t sum = 0;

	for (unsigned i = 0; i < hdr; i += 4)
		sum += word32(ip + i);
	return sum;
}

void csum_ip4_set(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~csum_fold(header_sum(ip)));
}

bool csum_ip4_ok(const uint8_t *ip)
{
	return csum_fold(header_sum(ip)) == 0xffff;
}

/* Where the checksum lies in the upper header, or 0 for a protocol without one. */
static inline unsigned csum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

/* What the upper checksum has to cover: pseudo header and n bytes at l4. */
static inline uint64_t upper_sum(const uint8_t *ip, const uint8_t *l4, uint32_t n, uint8_t proto)
{
	return csum_add(proto == IPPROTO_ICMP ? 0 : csum_pseudo(ip, n, proto), l4, n);
}

void csum_l4_set(uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto)
{
	unsigned at = csum_at(proto);

	if (at == 0 || len < l4_off || len - l4_off < at + 2)
		return;
	uint8_t *l4 = ip + l4_off;
	uint32_t n = len - l4_off;
	if (proto == IPPROTO_UDP && load_be16(l4 + 4) >= 8 && load_be16(l4 + 4) < n)
		n = load_be16(l4 + 4); /* bytes behind the datagram are not part of it */
	put16(l4 + at, 0);
	uint16_t c = (uint16_t)~csum_fold(upper_sum(ip, l4, n, proto));
	put16(l4 + at, c == 0 && proto == IPPROTO_UDP ? 0xffff : c);
}

bool csum_l4_ok(const uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto)
{
	unsigned at = csum_at(proto);

	if (at == 0)
		return true;
	if (len < l4_off || len - l4_off < at + 2)
		return false;
	const uint8_t *l4 = ip + l4_off;
	uint32_t n = len - l4_off;
	if (proto == IPPROTO_UDP) {
		if (load_be16(l4 + 6) == 0)
			return ip[0] >> 4 == 4; /* RFC 8200 8.1: not in IPv6 */
		uint32_t udp_len = load_be16(l4 + 4);
		if (udp_len < 8 || udp_len > n)
			return false;
		n = udp_len;
	}
	return csum_fold(upper_sum(ip, l4, n, proto)) == 0xffff;
}

uint16_t csum_update(uint16_t check, uint16_t old_word, uint16_t new_word)
{
	uint32_t sum = (uint32_t)(uint16_t)~check + (uint16_t)~old_word + new_word;

	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)~sum;
}
