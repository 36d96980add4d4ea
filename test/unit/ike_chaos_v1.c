/* See ike_chaos.h. */
#include "ike_chaos.h"

#include <stdio.h>

#include "ike/v1/v1.h"
#include "ike_duo_road.h"

void chaos_v1_configure(struct duo *d, uint64_t chance)
{
	for (struct duo_node *n = &d->a;; n = &d->b) {
		n->conn->version = 1;
		n->conn->aggressive = chance % 3 == 0;
		n->conn->commit_bit = chance / 3 % 4 == 0;
		duo_proposals(&n->conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
		/* deletes may be lost for good (RFC 2408 3.15): what is left behind must end by itself */
		for (unsigned i = 0; i < n->conn->n_child; i++) {
			struct ike_child_conf *k = &n->conn->child[i];
			if (!k->rekey_ns)
				k->rekey_ns = SECONDS(300);
			k->life_ns = k->rekey_ns + SECONDS(100);
		}
		if (!n->conn->rekey_ns)
			n->conn->rekey_ns = SECONDS(600);
		if (n == &d->b)
			break;
	}
	if (chance / 12 % 4 != 0)
		return;
	if (chance / 48 % 3)
		duo_road_xauth(d);
	if (chance / 144 % 3)
		duo_road_config(d, chance / 432 % 2);
	d->b.conn->n_remote = 0;
}

bool chaos_v1_at_rest(const struct ike_sa *sa)
{
	const struct v1_sa *v = sa->v1;

	if (!v || v->ph || v->flying || v->stage != V1_STAGE_NONE || !list_empty(&v->held))
		return false;
	list_for_each (l, &v->exchanges)
		if (!list_entry(l, struct v1_exchange, link)->ended)
			return false;
	return true;
}

void chaos_v1_describe(const struct ike_sa *sa)
{
	const struct v1_sa *v = sa->v1;

	if (!v)
		return;
	printf("# %s%s%s stage %u, %u held, met %llu, exchanges:", v->ph ? "phase 1," : "",
	       v->keyless ? " keyless," : "", sa->replaced ? " left," : "", v->stage, v->n_held,
	       (unsigned long long)v->met_ns / NS_PER_S);
	list_for_each (l, &v->exchanges) {
		const struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		printf(" %s %08x %s %u%s", v1_exchange_name(x->exchange), x->id,
		       x->asked ? "ours" : "theirs", x->n, x->ended ? " (over)" : "");
	}
	printf("\n");
}
