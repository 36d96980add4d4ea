/* Making and checking packets, slowly and independently of what is tested. */
#include "must.h"
#include "pkt.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

uint16_t slow_sum(uint16_t sum, const uint8_t *p, size_t len)
{
	uint32_t s = sum;

	for (size_t i = 0; i < len; i++) {
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		if (s > 0xffff)
			s = (s & 0xffff) + 1;
	}
	return (uint16_t)s;
}

int slow_ip4_ok(const uint8_t *ip)
{
	return slow_sum(0, ip, (ip[0] & 15u) * 4) == 0xffff;
}

static uint16_t slow_l4(const uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto)
{
	uint8_t ph[8] = { 0 };
	uint16_t s = 0;

	if (proto != IPPROTO_ICMP) {
		store_be32(ph, len - l4_off);
		ph[7] = proto;
		s = ip[0] >> 4 == 4 ? slow_sum(0, ip + 12, 8) : slow_sum(0, ip + 8, 32);
		s = slow_sum(s, ph, 8);
	}
	return slow_sum(s, ip + l4_off, len - l4_off);
}

int slow_l4_ok(const uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto)
{
	return slow_l4(ip, l4_off, len, proto) == 0xffff;
}

static uint32_t make_ip(const struct pkt_spec *s, uint32_t l4_len, uint8_t *out)
{
	if (s->ver == 6) {
		memset(out, 0, 40);
		store_be32(out, 6u << 28 | (uint32_t)s->tos << 20 | 0x12345);
		store_be16(out + 4, (uint16_t)l4_len);
		out[6] = s->proto;
		out[7] = 64;
		out[8] = 0x20;
		out[9] = 0x01;
		out[23] = 1;
		out[24] = 0x20;
		out[25] = 0x01;
		out[39] = 2;
		return 40;
	}
	memset(out, 0, 20);
	out[0] = 0x45;
	out[1] = s->tos;
	store_be16(out + 2, (uint16_t)(20 + l4_len));
	store_be16(out + 4, s->id);
	store_be16(out + 6, s->frag);
	out[8] = 64;
	out[9] = s->proto;
	memcpy(out + 12, (uint8_t[]) { 10, 1, 0, 1, 10, 2, 0, 2 }, 8);
	store_be16(out + 10, (uint16_t)~slow_sum(0, out, 20));
	return 20;
}

uint32_t pkt_make(const struct pkt_spec *s, uint8_t *out)
{
	uint32_t hdr = 0, check = 0;

	if (s->proto == IPPROTO_TCP) {
		hdr = 20 + s->opt_len;
		check = 16;
	} else if (s->proto == IPPROTO_UDP) {
		hdr = 8;
		check = 6;
	} else if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6) {
		hdr = 8;
		check = 2;
	}
	uint32_t off = make_ip(s, hdr + s->len, out), total = off + hdr + s->len;
	uint8_t *l4 = out + off;

	memset(l4, 0, hdr);
	if (hdr > 8 || s->proto == IPPROTO_UDP) {
		store_be16(l4, s->sport ? s->sport : 40000);
		store_be16(l4 + 2, s->dport ? s->dport : 80);
	}
	if (s->proto == IPPROTO_TCP) {
		store_be32(l4 + 4, s->seq);
		store_be32(l4 + 8, s->ack);
		l4[12] = (uint8_t)(hdr / 4 << 4);
		l4[13] = s->flags;
		store_be16(l4 + 14, 501);
		if (s->opt_len)
			memcpy(l4 + 20, s->opt, s->opt_len);
	} else if (s->proto == IPPROTO_UDP) {
		store_be16(l4 + 4, (uint16_t)(hdr + s->len));
	} else if (hdr) {
		store_be16(l4, s->dport); /* type and code */
	}
	if (s->len)
		memcpy(l4 + hdr, s->data, s->len);
	if (check) {
		uint16_t c = (uint16_t)~slow_l4(out, off, total, s->proto);
		store_be16(l4 + check, c == 0 && s->proto == IPPROTO_UDP ? 0xffff : c);
	}
	return total;
}

struct pkt_info pkt_info_of(const uint8_t *ip, size_t len)
{
	struct pkt_info info;

	must_uint_eq(pkt_parse(ip, len, &info), DROP_NONE);
	return info;
}

uint32_t pkt_make6(const uint8_t *ext, unsigned ext_len, uint8_t first, uint8_t *p)
{
	uint8_t body[3000];
	struct pkt_spec s = { .ver = 6, .proto = first, .data = body, .len = ext_len + 20 };

	memcpy(body, ext, ext_len);
	memset(body + ext_len, 0, 20);
	store_be16(body + ext_len, 1000);
	store_be16(body + ext_len + 2, 2000);
	store_be16(body + ext_len + 4, 20);
	return pkt_make(&s, p);
}

uint8_t pkt_data[4000];

void pkt_data_fill(void)
{
	srand(1);
	for (unsigned i = 0; i < sizeof(pkt_data); i++)
		pkt_data[i] = (uint8_t)rand();
}
