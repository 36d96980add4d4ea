/*
 * Fuzz target: AH and SA bundles, both ways. The input is a list of pieces
 *
 *   flags (1) | outer TOS (1) | length (2) | bytes
 *
 * flags: 0x07 which policy, 7: none, the bytes are what came to an AH socket; else the bytes are a packet from the device, which goes out by
 * that policy's SAs and, 0x08: with one byte changed, comes in again. 0x10: IPv6 outside, 0x20: with extension headers. Whatever comes in arrives or is
 * counted, once.
 */
#include "fuzz_plane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE_HDR 4u

/* SAs of this target, both directions: what policies' bundles are made of. */
static const struct {
	const char *suite;
	enum sa_proto proto;
	enum sa_mode mode;
	bool esn, v6;
} rows[] = {
	{ "null-sha256", SA_AH, SA_TRANSPORT, false, false }, { "aes128gmac", SA_AH, SA_TUNNEL, true, false },
	{ "aes128gcm16", SA_ESP, SA_TRANSPORT, false, false }, { "aes128-sha1", SA_ESP, SA_TUNNEL, true, false },
	{ "null-sha512", SA_AH, SA_TRANSPORT, true, true }, { "null-aesxcbc", SA_AH, SA_TUNNEL, false, true },
};
static const struct {
	unsigned n, sa[3];
} bundles[] = { { 1, { 0 } }, { 1, { 1 } }, { 2, { 2, 0 } }, { 2, { 3, 1 } }, { 3, { 2, 0, 1 } }, { 1, { 4 } }, { 1, { 5 } } };

static struct sa *out[ARRAY_LEN(rows)], *in[ARRAY_LEN(rows)];
static struct spd *spds[ARRAY_LEN(bundles)];
static uint8_t wire[64][70000];
static uint32_t wire_len[64];
static bool wire_whole[64];
static unsigned n_wire, delivered;

static struct sa *one(unsigned i, enum ipsec_dir dir)
{
	static const uint8_t key[64] = "known to everybody, so that inputs can be made that authenticate";
	struct sa_conf c = { .proto = rows[i].proto, .mode = rows[i].mode, .dir = dir, .spi = 0x3000 + i, .esn = rows[i].esn,
			     .ecn = true, .dscp = -1, .replay_window = 64, .path_mtu = 1500 };
	struct endpoint to;
	char why[200] = "";
	struct sa *sa;

	c.name = malloc(16);
	snprintf(c.name, 16, "nest-%s%u", dir == DIR_OUT ? "out" : "in", i);
	fuzz_check(!ip_addr_parse(rows[i].v6 ? "2001:db8::1" : "192.0.2.1", &c.src), "address");
	fuzz_check(!ip_addr_parse(rows[i].v6 ? "2001:db8::2" : "192.0.2.2", &c.dst), "address");
	to = (struct endpoint) { dir == DIR_OUT ? c.dst : c.src, 0 };
	struct ip_addr src = c.src;
	fuzz_check(!esp_suite_parse(rows[i].suite, NULL, &c.suite, why, sizeof(why)), why);
	fuzz_check(!secret_copy(&c.encr_key, span_of(key, c.suite.key_len + c.suite.encr->salt_len)), "memory");
	fuzz_check(!secret_copy(&c.integ_key, span_of(key, c.suite.integ ? c.suite.integ->key_len : 0)), "memory");
	fuzz_check(!sa_new(&c, 1, &sa, why, sizeof(why)), why);
	fuzz_check(!plane_set_path(fuzz_plane, sa, &src, &to), "path");
	fuzz_check(!sad_install(plane_sad(fuzz_plane), sa), "install");
	return sa;
}

static void set_up(void)
{
	if (spds[0])
		return;
	fuzz_set_up();
	__lsan_disable();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		out[i] = one(i, DIR_OUT);
		in[i] = one(i, DIR_IN);
	}
	for (unsigned b = 0; b < ARRAY_LEN(bundles); b++) {
		struct policy *p[2];
		for (unsigned v = 0; v < 2; v++) {
			p[v] = calloc(1, sizeof(*p[v]));
			*p[v] = (struct policy) { .name = strdup("p"), .action = POLICY_PROTECT, .dirs = POLICY_DIR_OUT | POLICY_DIR_IN,
						  .mss_clamp = true, .n_sel = 1, .n_out = bundles[b].n, .n_in = bundles[b].n };
			p[v]->sel = calloc(1, sizeof(*p[v]->sel));
			p[v]->sel[0] = (struct selector) { .local = ip_range_all(v ? 6 : 4), .remote = ip_range_all(v ? 6 : 4),
							   .proto = PROTO_ANY };
			p[v]->out = malloc(3 * sizeof(struct sa *));
			p[v]->in = malloc(3 * sizeof(struct sa *));
			for (unsigned k = 0; k < bundles[b].n; k++) {
				p[v]->out[k] = sa_ref(out[bundles[b].sa[k]]);
				p[v]->in[k] = sa_ref(in[bundles[b].sa[k]]);
			}
		}
		fuzz_check(!spd_compile(p, 2, &spds[b]), "policies");
	}
	__lsan_enable();
}

static void keep(struct worker *w)
{
	for (unsigned i = 0; i < w->n_frame && n_wire < ARRAY_LEN(wire); i++) {
		const struct out_frame *f = &w->frame[i];
		fuzz_check(f->len <= 65535, "longer than a packet may be");
		memcpy(wire[n_wire], f->esp, f->len);
		wire_whole[n_wire] = f->whole;
		wire_len[n_wire++] = f->len;
	}
}

static void deliver(struct worker *w)
{
	for (unsigned i = 0; i < w->n_in; i++) {
		struct pkt_info again;
		fuzz_check(pkt_parse(w->in[i].ip, w->in[i].info.len, &again) == DROP_NONE, "a packet that does not parse arrived");
		fuzz_check(flow_key_eq(&again.key, &w->in[i].info.key), "it is another packet");
	}
	delivered += w->n_in;
	deliver_packets(w);
}

/* Out by bundle b; what leaves is in wire[]. */
static void go_out(unsigned b, const uint8_t *ip, uint32_t len)
{
	struct worker *w = fuzz_worker;

	n_wire = 0;
	fuzz_begin();
	fuzz_plane->view->spd = spds[b];
	fuzz_plane->view->gen++;
	w->out[0] = (struct out_pkt) { .ip = w->read_arena + CACHE_LINE };
	w->out[0].info.len = len;
	memcpy(w->out[0].ip, ip, len);
	w->n_out = 1;
	outbound_batch(w, keep);
	w->n_out = 0;
}

static void come_in(const uint8_t *p, uint32_t len, bool v6, uint8_t tos, uint32_t hdr, const struct sock_ext *ext, unsigned n_ext)
{
	struct worker *w = fuzz_worker;
	struct endpoint from;
	uint8_t *exact = malloc(len ? len : 1);

	memcpy(exact, p, len);
	w->rx[0] = (struct sock_rx) { .data = exact + hdr, .len = len - hdr, .seg = len - hdr, .tos = tos, .hdr_len = (uint8_t)hdr };
	fuzz_check(!ip_addr_parse(v6 ? "2001:db8::1" : "192.0.2.1", &from.addr), "address");
	fuzz_check(!ip_addr_parse(v6 ? "2001:db8::2" : "192.0.2.2", &w->rx[0].to), "address");
	from.port = 0;
	endpoint_to_sockaddr(&from, &w->rx[0].from);
	for (unsigned i = 0; i < n_ext; i++)
		w->rx[0].ext[w->rx[0].n_ext++] = ext[i];
	fuzz_begin();
	delivered = 0;
	nest_datagrams(w, 1, deliver);
	fuzz_check(delivered + fuzz_drops() == 1, "a packet neither arrived nor was counted");
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hop[8] = { IPPROTO_AH, 0, 0x3e, 4, 1, 2, 3, 4 };

	set_up();
	while (size >= PIECE_HDR) {
		uint8_t flags = data[0], tos = data[1];
		unsigned b = flags & 7;
		uint32_t len = load_be16(data + 2);
		struct sock_ext ext = { hop, sizeof(hop), IPPROTO_HOPOPTS };

		data += PIECE_HDR;
		size -= PIECE_HDR;
		if (len > size)
			len = (uint32_t)size;
		if (b == 7) {
			uint32_t hdr = flags & 0x10 ? 0 : len ? (data[0] & 15u) * 4 : 0;
			fuzz_plane->view->spd = spds[tos % ARRAY_LEN(bundles)];
			fuzz_plane->view->gen++;
			come_in(data, len, flags & 0x10, tos, hdr <= len ? hdr : 0, &ext, flags & 0x20 ? 1 : 0);
		} else {
			go_out(b, data, len);
			for (unsigned i = 0; i < n_wire; i++) {
				if (flags & 0x08 && wire_len[i])
					wire[i][(tos * 7u + len) % wire_len[i]] ^= (uint8_t)(tos | 1);
				bool v6 = wire[i][0] >> 4 == 6;
				uint32_t hdr = v6 ? 40 : (wire[i][0] & 15u) * 4;
				if (!wire_whole[i] || hdr > wire_len[i])
					continue;
				come_in(wire[i] + (v6 ? hdr : 0), wire_len[i] - (v6 ? hdr : 0), v6, tos, v6 ? 0 : hdr, NULL, 0);
			}
		}
		data += len;
		size -= len;
	}
	return 0;
}
