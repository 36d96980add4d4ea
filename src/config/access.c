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
	    (strlen(hash->text) >= crypto_pwhash_STRBYTES || strncmp(hash->text, "$argon2", 7) != 0))
		report_value(ld, hash,
			     "hash is none of libsodium's; expected $argon2id$... as "
			     "crypto_pwhash_str() makes it");
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

void access_check(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	bool client = c->auth.xauth || c->auth.method == IKE_BY_XAUTH;
	bool server = c->peer.xauth || c->peer.method == IKE_BY_XAUTH;
	bool hybrid = c->auth.method == IKE_BY_XAUTH || c->peer.method == IKE_BY_XAUTH;

	for (unsigned i = 0; i < c->n_pools; i++)
		if (!ike_conf_pool(ld->conf->ike, c->pools[i]))
			report_value(ld, key_value(it, "pools"),
				     "pools: there is no pool \"%s\"; expected the name of a pool "
				     "section",
				     c->pools[i]);
	if ((client || server || c->n_vips || c->n_pools) && c->version != 1)
		report_item(ld, it,
			    "connection %s: XAUTH, vips and pools exist with IKEv1 only; expected "
			    "version = 1",
			    it->name);
	if (c->n_vips && c->n_pools)
		report_item(ld, it,
			    "connection %s has vips and pools; expected one: we get addresses, or "
			    "give them",
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
