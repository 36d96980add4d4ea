/* See ike_duo.h: configurations of both engines and parts of them, from words. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ike_duo.h"

void duo_ident(struct ident *id, const char *text)
{
	char why[256];

	ident_fini(id);
	if (ident_parse(text, id, why, sizeof(why)))
		ck_abort_msg("%s: %s", text, why);
}

void duo_proposals(struct proposals *p, enum ike_protocol proto, const char *text)
{
	char why[256];

	if (proposals_parse(proto, text, true, p, why, sizeof(why)))
		ck_abort_msg("%s: %s", text, why);
}

void duo_ts(struct ts_list *l, const char *text)
{
	char buf[512], why[256], *save = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	l->n = 0;
	for (char *w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (ts_parse(w, &l->ts[l->n++], why, sizeof(why)))
			ck_abort_msg("%s: %s", w, why);
}

static struct ike_host *host(const char *text)
{
	struct ike_host *h = calloc(1, sizeof(*h));

	if (ip_range_parse(text, &h->range))
		h->name = strdup(text);
	return h;
}

struct ike_conf *duo_conf(void)
{
	struct ike_conf *c = calloc(1, sizeof(*c));

	c->conn = calloc(DUO_CONNS, sizeof(*c->conn));
	c->psks.psk = calloc(16, sizeof(*c->psks.psk));
	c->retransmit =
	    (struct ike_retransmit){ .timeout_ns = 4 * NS_PER_S, .base = 1.8, .tries = 5 };
	c->cookie_threshold = 10;
	c->block_threshold = 5;
	c->half_open_max = 8192;
	c->half_open_ns = 30 * NS_PER_S;
	c->keepalive_ns = 20 * NS_PER_S;
	c->refs = 1;
	return c;
}

struct ike_conn_conf *duo_conf_conn(struct ike_conf *c, const char *name, const char *local,
				    const char *remote)
{
	struct ike_conn_conf *n = &c->conn[c->n_conn++];

	ck_assert_uint_le(c->n_conn, DUO_CONNS);
	n->name = strdup(name);
	n->version = 2;
	if (local) {
		n->local = host(local);
		n->n_local = 1;
	}
	if (remote) {
		n->remote = host(remote);
		n->n_remote = 1;
	}
	n->local_port = n->remote_port = 500;
	n->fragmentation = IKE_FRAG_YES;
	n->send_certreq = true;
	n->send_cert = IKE_CERT_IFASKED;
	n->keyingtries = 1;
	n->unique = IKE_UNIQUE_NO;
	duo_proposals(&n->proposals, IKE_PROTO_IKE, "aes128gcm16-prfsha256-curve25519");
	n->child = calloc(8, sizeof(*n->child));
	return n;
}

struct ike_child_conf *duo_conf_child(struct ike_conn_conf *c, const char *name,
				      const char *local_ts, const char *remote_ts)
{
	struct ike_child_conf *k = &c->child[c->n_child++];

	ck_assert_uint_le(c->n_child, 8);
	k->name = strdup(name);
	duo_proposals(&k->proposals, IKE_PROTO_ESP, "aes128gcm16");
	duo_ts(&k->local_ts, local_ts);
	duo_ts(&k->remote_ts, remote_ts);
	k->mode = SA_TUNNEL;
	k->replay_window = 32;
	return k;
}

void duo_conf_childless(struct ike_conn_conf *c)
{
	while (c->n_child)
		free(c->child[--c->n_child].name);
}

void duo_conf_psk(struct ike_conf *c, const char *id1, const char *id2, const char *secret)
{
	struct cred_psk *p = &c->psks.psk[c->psks.n++];

	ck_assert_uint_le(c->psks.n, 16);
	p->id = calloc(2, sizeof(*p->id));
	if (id1)
		duo_ident(&p->id[p->n_id++], id1);
	if (id2)
		duo_ident(&p->id[p->n_id++], id2);
	p->name = strdup("test");
	ck_assert_int_eq(secret_copy(&p->key, span_of(secret, strlen(secret))), 0);
}

static void default_conf(struct duo_node *n, const char *name, const char *me, const char *peer,
			 const char *my_id, const char *peer_id, const char *my_ts,
			 const char *peer_ts)
{
	n->conf = duo_conf();
	n->conn = duo_conf_conn(n->conf, name, me, peer);
	duo_ident(&n->conn->auth.id, my_id);
	duo_ident(&n->conn->peer.id, peer_id);
	duo_conf_child(n->conn, "net", my_ts, peer_ts);
	duo_conf_psk(n->conf, my_id, peer_id, "a secret of both");
	ck_assert_int_eq(ip_addr_parse(me, &n->addr), 0);
}

void duo_conf_default(struct duo_node *n)
{
	if (n->name == 'a')
		default_conf(n, "b", "192.0.2.1", "192.0.2.2", "a.example", "b.example",
			     "10.1.0.0/16", "10.2.0.0/16");
	else
		default_conf(n, "a", "192.0.2.2", "192.0.2.1", "b.example", "a.example",
			     "10.2.0.0/16", "10.1.0.0/16");
}
