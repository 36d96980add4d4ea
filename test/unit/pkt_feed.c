/* One packet for everything; shared by the unit tests and the fuzz target. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/cipso.h"
#include "packet/csum.h"
#include "packet/ecn.h"
#include "packet/frag.h"
#include "packet/gso.h"
#include "packet/icmp.h"
#include "pkt_feed.h"

#define TCP_ACK 0x10
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void *copy_of(const void *p, size_t len)
{
	void *q = malloc(len ? len : 1);

	MUST(q);
	if (len)
		memcpy(q, p, len);
	return q;
}

static void feed_frag(const uint8_t *p, const struct pkt_info *info)
{
	static const uint32_t mtus[] = { 0, 28, 68, 133, 576, 1280 };
	uint32_t hdr = (p[0] & 15u) * 4;

	for (unsigned m = 0; m < ARRAY_LEN(mtus); m++) {
		unsigned n = frag4_count(p, info->len, mtus[m]);
		uint32_t data = 0;
		for (unsigned i = 0; i < n; i++) {
			uint8_t *f = malloc(mtus[m] ? mtus[m] : 1);
			struct pkt_info fi;
			uint32_t len = frag4_make(p, info->len, mtus[m], i, f);
			MUST(len >= 20 && len <= mtus[m]);
			MUST(pkt_parse(f, len, &fi) == DROP_NONE && fi.len == len);
			data += len - fi.l4_off;
			free(f);
		}
		MUST(n == 0 || data == info->len - hdr);
	}
}

static void feed_label(const uint8_t *p, const struct pkt_info *info)
{
	struct label l;
	bool found;
	enum drop d = cipso_read(p, info, &l, &found);

	MUST(d == DROP_NONE || d == DROP_LABEL_FORMAT);
	if (d != DROP_NONE || !found)
		return;
	MUST(info->key.ver == 4 && l.doi && l.n <= LABEL_RUNS);
	for (unsigned i = 0; i < l.n; i++) {
		MUST(l.run[i].first <= l.run[i].last && l.run[i].last <= LABEL_CAT_MAX);
		MUST(i == 0 || l.run[i - 1].last + 1 < l.run[i].first);
	}
}

static void feed_replies(const uint8_t *p, const struct pkt_info *info)
{
	struct ip_addr from = flow_key_dst(&info->key);
	uint8_t *out = malloc(ICMP_ERROR_MAX), *rst = malloc(60);
	struct pkt_info oi;

	(void)icmp_may_answer(p, info);
	for (int k = ICMP_KIND_TOO_BIG; k <= ICMP_KIND_TTL; k++) {
		uint32_t n = icmp_error((enum icmp_kind)k, p, info, 1400, &from, out);
		MUST(n <= ICMP_ERROR_MAX && pkt_parse(out, n, &oi) == DROP_NONE && oi.len == n);
		MUST(csum_l4_ok(out, oi.l4_off, n, oi.key.proto));
	}
	uint32_t n = tcp_reset(p, info, rst);
	if (n) {
		MUST(n <= 60 && pkt_parse(rst, n, &oi) == DROP_NONE && oi.len == n);
		MUST(csum_l4_ok(rst, oi.l4_off, n, IPPROTO_TCP));
		MUST(tcp_reset(rst, &oi, out) == 0);
	}
	free(out);
	free(rst);
}

static void feed_changes(const uint8_t *p, const struct pkt_info *info)
{
	uint8_t *q = copy_of(p, info->len);

	(void)csum_l4_ok(q, info->l4_off, info->len, info->key.proto);
	if (!(info->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) && !(info->key.flags & FLOW_OPAQUE)) {
		bool udp_odd = info->key.proto == IPPROTO_UDP &&
			       (load_be16(q + info->l4_off + 4) < 8 ||
				load_be16(q + info->l4_off + 4) > info->len - info->l4_off);
		csum_l4_set(q, info->l4_off, info->len, info->key.proto);
		MUST(udp_odd || csum_l4_ok(q, info->l4_off, info->len, info->key.proto));
		bool clamped = tcp_clamp_mss(q, info, 1000, false);
		MUST(!clamped || csum_l4_ok(q, info->l4_off, info->len, info->key.proto));
		MUST(!tcp_clamp_mss(q, info, 1000, true));
	}
	if (info->key.ver == 4)
		csum_ip4_set(q);
	ip_set_tos(q, 0xb9);
	MUST(info->key.ver == 6 || csum_ip4_ok(q));
	struct pkt_info again;
	MUST(pkt_parse(q, info->len, &again) == DROP_NONE && again.tos == 0xb9);
	free(q);
}

/* The packet, and three more like it with numbers counted up, are joined and split again. */
static void feed_gro(const uint8_t *p, const struct pkt_info *info)
{
	struct gro_run r;
	uint8_t *q[4];

	for (unsigned i = 0; i < 4; i++) {
		q[i] = copy_of(p, info->len);
		bool whole = !(info->key.flags & FLOW_OPAQUE) && !(info->flags & PKT_OPTIONS);
		if (whole && info->key.proto == IPPROTO_TCP) {
			uint8_t *t = q[i] + info->l4_off;
			uint32_t hdr = info->l4_off + (t[12] >> 4) * 4u;
			t[13] = TCP_ACK;
			store_be32(t + 4, load_be32(t + 4) + i * (info->len - hdr));
		}
		if (info->key.ver == 4) {
			store_be16(q[i] + 4, (uint16_t)(load_be16(q[i] + 4) + i));
			csum_ip4_set(q[i]);
		}
		if (whole)
			csum_l4_set(q[i], info->l4_off, info->len, info->key.proto);
	}
	gro_start(&r, q[0], info, GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6);
	for (unsigned i = 1; i < 4; i++)
		(void)gro_join(&r, q[i], info);
	uint32_t segs = r.segs;
	gro_close(&r);
	if (segs > 1) {
		uint8_t *whole = malloc(r.len);
		uint32_t at = 0;
		struct pkt_info wi;
		struct gso g;
		for (unsigned i = 1; i < r.n_iov; i++) {
			memcpy(whole + at, r.iov[i].iov_base, r.iov[i].iov_len);
			at += (uint32_t)r.iov[i].iov_len;
		}
		MUST(at == r.len && pkt_parse(whole, at, &wi) == DROP_NONE && wi.len == at);
		MUST(gso_open(&g, &r.vnet, whole, at, &wi) == DROP_NONE && g.segs == segs);
		free(whole);
	}
	for (unsigned i = 0; i < 4; i++)
		free(q[i]);
}

static void feed_gso(const struct virtio_net_hdr *vnet, const uint8_t *p, size_t len,
		     const struct pkt_info *info)
{
	struct gso g;

	if (gso_open(&g, vnet, p, (uint32_t)len, info) != DROP_NONE)
		return;
	MUST(g.segs >= 1 && g.segs <= len);
	for (uint32_t i = 0; i < g.segs; i = i < 8 || i + 1 == g.segs ? i + 1 : g.segs - 1) {
		uint32_t n = gso_segment_len(&g, i);
		struct pkt_info si;
		MUST(n >= 1 && n <= len);
		uint8_t *s = malloc(n);
		gso_segment(&g, i, s);
		if (!g.plain) {
			MUST(pkt_parse(s, n, &si) == DROP_NONE && si.len == n);
			MUST(g.v6 || csum_ip4_ok(s));
			MUST((g.v6 && g.l4_off > 40) || csum_l4_ok(s, g.l4_off, n, g.proto));
		}
		free(s);
	}
}

void pkt_feed(const struct virtio_net_hdr *vnet, const uint8_t *data, size_t len)
{
	uint8_t *p = copy_of(data, len);
	struct pkt_info info;

	if (pkt_parse(p, len, &info) == DROP_NONE) {
		struct flow_key back, forth;
		MUST(info.len <= len && info.l4_off <= info.len);
		flow_key_reverse(&info.key, &back);
		flow_key_reverse(&back, &forth);
		MUST(flow_key_eq(&info.key, &forth));
		MUST(flow_key_hash(&info.key, 1) == flow_key_hash(&forth, 1));
		feed_frag(p, &info);
		feed_label(p, &info);
	feed_replies(p, &info);
		feed_changes(p, &info);
		feed_gro(p, &info);
		feed_gso(vnet, p, len, &info);
	}
	free(p);
}
