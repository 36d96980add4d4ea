/*
 * How the sections of IKE fit together: names once each, a secret for everybody who needs one,
 * children that do not take each other's traffic.
 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define CHILDREN_COMPARED 256  /* of one connection, each with each */
#define SECRETS_COMPARED  1000 /* the same */

/* The identity a side is known to have before it says so; false when it is not known. */
static bool known_id(const struct ike_auth_conf *a, const struct ike_host *host, unsigned n,
		     bool own, struct ident *out)
{
	if (a->id.type)
		return !ident_is_pattern(&a->id) && ident_copy(&a->id, out) == 0;
	if (!own || n != 1 || host->name || !ip_addr_eq(&host->range.lo, &host->range.hi))
		return false;
	return ident_from_addr(&host->range.lo, out) == 0;
}

/* Is there a secret for a connection with auth = psk on either side? */
static void check_secret(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	struct ident mine = { 0 }, peer = { 0 };

	if (c->auth.method != IKE_BY_PSK && c->peer.method != IKE_BY_PSK)
		return;
	bool me = known_id(&c->auth, c->local, c->n_local, true, &mine);
	bool him = known_id(&c->peer, c->remote, c->n_remote, false, &peer);
	if (!cred_psk_find(&ld->conf->ike->psks, me ? &mine : NULL, him ? &peer : NULL))
		warn_item(ld, it,
			  "connection %s has auth = psk, and no secret is for it; expected secret "
			  "NAME { id = {...} secret = "
			  "... } with its identities",
			  it->name);
	ident_fini(&mine);
	ident_fini(&peer);
}

/* Is every selector of inner inside one of outer? What `dynamic` will be is not known yet. */
static bool covered(const struct ts_list *inner, const struct ts_list *outer)
{
	for (unsigned i = 0; i < inner->n; i++) {
		const struct ts *in = &inner->ts[i];
		bool found = false;
		for (unsigned k = 0; k < outer->n && !found; k++) {
			const struct ts *out = &outer->ts[k];
			found =
			    ts_eq(in, out) || (!in->dynamic && !out->dynamic && ts_covers(out, in));
		}
		if (!found)
			return false;
	}
	return true;
}

/* Of two children that could carry a packet the first does: is there one left for the later? */
static void check_children(struct loader *ld, const struct item *conn,
			   const struct ike_conn_conf *c)
{
	const struct item *of[CHILDREN_COMPARED];
	unsigned n = 0;

	for (unsigned i = 0; i < conn->n_sub && n < CHILDREN_COMPARED; i++)
		if (conn->sub[i].kind == SEC_CHILD)
			of[n++] = &conn->sub[i];
	for (unsigned i = 1; i < n && n <= c->n_child; i++)
		for (unsigned k = 0; k < i; k++) {
			const struct ike_child_conf *late = &c->child[i], *early = &c->child[k];
			if (!covered(&late->local_ts, &early->local_ts) ||
			    !covered(&late->remote_ts, &early->remote_ts))
				continue;
			warn_item(ld, of[i],
				  "child %s carries nothing: child %s (%s:%d) takes all its "
				  "traffic; expected traffic "
				  "selectors of its own, or the narrower child first",
				  late->name, early->name, of[k]->src->path, of[k]->line);
			break;
		}
}

static void check_connections(struct loader *ld)
{
	const struct ike_conf *ike = ld->conf->ike;
	unsigned n = 0;

	for (unsigned i = 0; i < ld->n_item && n < ike->n_conn; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind != SEC_CONN)
			continue;
		check_names_once(ld, it->sub, it->n_sub, SEC_CHILD);
		check_secret(ld, it, &ike->conn[n]);
		check_children(ld, it, &ike->conn[n]);
		n++;
	}
}

static bool owner_of(const struct cred_psk *p, const struct ident *id)
{
	for (unsigned i = 0; i < p->n_id; i++)
		if (p->id[i].type == id->type && ident_eq(&p->id[i], id))
			return true;
	return false;
}

static bool owners_same(const struct cred_psk *a, const struct cred_psk *b)
{
	bool same = a->n_id == b->n_id;

	for (unsigned i = 0; same && i < a->n_id; i++)
		same = owner_of(b, &a->id[i]) && owner_of(a, &b->id[i]);
	return same;
}

/* Of two secrets with the same owners the second is never asked for. */
static void check_owners(struct loader *ld)
{
	const struct cred_psks *p = &ld->conf->ike->psks;
	unsigned n = 0;

	for (unsigned i = 0; i < ld->n_item && n < p->n && n < SECRETS_COMPARED; i++) {
		if (ld->item[i].kind != SEC_SECRET)
			continue;
		for (unsigned k = 0; k < n; k++)
			if (owners_same(&p->psk[k], &p->psk[n])) {
				warn_item(ld, &ld->item[i],
					  "secret %s is never used: secret %s has the same owners; "
					  "expected an "
					  "id of its own",
					  p->psk[n].name, p->psk[k].name);
				break;
			}
		n++;
	}
}

void check_ike(struct loader *ld)
{
	check_names_once(ld, ld->item, ld->n_item, SEC_CONN);
	check_names_once(ld, ld->item, ld->n_item, SEC_SECRET);
	check_names_once(ld, ld->item, ld->n_item, SEC_POOL);
	check_names_once(ld, ld->item, ld->n_item, SEC_USER);
	if (!ld->errors) { /* of what was not understood too little is known */
		check_connections(ld);
		check_owners(ld);
	}
	for (unsigned i = 0; !ld->conf->tun && !ld->conf->bridge && i < ld->n_item; i++)
		if (ld->item[i].kind == SEC_CONN) {
			warn_item(ld, &ld->item[i],
				  "connections without a tun section; expected tun NAME { ... }, "
				  "where packets "
				  "come from");
			break;
		}
}
