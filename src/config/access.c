/*
 * What peers from afar need beside keys: pool and user sections, and the words of connections that
 * stand for them (vips, pools, XAUTH). Secrets are wiped on the way, and never part of a message.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "config/internal.h"
#include "ike/v1/cfg.h"

bool v_addrs(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ip_addr a;

	if (ip_addr_parse(v->text, &a))
		return value_refuse(ld, row, v, "an IPv4 or IPv6 address");
	return vec_push(ld, out, &a, sizeof(a));
}

bool v_resolv(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	char *none;

	if (strcmp(v->text, "none") != 0)
		return v_text(ld, row, v, out);
	none = strdup("");
	if (!have_memory(ld, none))
		return false;
	free(*(char **)out);
	*(char **)out = none;
	return true;
}

bool v_string(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	if (!v->text[0] || strlen(v->text) > 255)
		return value_refuse(ld, row, v, "1 to 255 bytes of text");
	char *s = strdup(v->text);
	if (!have_memory(ld, s))
		return false;
	free(*(char **)out);
	*(char **)out = s;
	return true;
}

bool v_auth2(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	bool xauth = strcasecmp(v->text, "xauth") == 0;

	if (!xauth && strcasecmp(v->text, "none") != 0)
		return value_refuse(ld, row, v, "none or xauth");
	*(bool *)out = xauth;
	return true;
}

bool v_names(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	char *s = strdup(v->text);

	if (have_memory(ld, s) && vec_push(ld, out, &s, sizeof(s)))
		return true;
	free(s);
	return false;
}

/* -- sections -- */

/* More does not fit what Mode Config tells a peer, and would be left out without a word. */
static void check_room(struct loader *ld, const struct item *it, const char *key, unsigned n,
		       unsigned max)
{
	if (n > max)
		report_value(ld, key_value(it, key), "%s: %u of them; expected up to %u", key, n, max);
}

static bool ranges_meet(const struct ike_pool_conf *a, const struct ike_pool_conf *b)
{
	for (unsigned i = 0; i < a->n_addrs; i++)
		for (unsigned k = 0; k < b->n_addrs; k++) {
			const struct ip_range *x = &a->addrs[i], *y = &b->addrs[k];
			if (x->lo.ver == y->lo.ver && ip_addr_cmp(&x->lo, &y->hi) <= 0 &&
			    ip_addr_cmp(&y->lo, &x->hi) <= 0)
				return true;
		}
	return false;
}

static void check_overlap(struct loader *ld, const struct item *it, const struct ike_pool_conf *p)
{
	const struct ike_conf *c = ld->conf->ike;

	for (const struct ike_pool_conf *o = c->pool; o < p; o++)
		if (ranges_meet(o, p))
			report_value(ld, key_value(it, "addrs"),
				     "addrs: pool %s has some of these addresses, too; expected each "
				     "in one pool",
				     o->name);
}

void pool_build(struct loader *ld, const struct item *it, struct ike_pool_conf *out)
{
	struct pool_draft d = { .p = { .name = strdup(it->name) } };

	if (have_memory(ld, d.p.name))
		keys_apply(ld, it, &d);
	*out = d.p;
	out->addrs = d.addrs.p;
	out->n_addrs = d.addrs.n;
	out->dns = d.dns.p;
	out->n_dns = d.dns.n;
	out->nbns = d.nbns.p;
	out->n_nbns = d.nbns.n;
	out->include = d.include.p;
	out->n_include = d.include.n;
	out->exclude = d.exclude.p;
	out->n_exclude = d.exclude.n;
	for (unsigned i = 0; i < out->n_addrs; i++)
		if (ip_addr_is_any(&out->addrs[i].lo))
			report_value(ld, key_value(it, "addrs"),
				     "addrs: a pool of all addresses; expected a prefix or a range");
	for (unsigned i = 0; i < out->n_nbns; i++)
		if (out->nbns[i].ver != 4)
			report_value(ld, key_value(it, "nbns"),
				     "nbns: only IPv4 has WINS; expected an IPv4 address");
	for (unsigned i = 0; i < out->n_exclude; i++)
		if (out->exclude[i].addr.ver != 4)
			report_value(ld, key_value(it, "split_exclude"),
				     "split_exclude: there is no such attribute for IPv6; expected "
				     "IPv4 prefixes");
	check_overlap(ld, it, out);
	check_room(ld, it, "dns", out->n_dns, 2 * V1_CFG_SERVERS);
	check_room(ld, it, "nbns", out->n_nbns, V1_CFG_SERVERS);
	check_room(ld, it, "split_include", out->n_include, V1_CFG_NETS);
	check_room(ld, it, "split_exclude", out->n_exclude, V1_CFG_NETS);
}

void user_build(struct loader *ld, const struct item *it, struct ike_user *out)
{
	const struct value *secret = key_value(it, "secret"), *hash = key_value(it, "hash");

	out->name = strdup(it->name);
	if (!have_memory(ld, out->name))
		return;
	keys_apply(ld, it, out);
	if (!secret == !hash) {
		report_item(ld, it, "user %s has %s; expected one of secret and hash", it->name,
			    secret ? "a secret and a hash" : "neither secret nor hash");
		return;
	}
	if (secret && secret_read(ld, secret, "secret", &out->secret) && out->secret.len > 255)
		report_value(ld, secret, "secret is too long for XAUTH; expected up to 255 bytes");
	if (hash &&
	    (strlen(hash->text) >= crypto_pwhash_STRBYTES ||
	     crypto_pwhash_str_needs_rehash(hash->text, crypto_pwhash_OPSLIMIT_INTERACTIVE,
					    crypto_pwhash_MEMLIMIT_INTERACTIVE) < 0))
		report_value(ld, hash,
			     "hash is none of a password; expected $argon2id$... as `bumpwire hash` "
			     "prints it");
	else if (hash)
		(void)have_memory(ld, out->hash = strdup(hash->text));
}

/* -- connections -- */

static const struct ike_user *user_named(const struct ike_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->n_user; i++)
		if (strcmp(c->user[i].name, name) == 0)
			return &c->user[i];
	return NULL;
}

static void check_client(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	const char *id = c->auth.xauth_id;
	const struct ike_user *u = id ? user_named(ld->conf->ike, id) : NULL;

	if (!id)
		report_item(ld, it,
			    "connection %s: XAUTH of the local side has no user name; expected "
			    "xauth_id = NAME of a user section",
			    it->name);
	else if (!u || u->hash)
		report_item(ld, it,
			    "connection %s: %s user \"%s\"; expected user %s { secret = ... }",
			    it->name, u ? "only the hash is known of" : "there is no", id, id);
}

/* What a connection gets or gives. */
static void check_addresses(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	unsigned of[2] = { 0, 0 };

	for (unsigned i = 0; i < c->n_vips; i++)
		of[c->vips[i].ver == 6]++;
	if (of[0] > 1 || of[1] > 1)
		report_value(ld, key_value(it, "vips"),
			     "vips: two of one IP version; expected up to one of IPv4 and one of IPv6");
	for (unsigned i = 0; i < c->n_vips; i++)
		if (c->push && !ip_addr_is_any(&c->vips[i]))
			warn_item(ld, it,
				  "connection %s: vips names an address, and with pull = no we ask for "
				  "none; expected 0.0.0.0 or ::",
				  it->name);
	if (c->push && !c->n_vips && !c->n_pools)
		warn_item(ld, it, "connection %s: pull = no has no effect; expected vips or pools beside it",
			  it->name);
	for (unsigned i = 0; i < c->n_pools; i++) {
		if (!ike_conf_pool(ld->conf->ike, c->pools[i]))
			report_value(ld, key_value(it, "pools"),
				     "pools: there is no pool \"%s\"; expected the name of a pool "
				     "section",
				     c->pools[i]);
		for (unsigned k = 0; k < i; k++)
			if (strcmp(c->pools[i], c->pools[k]) == 0)
				report_value(ld, key_value(it, "pools"), "pools: %s is named twice; expected each pool once",
					     c->pools[i]);
	}
	if (c->n_vips && c->n_pools)
		report_item(ld, it,
			    "connection %s has vips and pools; expected one: we get addresses, or "
			    "give them",
			    it->name);
}

/* xauth_id where nobody is asked for it, or of somebody unknown. */
static void check_ids(struct loader *ld, const struct item *it, const struct ike_conn_conf *c,
		      bool client, bool server)
{
	const char *id = c->peer.xauth_id;

	if (c->auth.xauth_id && !client)
		warn_item(ld, it,
			  "connection %s: xauth_id of the local side has no effect; expected auth2 = "
			  "xauth or auth = xauth beside it",
			  it->name);
	if (id && !server)
		warn_item(ld, it,
			  "connection %s: xauth_id of the remote side has no effect; expected auth2 = "
			  "xauth or auth = xauth beside it",
			  it->name);
	else if (id && !user_named(ld->conf->ike, id))
		report_item(ld, it, "connection %s: there is no user \"%s\"; expected user %s { ... }",
			    it->name, id, id);
	if ((c->auth.xauth && c->auth.method == IKE_BY_XAUTH) ||
	    (c->peer.xauth && c->peer.method == IKE_BY_XAUTH))
		report_item(ld, it,
			    "connection %s: auth = xauth and auth2 = xauth on one side; expected one of "
			    "them",
			    it->name);
}

void access_check(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	bool client = c->auth.xauth || c->auth.method == IKE_BY_XAUTH;
	bool server = c->peer.xauth || c->peer.method == IKE_BY_XAUTH;
	bool hybrid = c->auth.method == IKE_BY_XAUTH || c->peer.method == IKE_BY_XAUTH;

	check_addresses(ld, it, c);
	check_ids(ld, it, c, client, server);
	if ((client || server || c->n_vips || c->n_pools) && c->version != 1)
		report_item(ld, it,
			    "connection %s: XAUTH, vips and pools exist with IKEv1 only; expected "
			    "version = 1",
			    it->name);
	if (client && server)
		report_item(ld, it,
			    "connection %s has XAUTH on both sides; expected it on one", it->name);
	else if (hybrid && c->auth.method != IKE_BY_PUBKEY && c->peer.method != IKE_BY_PUBKEY)
		report_item(ld, it,
			    "connection %s: auth = xauth on one side; expected pubkey on the other",
			    it->name);
	else if (client)
		check_client(ld, it, c);
	if (server && !ld->conf->ike->n_user)
		warn_item(ld, it,
			  "connection %s wants XAUTH of the peer, and nobody could pass; expected "
			  "user NAME { ... }",
			  it->name);
}
