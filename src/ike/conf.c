/*
 * The life of a configuration of IKE, and whether two of its parts mean the same. config/ makes it
 * in one piece; everybody who keeps it counts; the last one wipes and frees.
 */
#include "ike/conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct ike_conf *ike_conf_ref(struct ike_conf *c)
{
	c->refs++;
	return c;
}

static void hosts_free(struct ike_host *h, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(h[i].name);
	free(h);
}

static void auth_fini(struct ike_auth_conf *a)
{
	ident_fini(&a->id);
	free(a->xauth_id);
	for (unsigned i = 0; i < a->n_cred; i++)
		cred_unref(&a->cred[i]);
	free(a->cred);
	cred_cas_unref(&a->cas);
}

static void conn_fini(struct ike_conn_conf *c)
{
	hosts_free(c->local, c->n_local);
	hosts_free(c->remote, c->n_remote);
	auth_fini(&c->auth);
	auth_fini(&c->peer);
	for (unsigned i = 0; i < c->n_child; i++)
		free(c->child[i].name);
	free(c->child);
	free(c->vips);
	for (unsigned i = 0; i < c->n_pools; i++)
		free(c->pools[i]);
	free(c->pools);
	free(c->name);
	free(c->file);
}

static void pool_fini(struct ike_pool_conf *p)
{
	free(p->name);
	free(p->addrs);
	free(p->dns);
	free(p->nbns);
	free(p->include);
	free(p->exclude);
	free(p->domain);
	free(p->banner);
	free(p->split_dns);
}

static void user_fini(struct ike_user *u)
{
	free(u->name);
	secret_free(&u->secret);
	free(u->hash);
}

const struct ike_pool_conf *ike_conf_pool(const struct ike_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->n_pool; i++)
		if (strcmp(c->pool[i].name, name) == 0)
			return &c->pool[i];
	return NULL;
}

void ike_conf_unref(struct ike_conf **cp)
{
	struct ike_conf *c = *cp;

	*cp = NULL;
	if (!c || --c->refs)
		return;
	for (unsigned i = 0; i < c->n_conn; i++)
		conn_fini(&c->conn[i]);
	free(c->conn);
	for (unsigned i = 0; i < c->n_pool; i++)
		pool_fini(&c->pool[i]);
	free(c->pool);
	for (unsigned i = 0; i < c->n_user; i++)
		user_fini(&c->user[i]);
	free(c->user);
	cred_psks_fini(&c->psks);
	cred_cas_unref(&c->cas);
	free(c);
}

/* Field by field: a copy of the whole would have to know every pointer it must not take along. */
struct ike_conf *ike_conf_bare(const struct ike_conf *c)
{
	struct ike_conf *bare = calloc(1, sizeof(*bare));

	if (!bare)
		return NULL;
	*bare = (struct ike_conf){ .port_nat_t = c->port_nat_t,
				   .retransmit = c->retransmit,
				   .cookie_threshold = c->cookie_threshold,
				   .block_threshold = c->block_threshold,
				   .half_open_max = c->half_open_max,
				   .half_open_ns = c->half_open_ns,
				   .sas_max = c->sas_max,
				   .keepalive_ns = c->keepalive_ns,
				   .vendor_id = c->vendor_id,
				   .refs = 1 };
	return bare;
}

static bool hosts_same(const struct ike_host *a, unsigned na, const struct ike_host *b, unsigned nb)
{
	if (na != nb)
		return false;
	for (unsigned i = 0; i < na; i++) {
		if (!a[i].name != !b[i].name)
			return false;
		if (a[i].name ? strcasecmp(a[i].name, b[i].name) != 0
			      : !ip_addr_eq(&a[i].range.lo, &b[i].range.lo) ||
				    !ip_addr_eq(&a[i].range.hi, &b[i].range.hi))
			return false;
	}
	return true;
}

static bool proposal_same(const struct proposal *a, const struct proposal *b)
{
	if (a->proto != b->proto || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (a->alg[i].type != b->alg[i].type || a->alg[i].id != b->alg[i].id ||
		    a->alg[i].key_bits != b->alg[i].key_bits)
			return false;
	return true;
}

static bool proposals_same(const struct proposals *a, const struct proposals *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = proposal_same(&a->p[i], &b->p[i]);
	return same;
}

static bool chain_same(STACK_OF(X509) * a, STACK_OF(X509) * b)
{
	int na = a ? sk_X509_num(a) : 0, nb = b ? sk_X509_num(b) : 0;
	bool same = na == nb;

	for (int i = 0; same && i < na; i++)
		same = X509_cmp(sk_X509_value(a, i), sk_X509_value(b, i)) == 0;
	return same;
}

/* A private key belongs to its public key: of it only the presence is compared. */
static bool cred_same(const struct cred *a, const struct cred *b)
{
	if (!a->cert != !b->cert || !a->key != !b->key)
		return false;
	if (a->cert ? X509_cmp(a->cert, b->cert) != 0 : EVP_PKEY_eq(a->pub, b->pub) != 1)
		return false;
	return chain_same(a->chain, b->chain);
}

static bool cas_have(const struct cred_cas *c, const X509 *cert)
{
	for (unsigned i = 0; i < cred_cas_count(c); i++)
		if (X509_cmp(cred_cas_cert(c, i), cert) == 0)
			return true;
	return false;
}

/* The order does not count: a directory has none. */
static bool cas_same(const struct cred_cas *a, const struct cred_cas *b)
{
	if (!a || !b)
		return a == b;
	if (cred_cas_count(a) != cred_cas_count(b))
		return false;
	for (unsigned i = 0; i < cred_cas_count(a); i++)
		if (!cas_have(b, cred_cas_cert(a, i)))
			return false;
	return true;
}

static bool ident_same(const struct ident *a, const struct ident *b)
{
	return a->type == b->type && (a->type == 0 || ident_eq(a, b));
}

static bool auth_same(const struct ike_auth_conf *a, const struct ike_auth_conf *b)
{
	if (a->method != b->method || a->pss != b->pss || a->xauth != b->xauth ||
	    strcmp(a->xauth_id ? a->xauth_id : "", b->xauth_id ? b->xauth_id : "") != 0 || a->n_cred != b->n_cred ||
	    !ident_same(&a->id, &b->id) || !cas_same(a->cas, b->cas))
		return false;
	for (unsigned i = 0; i < a->n_cred; i++)
		if (!cred_same(a->cred[i], b->cred[i]))
			return false;
	return true;
}

static bool child_limits_same(const struct ike_child_conf *a, const struct ike_child_conf *b)
{
	return a->rekey_ns == b->rekey_ns && a->life_ns == b->life_ns && a->rand_ns == b->rand_ns &&
	       a->rekey_bytes == b->rekey_bytes && a->life_bytes == b->life_bytes &&
	       a->rand_bytes == b->rand_bytes && a->rekey_packets == b->rekey_packets &&
	       a->life_packets == b->life_packets && a->rand_packets == b->rand_packets &&
	       a->inactivity_ns == b->inactivity_ns;
}

bool ike_child_same(const struct ike_child_conf *a, const struct ike_child_conf *b)
{
	return strcmp(a->name, b->name) == 0 && a->proto == b->proto && a->mode == b->mode &&
	       proposals_same(&a->proposals, &b->proposals) && proposals_same(&a->ah, &b->ah) &&
	       ts_list_eq(&a->local_ts, &b->local_ts) && ts_list_eq(&a->remote_ts, &b->remote_ts) &&
	       child_limits_same(a, b) && a->start == b->start && a->dpd_action == b->dpd_action &&
	       a->close_action == b->close_action && a->replay_window == b->replay_window &&
	       a->df == b->df && a->fragment == b->fragment && a->ecn == b->ecn &&
	       a->pfp == b->pfp && a->fragments_also == b->fragments_also &&
	       a->mss_clamp == b->mss_clamp && a->dscp == b->dscp && a->path_mtu == b->path_mtu;
}

static bool conn_words_same(const struct ike_conn_conf *a, const struct ike_conn_conf *b)
{
	return strcmp(a->name, b->name) == 0 && a->version == b->version &&
	       a->aggressive == b->aggressive && a->exchange == b->exchange &&
	       a->commit_bit == b->commit_bit &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       a->fragmentation == b->fragmentation && a->fragment_size == b->fragment_size &&
	       a->encap == b->encap && a->childless == b->childless &&
	       a->send_cert == b->send_cert && a->send_certreq == b->send_certreq &&
	       a->unique == b->unique && a->keyingtries == b->keyingtries &&
	       a->dpd_delay_ns == b->dpd_delay_ns && a->dpd_timeout_ns == b->dpd_timeout_ns &&
	       a->childless_timeout_ns == b->childless_timeout_ns &&
	       a->rekey_ns == b->rekey_ns && a->reauth_ns == b->reauth_ns &&
	       a->over_ns == b->over_ns && a->rand_ns == b->rand_ns &&
	       a->life_bytes == b->life_bytes && a->push == b->push &&
	       a->allow_weak == b->allow_weak;
}

static bool vips_same(const struct ike_conn_conf *a, const struct ike_conn_conf *b)
{
	bool same = a->n_vips == b->n_vips && a->n_pools == b->n_pools;

	for (unsigned i = 0; same && i < a->n_vips; i++)
		same = ip_addr_eq(&a->vips[i], &b->vips[i]);
	for (unsigned i = 0; same && i < a->n_pools; i++)
		same = strcmp(a->pools[i], b->pools[i]) == 0;
	return same;
}

bool ike_conn_same_itself(const struct ike_conn_conf *a, const struct ike_conn_conf *b)
{
	return conn_words_same(a, b) && vips_same(a, b) &&
	       hosts_same(a->local, a->n_local, b->local, b->n_local) &&
	       hosts_same(a->remote, a->n_remote, b->remote, b->n_remote) &&
	       proposals_same(&a->proposals, &b->proposals) && auth_same(&a->auth, &b->auth) &&
	       auth_same(&a->peer, &b->peer);
}

bool ike_conn_same(const struct ike_conn_conf *a, const struct ike_conn_conf *b)
{
	bool same = ike_conn_same_itself(a, b) && a->n_child == b->n_child;

	for (unsigned i = 0; same && i < a->n_child; i++)
		same = ike_child_same(&a->child[i], &b->child[i]);
	return same;
}
