/* An sa section to a struct config_sa: what its keys mean together. */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* AH authenticates and nothing else, and its ICV covers the addresses. */
static void check_kind(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	const struct value *encap = key_value(it, "encap");

	if (c->proto != SA_AH)
		return;
	if (encap && c->encap == SA_ENCAP_UDP)
		report_value(ld, encap, "encap = udp: AH covers the addresses and cannot cross a NAT, so there is no AH in UDP; "
					"expected none");
	c->encap = SA_ENCAP_NONE;
	if (c->dir == DIR_OUT && !c->src.ver && c->mode == SA_TUNNEL && !c->preserve)
		report_item(ld, it, "sa %s has proto = ah and no src; expected the address that its packets come from",
			    it->name);
}

/* The two ends of a transport mode SA are the hosts themselves: what comes in is from its src to its dst. */
static void bind_to_ends(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	if (c->mode != SA_TRANSPORT)
		return;
	if (c->dir == DIR_OUT && !c->src.ver) {
		report_item(ld, it, "sa %s has mode = transport and no src; expected the address that its packets come from",
			    it->name);
		return;
	}
	if (c->dir == DIR_OUT || (!c->src.ver && !c->dst.ver))
		return;
	int ver = c->src.ver ? c->src.ver : c->dst.ver;
	struct ip_range all = ip_range_all(ver);
	if (!have_memory(ld, c->sel = calloc(1, sizeof(*c->sel))))
		return;
	c->n_sel = 1;
	*c->sel = (struct selector) {
		.local = c->dst.ver ? (struct ip_range) { c->dst, c->dst } : all,
		.remote = c->src.ver ? (struct ip_range) { c->src, c->src } : all,
		.proto = PROTO_ANY,
	};
}

static void check_spi(struct loader *ld, const struct item *it)
{
	const struct value *v = key_value(it, "spi");

	uint64_t n;

	if (v && number_parse(v->text, &n) && n < 256)
		report_value(ld, v, "spi = %s: %s; expected a number from 256 (0x100) to 0xffffffff", v->text,
			     n ? "1 to 255 are reserved (RFC 4303 2.1)" : "0 never goes over the wire (RFC 4303 2.1)");
}

static void check_addresses(struct loader *ld, const struct item *it, const struct sa_conf *c)
{
	const struct value *dst = key_value(it, "dst");
	bool v6 = c->src.ver == 6 || c->dst.ver == 6;

	if (c->src.ver && c->dst.ver && c->src.ver != c->dst.ver)
		report_value(ld, dst, "dst = \"%s\" and src are not of one IP version; expected both IPv4 or both IPv6",
			     dst->text);
	if (!dst && c->dir == DIR_OUT)
		report_item(ld, it, "sa %s has no dst; expected an address, or \"%%any\" to learn it from the peer's "
				    "packets",
			    it->name);
	const struct value *mtu = key_value(it, "mtu");
	if (mtu && c->path_mtu && c->path_mtu < (v6 ? 1280u : 576u))
		report_value(ld, mtu, "mtu = %s; expected 0 (from the route) or a number from %u to 65535", mtu->text,
			     v6 ? 1280 : 576);
}

/* Our end's port is where all our datagrams leave and arrive; only the far end's is free. */
static void check_ports(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	bool out = c->dir == DIR_OUT;
	const char *own_key = out ? "src_port" : "dst_port";
	const struct value *own = key_value(it, own_key), *far = key_value(it, out ? "dst_port" : "src_port");
	uint16_t *port = out ? &c->src_port : &c->dst_port;

	if (c->encap == SA_ENCAP_NONE) {
		const struct value *any = own ? own : far;
		if (any)
			report_value(ld, any, "a port with encap = none, where there are none; expected encap = udp");
		c->src_port = c->dst_port = 0;
	} else if (!own) {
		*port = ld->conf->port;
	} else if (*port != ld->conf->port) {
		report_value(ld, own, "%s = %u is not the port we use; expected port_nat_t, %u", own_key, *port,
			     ld->conf->port);
	}
}

static void check_window(struct loader *ld, const struct item *it, struct config_sa *s)
{
	const struct value *v = key_value(it, "replay_window");

	s->anti_replay_set = v != NULL;
	if (v && s->conf.replay_window && s->conf.replay_window < REPLAY_WINDOW_MIN)
		report_value(ld, v, "replay_window = \"%s\"; expected 0 (off) or a number from %d to %d", v->text,
			     REPLAY_WINDOW_MIN, REPLAY_WINDOW_MAX);
	if (v && s->conf.dir == DIR_OUT)
		warn_value(ld, v, "replay_window has no effect with direction = out; expected it in the inbound SA");
}

/* Who sends chooses; who receives takes what comes by any of them (RFC 4301 4.1). */
static void check_dscp(struct loader *ld, const struct item *it, const struct sa_conf *c)
{
	const struct value *v = key_value(it, "match_dscp");

	if (v && c->dir == DIR_IN)
		report_value(ld, v, "match_dscp with direction = in, but only the sender chooses by DSCP; expected it in the "
				    "outbound SA");
}

static void check_life(struct loader *ld, const struct item *it, const struct sa_lifetime *l)
{
	const struct {
		const char *what;
		uint64_t soft, hard;
	} rows[] = {
		{ "bytes", l->soft_bytes, l->hard_bytes },
		{ "packets", l->soft_packets, l->hard_packets },
		{ "time", l->soft_ns, l->hard_ns },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char soft[32], hard[32];
		if (!rows[i].soft || !rows[i].hard || rows[i].hard > rows[i].soft)
			continue;
		snprintf(soft, sizeof(soft), "rekey_%s", rows[i].what);
		snprintf(hard, sizeof(hard), "life_%s", rows[i].what);
		const struct value *v = key_value(it, hard), *s = key_value(it, soft);
		report_value(ld, v, "%s = %s ends the SA before %s = %s warns; expected it to be more", hard, v->text,
			     soft, s->text);
	}
}

/* What is beside the cipher: is it in the way, or missing? True when the key is to be read. */
static bool key_wanted(struct loader *ld, const struct item *it, const char *key, const char *whose, size_t len)
{
	const struct value *v = key_value(it, key);

	if (v && !len)
		report_value(ld, v, "%s beside %s, which takes none; expected no %s", key, whose, key);
	if (!v && len)
		report_item(ld, it, "sa %s has no %s; expected %zu bytes in hex or \"file:PATH\" for %s", it->name, key,
			    len, whose);
	return v && len;
}

static void read_keys(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	const struct esp_suite *s = &c->suite;
	size_t salt = s->encr->salt_len, len = s->key_len + salt, integ = s->integ ? s->integ->key_len : 0;

	if (key_wanted(ld, it, "key", s->encr->name, len))
		(void)keymat_read(ld, key_value(it, "key"), "key", len, salt, &c->encr_key);
	if (key_wanted(ld, it, "integ_key", s->integ ? s->integ->name : s->encr->name, integ))
		(void)keymat_read(ld, key_value(it, "integ_key"), "integ_key", integ, 0, &c->integ_key);
	sa_conf_set_key_id(c);
}

static void read_suite(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	const struct value *cipher = key_value(it, "cipher"), *integ = key_value(it, "integrity");
	char why[320];

	if (!cipher)
		return; /* said already */
	if (esp_suite_parse(cipher->text, integ ? integ->text : NULL, &c->suite, why, sizeof(why))) {
		bool at_integ = integ && strncmp(why, "unknown cipher", 14) != 0;
		memset(&c->suite, 0, sizeof(c->suite));
		report_value(ld, at_integ ? integ : cipher, "%s", why);
		return;
	}
	if (c->proto == SA_AH && c->suite.encr->id != ENCR_NULL && c->suite.encr->id != ENCR_NULL_AUTH_AES_GMAC)
		report_value(ld, cipher, "cipher = \"%s\": AH does not encrypt; expected null (with integrity), aes128gmac, "
					 "aes192gmac or aes256gmac",
			     cipher->text);
	if (c->suite.weak && !ld->conf->allow_weak) {
		bool encr = c->suite.encr->weak;
		report_value(ld, encr || !integ ? cipher : integ,
			     "%s = \"%s\" is weak (%s); expected a stronger one, or allow_weak = yes at the top level",
			     encr || !integ ? "cipher" : "integrity", encr || !integ ? cipher->text : integ->text,
			     encr ? c->suite.encr->name : c->suite.integ->name);
	}
	read_keys(ld, it, c);
}

void sa_build(struct loader *ld, const struct item *it, struct config_sa *out)
{
	struct sa_conf *c = &out->conf;

	c->name = strdup(it->name);
	out->file = strdup(it->src->path);
	out->line = it->line;
	if (!have_memory(ld, c->name) || !have_memory(ld, out->file))
		return;
	keys_apply(ld, it, out);
	check_kind(ld, it, c);
	check_spi(ld, it);
	check_addresses(ld, it, c);
	group_check(ld, it, out);
	check_ports(ld, it, c);
	bind_to_ends(ld, it, c);
	check_window(ld, it, out);
	check_dscp(ld, it, c);
	check_life(ld, it, &c->life);
	read_suite(ld, it, c);
	c->mss_clamp = ld->conf->mss_clamp;
}
