/* Snapshots for lists, counters, and keys for a decryption table. */
#include "ike/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "ike/v1/v1.h"

static struct ike_sa_view view_of(const struct ike_sa *sa)
{
	struct ike_sa_view v = {
		.id = sa->id,
		.conn = sa->conn ? sa->conn->conf->name : NULL,
		.state = sa->rekeying   ? "rekeying"
			 : sa->replaced ? ike_state_name(IKE_ST_REKEYED)
					: ike_state_name((enum ike_state)sa->state),
		.initiator = sa->initiator,
		.natt = sa->encap,
		.nat_local = sa->nat_local,
		.nat_remote = sa->nat_remote,
		.version = sa->major,
		.local = sa->local,
		.remote = sa->remote,
		.local_id = sa->local_id.type ? &sa->local_id : NULL,
		.remote_id = sa->remote_id.type ? &sa->remote_id : NULL,
		.user = sa->user,
		.proposal = sa->proposal,
		.established_ns = sa->established_ns,
		.rekey_ns = sa->rekey_ns,
		.reauth_ns = sa->reauth_ns,
		.n_children = sa->n_children,
		.vip = { sa->vip[0], sa->vip[1] },
		.lease = { sa->lease[0], sa->lease[1] },
	};
	const struct v1_cfg *got = sa->v1 ? sa->v1->got : NULL;
	if (got) {
		v.dns = got->dns;
		v.n_dns = got->n_dns;
		v.domain = got->domain;
		v.split_dns = got->split_dns;
	}
	memcpy(v.spi_i, sa->spi_i, 8);
	memcpy(v.spi_r, sa->spi_r, 8);
	return v;
}

void ike_each_sa(struct ike *ike, void (*cb)(const struct ike_sa_view *v, void *arg), void *arg)
{
	list_for_each (l, &ike->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		struct ike_sa_view v = view_of(sa);
		if (!sa->over)
			cb(&v, arg);
	}
}

void ike_each_client(struct ike *ike, void (*cb)(const struct ike_sa_view *v, void *arg), void *arg)
{
	list_for_each (l, &ike->conns) {
		const struct ike_conn *c = list_entry(l, struct ike_conn, link);
		if (!c->conf->n_vips)
			continue;
		list_for_each (k, &c->sas) {
			const struct ike_sa *sa = list_entry(k, struct ike_sa, of_conn);
			struct ike_sa_view v = view_of(sa);
			if (!sa->over)
				cb(&v, arg);
		}
	}
}

struct ike_leases *ike_leases_of(struct ike *ike)
{
	return ike->leases;
}

static const char *child_state(const struct ike_child *c)
{
	switch (c->state) {
	case IKE_CHILD_REKEYED:
		return "rekeyed";
	case IKE_CHILD_DELETING:
		return "deleting";
	}
	return c->rekeying ? "rekeying" : "installed";
}

void ike_each_child(struct ike *ike, void (*cb)(const struct ike_child_view *v, void *arg),
		    void *arg)
{
	list_for_each (l, &ike->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		list_for_each (k, &sa->children) {
			const struct ike_child *c = list_entry(k, struct ike_child, of_sa);
			struct ike_child_view v = {
				.id = c->id,
				.reqid = c->reqid,
				.sa_id = sa->id,
				.conn = sa->conn->conf->name,
				.child = c->conf->name,
				.state = child_state(c),
				.proto = c->proto,
				.mode = c->mode,
				.udp = c->udp,
				.esn = c->esn,
				.spi_in = c->spi_in,
				.spi_out = c->spi_out,
				.proposal = c->chosen,
				.local_ts = c->local_ts,
				.remote_ts = c->remote_ts,
				.installed_ns = c->installed_ns,
				.rekey_ns = c->rekey_ns,
				.expire_ns = c->expire_ns,
			};
			cb(&v, arg);
		}
	}
}

void ike_each_conn(struct ike *ike, void (*cb)(const struct ike_conn_view *v, void *arg), void *arg)
{
	list_for_each (l, &ike->conns) {
		const struct ike_conn *c = list_entry(l, struct ike_conn, link);
		const struct ike_child_conf **child = calloc(c->n_live + 1, sizeof(*child));
		for (unsigned i = 0; child && i < c->n_live; i++)
			child[i] = c->child[c->live[i]].conf;
		struct ike_conn_view v = { .conf = c->conf,
					   .child = child,
					   .n_child = child ? c->n_live : 0,
					   .last_error = c->last_error ? c->last_error : "",
					   .last_error_wall_ns = c->last_error_wall_ns };
		list_for_each (k, &c->sas) {
			const struct ike_sa *sa = list_entry(k, struct ike_sa, of_conn);
			v.n_sas += sa->counted;
			v.n_children += sa->n_children;
		}
		cb(&v, arg);
		free(child);
	}
}

int ike_keys_of(struct ike *ike, uint32_t sa_id, struct ike_sa_view *view,
		const struct ike_keys **keys, const struct esp_suite **suite)
{
	const struct ike_sa *sa =
	    sa_id && ike->telling_keys == sa_id ? ike_sa_by_id(ike, sa_id) : NULL;

	if (!sa)
		return -ENOENT;
	*view = view_of(sa);
	*keys = &sa->keys;
	*suite = &sa->suite.sk;
	return 0;
}

void ike_stats(const struct ike *ike, struct ike_stats *out)
{
	*out = ike->stats;
	out->half_open = gate_half_open(ike->gate);
	out->memory = 0;
	list_for_each (l, &ike->sas)
		out->memory += ike_sa_bytes(list_entry(l, struct ike_sa, all));
}
