/*
 * The sections of IKE to one struct ike_conf: the keys of the top level, then secrets, then each
 * connection with its local, remote and child sections. A configuration without connections has
 * none.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/internal.h"

/* %any among hosts means all of them. */
static void take_hosts(struct vec *v, struct ike_host **host, unsigned *n)
{
	struct ike_host *h = v->p;

	*host = h;
	*n = v->n;
	for (unsigned i = 0; i < v->n; i++)
		if (!h[i].name && !h[i].range.lo.ver)
			*n = 0;
	for (unsigned i = 0; i < v->n && *n == 0; i++)
		free(h[i].name);
}

/* As strongSwan fills in what was not written. */
static void fill_times(struct ike_conn_conf *c)
{
	if (c->rekey_ns == UNWRITTEN)
		c->rekey_ns = c->reauth_ns ? 0 : 4 * 3600 * NS_PER_S;
	uint64_t longer = c->rekey_ns > c->reauth_ns ? c->rekey_ns : c->reauth_ns;
	if (c->over_ns == UNWRITTEN)
		c->over_ns = longer / 10;
	if (c->rand_ns == UNWRITTEN)
		c->rand_ns = c->over_ns < longer / 2 ? c->over_ns : longer / 2;
}

static void check_times(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	const struct value *rand = key_value(it, "rand_time"),
			   *timeout = key_value(it, "dpd_timeout");
	bool takes_rekey = c->rekey_ns && c->rand_ns >= c->rekey_ns;

	if (rand && c->rand_ns && (takes_rekey || (c->reauth_ns && c->rand_ns >= c->reauth_ns)))
		report_value(ld, rand,
			     "rand_time = %s leaves nothing of %s; expected it to be less",
			     rand->text, takes_rekey ? "rekey_time" : "reauth_time");
	if (timeout && c->version == 2)
		warn_value(ld, timeout,
			   "dpd_timeout has no effect with version = 2, where retransmission "
			   "decides; expected "
			   "ike_retransmit_tries and ike_retransmit_timeout at the top level");
}

/* Port 500 on both sides speaks IKE as it is; any other has the marker of NAT traversal in front,
 * and then both ends must. What was not written follows from what was. */
static void check_ports(struct loader *ld, const struct item *it, struct ike_conn_conf *c)
{
	const struct value *own = key_value(it, "local_port"), *far = key_value(it, "remote_port");
	uint16_t ike = ld->conf->port_ike, natt = ld->conf->port;

	if (!own)
		c->local_port = far && c->remote_port != 500 ? natt : ike;
	if (!far)
		c->remote_port = c->local_port == natt ? 4500 : 500;
	if (c->local_port != ike && c->local_port != natt)
		report_value(ld, own,
			     "local_port = %u is not a port we use; expected port_ike, %u, or "
			     "port_nat_t, %u",
			     c->local_port, ike, natt);
	else if (own && far && (c->local_port == natt) != (c->remote_port != 500))
		report_value(
		    ld, far,
		    "remote_port = %u with local_port = %u: one speaks NAT traversal and the other "
		    "does not; expected one of them alone, the other follows",
		    c->remote_port, c->local_port);
}

/* An address of ours that nobody listens on would send and never receive. */
static void check_local(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	char text[IP_RANGE_STRLEN], listen[IP_ADDR_STRLEN];

	for (unsigned i = 0; i < c->n_local; i++) {
		const struct ip_range *r = &c->local[i].range;
		const struct ip_addr *ours = r->lo.ver == 4 ? &ld->conf->bind4 : &ld->conf->bind6;
		if (r->lo.ver && !ip_addr_is_any(ours) && !ip_range_has(r, ours))
			report_value(
			    ld, key_value(it, "local_addrs"),
			    "local_addrs: %s is not listened on; expected %s, as in listen",
			    ip_range_format(r, text), ip_addr_format(ours, listen));
	}
}

/* Is there a version of IP in which one of ours could speak to one of theirs? */
static void check_versions(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	unsigned local = 0, remote = 0;

	for (unsigned i = 0; i < c->n_local; i++)
		local |= c->local[i].name ? ~0u : 1u << c->local[i].range.lo.ver;
	for (unsigned i = 0; i < c->n_remote; i++)
		remote |= c->remote[i].name ? ~0u : 1u << c->remote[i].range.lo.ver;
	if (local && remote && !(local & remote))
		report_value(
		    ld, key_value(it, "remote_addrs"),
		    "remote_addrs and local_addrs are not of one IP version; expected both "
		    "IPv4 or both IPv6");
}

#define LEAST_LIFE (64 * 1024)

/* The exchanges of RFC 2408 4 that nobody expects, and what else is of IKEv1 only. */
static void check_exchange(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	const struct value *v = key_value(it, "exchange");
	bool auth = c->exchange == IKE_EXCHANGE_AUTH;

	if (c->commit_bit && c->version == 2)
		warn_value(ld, key_value(it, "commit_bit"),
			   "commit_bit has no effect with version = 2; expected version = 1 or 0");
	if (c->childless_timeout_ns && c->version == 2)
		warn_value(ld, key_value(it, "childless_timeout"),
			   "childless_timeout has no effect with version = 2; expected version = 1 or 0");
	if (c->life_bytes && c->version == 2)
		warn_value(ld, key_value(it, "ike_life_bytes"),
			   "ike_life_bytes has no effect with version = 2; expected version = 1 or 0");
	if (c->life_bytes && c->life_bytes < LEAST_LIFE)
		report_value(ld, key_value(it, "ike_life_bytes"),
			     "ike_life_bytes is what a few negotiations take; expected 0 for no limit, or 64K or more");
	if (c->exchange == IKE_EXCHANGE_MAIN)
		return;
	if (c->aggressive)
		report_value(ld, v, "exchange beside aggressive = yes; expected one of them");
	if (auth ? c->version != 1 : c->version == 2)
		report_value(ld, v, "exchange is of IKEv1; expected version = 1%s", auth ? "" : " or 0");
	if (auth && c->n_child)
		report_value(ld, v,
			     "exchange = authentication makes no keys, so that child %s has none; "
			     "expected no child",
			     c->child[0].name);
	if (auth && (c->auth.xauth || c->peer.xauth || c->auth.method == IKE_BY_XAUTH ||
		     c->peer.method == IKE_BY_XAUTH))
		report_value(ld, v, "exchange = authentication with XAUTH; expected psk or pubkey alone");
	if (c->auth.method == IKE_BY_PSK)
		warn_value(ld, v,
			   "exchange = %s with auth = psk: whoever answers or asks gets a hash to guess "
			   "the secret by, offline; expected a long random secret, certificates, or "
			   "exchange = main",
			   auth ? "authentication" : "base");
}

/* IKEv1 authenticates both sides in the same way, and Aggressive Mode gives a pre-shared key away to
 * whoever can guess. */
static void check_v1(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	const struct value *aggressive = key_value(it, "aggressive"),
			   *version = key_value(it, "version");

	if (c->aggressive && c->version == 2)
		warn_value(ld, aggressive,
			   "aggressive has no effect with version = 2; expected version = 1 or 0");
	else if (c->aggressive && c->auth.method == IKE_BY_PSK)
		warn_value(ld, aggressive,
			   "aggressive = yes with auth = psk: whoever asks gets a hash to guess the "
			   "secret by, offline; expected a long random secret, certificates, or "
			   "Main Mode");
	if (c->version != 1)
		return;
	if (c->auth.method != c->peer.method && c->auth.method != IKE_BY_XAUTH &&
	    c->peer.method != IKE_BY_XAUTH)
		report_value(ld, version,
			     "version = 1 with auth of the local and the remote side not the same; "
			     "expected psk or pubkey on both");
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].local_ts.n > 1 || c->child[i].remote_ts.n > 1)
			warn_value(ld, version,
				   "child %s: IKEv1 has one selector a side, so only the first of "
				   "local_ts and remote_ts is used; expected a child for each pair",
				   c->child[i].name);
}

static unsigned count(const struct item *items, unsigned n, enum section kind)
{
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++)
		found += items[i].kind == kind;
	return found;
}

/* The section of a kind that there is one of. */
static const struct item *only_one(struct loader *ld, const struct item *it, enum section kind)
{
	const struct item *one = NULL;
	char title[ITEM_STRLEN];

	for (unsigned i = 0; i < it->n_sub; i++) {
		const struct item *s = &it->sub[i];
		if (s->kind != kind)
			continue;
		if (one)
			report_item(ld, s,
				    "%s is given twice; expected once (%s:%d has it already)",
				    item_title(s, title), one->src->path, one->line);
		else
			one = s;
	}
	if (!one)
		report_item(ld, it,
			    "%s has no %s section; expected %s { auth = psk or pubkey ... }",
			    item_title(it, title), section_name(kind), section_name(kind));
	return one;
}

static void build_children(struct loader *ld, const struct item *it, struct ike_conn_conf *out)
{
	unsigned n = count(it->sub, it->n_sub, SEC_CHILD);

	out->child = calloc(n + 1, sizeof(*out->child));
	if (!have_memory(ld, out->child))
		return;
	for (unsigned i = 0; i < it->n_sub && !ld->no_memory; i++) {
		const struct item *s = &it->sub[i];
		if (s->kind == SEC_CHILD && item_name_ok(ld, s))
			child_build(ld, s, out, &out->child[out->n_child++]);
	}
	if (!n && !out->childless && out->exchange != IKE_EXCHANGE_AUTH)
		warn_item(
		    ld, it,
		    "connection %s has no child and carries nothing; expected child NAME { ... }",
		    it->name);
}

void conn_build(struct loader *ld, const struct item *it, struct ike_conn_conf *out)
{
	struct conn_draft d = { .allow_weak = -1 };

	d.c.rekey_ns = d.c.over_ns = d.c.rand_ns = UNWRITTEN;
	keys_apply(ld, it, &d);
	*out = d.c;
	take_hosts(&d.local, &out->local, &out->n_local);
	take_hosts(&d.remote, &out->remote, &out->n_remote);
	out->vips = d.vips.p;
	out->n_vips = d.vips.n;
	out->pools = d.pools.p;
	out->n_pools = d.pools.n;
	out->push = !d.pull;
	out->name = strdup(it->name);
	out->file = strdup(it->src->path);
	out->line = it->line;
	if (!have_memory(ld, out->name) || !have_memory(ld, out->file))
		return;
	out->version = (uint8_t)d.version;
	out->allow_weak = d.allow_weak < 0 ? ld->conf->allow_weak : d.allow_weak;
	proposals_read(ld, it, "proposals", IKE_PROTO_IKE, out->allow_weak, &out->proposals);
	fill_times(out);
	check_times(ld, it, out);
	check_ports(ld, it, out);
	check_local(ld, it, out);
	check_versions(ld, it, out);
	const struct item *local = only_one(ld, it, SEC_LOCAL),
			  *remote = only_one(ld, it, SEC_REMOTE);
	if (local)
		auth_local_build(ld, local, &out->auth);
	if (remote)
		auth_remote_build(ld, remote, ld->conf->ike->cas, &out->peer);
	build_children(ld, it, out);
	check_v1(ld, it, out);
	check_exchange(ld, it, out);
	access_check(ld, it, out);
}

/* The keys of the top level. */
static void build_globals(struct loader *ld, struct ike_conf *ike)
{
	struct item top = ld->top;

	top.kind = SEC_IKE;
	keys_apply(ld, &top, ike);
	ike->port_nat_t = ld->conf->port;
	ike->keepalive_ns = ld->conf->keepalive_s * NS_PER_S;
	if (!ike->retransmit.timeout_ns && key_value(&top, "ike_retransmit_timeout"))
		report_value(ld, key_value(&top, "ike_retransmit_timeout"),
			     "ike_retransmit_timeout = 0; expected more than 0");
	if (!ike->half_open_ns && key_value(&top, "half_open_timeout"))
		report_value(ld, key_value(&top, "half_open_timeout"),
			     "half_open_timeout = 0; expected more than 0");
	ike->cas = cas_read(ld, &top);
}

static void build_sections(struct loader *ld, struct ike_conf *ike)
{
	for (unsigned i = 0; i < ld->n_item && !ld->no_memory; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_SECRET && item_name_ok(ld, it))
			psk_build(ld, it, &ike->psks.psk[ike->psks.n++]);
	}
	for (unsigned i = 0; i < ld->n_item && !ld->no_memory; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_POOL && item_name_ok(ld, it))
			pool_build(ld, it, &ike->pool[ike->n_pool++]);
		else if (it->kind == SEC_USER && item_name_ok(ld, it))
			user_build(ld, it, &ike->user[ike->n_user++]);
	}
	for (unsigned i = 0; i < ld->n_item && !ld->no_memory; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_CONN && item_name_ok(ld, it))
			conn_build(ld, it, &ike->conn[ike->n_conn++]);
	}
}

/* Items know what they stand in from now on: their arrays move no more. */
static void link_items(struct item *it, unsigned n, const struct item *in)
{
	for (unsigned i = 0; i < n; i++) {
		it[i].in = in;
		link_items(it[i].sub, it[i].n_sub, &it[i]);
	}
}

void ike_build(struct loader *ld)
{
	struct ike_conf *ike = calloc(1, sizeof(*ike));
	unsigned conns = count(ld->item, ld->n_item, SEC_CONN),
		 psks = count(ld->item, ld->n_item, SEC_SECRET);

	if (!have_memory(ld, ike))
		return;
	ld->conf->ike = ike_conf_ref(ike);
	ike->conn = calloc(conns + 1, sizeof(*ike->conn));
	ike->psks.psk = calloc(psks + 1, sizeof(*ike->psks.psk));
	ike->pool = calloc(count(ld->item, ld->n_item, SEC_POOL) + 1, sizeof(*ike->pool));
	ike->user = calloc(count(ld->item, ld->n_item, SEC_USER) + 1, sizeof(*ike->user));
	if (!have_memory(ld, ike->pool) || !have_memory(ld, ike->user) ||
	    !have_memory(ld, ike->conn) || !have_memory(ld, ike->psks.psk))
		return;
	link_items(ld->item, ld->n_item, NULL);
	build_globals(ld, ike);
	build_sections(ld, ike);
	if (!ld->no_memory)
		check_ike(ld);
	if (!conns)
		ike_conf_unref(&ld->conf->ike);
}
