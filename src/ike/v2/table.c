/*
 * The protocol as two tables: which message may come in which state and who answers it, and what we
 * ask. v2_table_check() proves at start that they are sound.
 */
#include "ike/v2/internal.h"

#include <errno.h>
#include <stdio.h>

#define P(t)     IKE_BIT(IKE2_##t)
#define UP_LATER (V2_ST(UP) | V2_ST(REKEYED) | V2_ST(DELETING))

/* clang-format off */
const struct v2_edge v2_edges[] = {
	/* name                                       from           to                         exchange             answer role
	   required, optional, handler */
	{ "responder answers IKE_SA_INIT",            V2_ST(NONE),   V2_ST(INIT_R),             IKE2_X_SA_INIT,      false, V2_R,
	  P(SA) | P(KE) | P(NONCE), 0, v2_init_r },
	{ "initiator goes on with IKE_AUTH",          V2_ST(INIT_I), V2_ST(AUTH_I),             IKE2_X_SA_INIT,      true,  V2_I,
	  P(SA) | P(KE) | P(NONCE), P(CERTREQ), v2_task_answer },
	{ "initiator begins again or is refused",     V2_ST(INIT_I), V2_ST(INIT_I),             IKE2_X_SA_INIT,      true,  V2_I,
	  P(N), 0, v2_init_refused },
	{ "responder answers IKE_AUTH",               V2_ST(INIT_R), V2_ST(UP),                 IKE2_X_AUTH,         false, V2_R,
	  P(IDI) | P(AUTH), P(CERT) | P(CERTREQ) | P(IDR) | P(CP) | P(SA) | P(TSI) | P(TSR), v2_auth_r },
	{ "initiator wants EAP",                      V2_ST(INIT_R), V2_ST(INIT_R),             IKE2_X_AUTH,         false, V2_R,
	  P(IDI), P(CERT) | P(CERTREQ) | P(IDR) | P(CP) | P(SA) | P(TSI) | P(TSR), v2_auth_eap_r },
	{ "initiator takes the answer to IKE_AUTH",   V2_ST(AUTH_I), V2_ST(UP) | V2_ST(DELETING), IKE2_X_AUTH,       true,  V2_I,
	  P(IDR) | P(AUTH), P(CERT) | P(CP) | P(SA) | P(TSI) | P(TSR), v2_task_answer },
	{ "initiator is refused in IKE_AUTH",         V2_ST(AUTH_I), V2_ST(AUTH_I),             IKE2_X_AUTH,         true,  V2_I,
	  P(N), 0, v2_auth_refused },
	{ "peer asks for a CHILD SA",                 UP_LATER,      UP_LATER,                  IKE2_X_CREATE_CHILD, false, V2_ANY,
	  P(SA) | P(NONCE) | P(TSI) | P(TSR), P(KE) | P(CP), v2_create_child_r },
	{ "peer rekeys the IKE SA",                   UP_LATER,      UP_LATER,                  IKE2_X_CREATE_CHILD, false, V2_ANY,
	  P(SA) | P(NONCE) | P(KE), 0, v2_rekey_ike_r },
	{ "peer gives new SAs",                       UP_LATER,      UP_LATER,                  IKE2_X_CREATE_CHILD, true,  V2_ANY,
	  P(SA) | P(NONCE), P(KE) | P(TSI) | P(TSR) | P(CP), v2_task_answer },
	{ "peer gives no new SAs",                    UP_LATER,      UP_LATER,                  IKE2_X_CREATE_CHILD, true,  V2_ANY,
	  P(N), 0, v2_task_answer },
	{ "peer informs",                             UP_LATER,      UP_LATER,                  IKE2_X_INFO,         false, V2_ANY,
	  0, P(D) | P(CP), v2_info_r },
	{ "peer answers an INFORMATIONAL",            UP_LATER,      UP_LATER,                  IKE2_X_INFO,         true,  V2_ANY,
	  0, P(D) | P(CP), v2_task_answer },
};
const unsigned v2_n_edges = ARRAY_LEN(v2_edges);

const struct v2_task_row v2_task_rows[V2_TASK_KINDS] = {
	[V2_TASK_INIT] = { "IKE_SA_INIT", IKE2_X_SA_INIT, V2_ST(INIT_I), IKE_ST_NONE,
		v2_init_build, v2_init_answer, NULL, NULL, false },
	[V2_TASK_AUTH] = { "IKE_AUTH", IKE2_X_AUTH, V2_ST(AUTH_I), IKE_ST_NONE,
		v2_auth_build, v2_auth_answer, NULL, NULL, false },
	[V2_TASK_CHILD] = { "a new CHILD SA", IKE2_X_CREATE_CHILD, V2_ST(UP), IKE_ST_NONE,
		v2_new_child_build, v2_new_child_answer, NULL, v2_new_child_fini, true },
	[V2_TASK_REKEY_CHILD] = { "rekeying of a CHILD SA", IKE2_X_CREATE_CHILD, V2_ST(UP), IKE_ST_NONE,
		v2_rekey_child_build, v2_rekey_child_answer, NULL, v2_rekey_child_fini, true },
	[V2_TASK_REKEY_IKE] = { "rekeying of the IKE SA", IKE2_X_CREATE_CHILD, V2_ST(UP), IKE_ST_NONE,
		v2_rekey_ike_build, v2_rekey_ike_answer, NULL, v2_rekey_ike_fini, false },
	[V2_TASK_DELETE_CHILD] = { "deletion of a CHILD SA", IKE2_X_INFO, V2_ST(UP), IKE_ST_NONE,
		v2_delete_child_build, v2_delete_child_answer, NULL, v2_delete_child_fini, true },
	[V2_TASK_DELETE_IKE] = { "deletion of the IKE SA", IKE2_X_INFO, UP_LATER, IKE_ST_DELETING,
		v2_delete_ike_build, v2_delete_ike_answer, v2_delete_ike_timeout, v2_delete_ike_fini, false },
	[V2_TASK_LIVE] = { "liveness check", IKE2_X_INFO, V2_ST(UP), IKE_ST_NONE,
		v2_live_build, v2_live_answer, NULL, NULL, false },
};
/* clang-format on */

static bool roles_meet(uint8_t a, uint8_t b)
{
	return a == V2_ANY || b == V2_ANY || a == b;
}

/* What may come in a message of the row. */
static uint64_t allowed(const struct v2_edge *e)
{
	return e->required | e->optional | P(N) | P(V);
}

/* Is there a message that fits both rows? */
static bool overlap(const struct v2_edge *a, const struct v2_edge *b)
{
	return a->exchange == b->exchange && a->answer == b->answer && (a->from & b->from) &&
	       roles_meet(a->role, b->role) && !(a->required & ~allowed(b)) &&
	       !(b->required & ~allowed(a));
}

static bool has_answer(const struct v2_task_row *t)
{
	for (unsigned i = 0; i < v2_n_edges; i++)
		if (v2_edges[i].answer && v2_edges[i].exchange == t->exchange &&
		    (v2_edges[i].from & (t->to ? 1u << t->to : t->from)))
			return true;
	return false;
}

/* States that rows and tasks lead to, from the two beginnings. */
static unsigned reached(void)
{
	unsigned all = V2_ST(NONE) | V2_ST(INIT_I), before;

	do {
		before = all;
		for (unsigned i = 0; i < v2_n_edges; i++)
			if (v2_edges[i].from & all)
				all |= v2_edges[i].to;
		for (unsigned i = 0; i < V2_TASK_KINDS; i++)
			if ((v2_task_rows[i].from & all) && v2_task_rows[i].to)
				all |= 1u << v2_task_rows[i].to;
	} while (all != before);
	return all;
}

int v2_table_check(char *why, size_t whylen)
{
	unsigned from = 0, all = reached();

	for (unsigned i = 0; i < v2_n_edges; i++) {
		const struct v2_edge *e = &v2_edges[i];
		from |= e->from;
		if ((e->required & e->optional) || !e->from || !e->to || !e->handle) {
			snprintf(why, whylen, "the row \"%s\" contradicts itself", e->name);
			return -EINVAL;
		}
		for (unsigned k = 0; k < i; k++)
			if (overlap(e, &v2_edges[k])) {
				snprintf(why, whylen, "the rows \"%s\" and \"%s\" fit one message",
					 e->name, v2_edges[k].name);
				return -EINVAL;
			}
	}
	for (unsigned s = 0; s < IKE_STATES; s++)
		if (s != IKE_ST_DEAD && (!(all & (1u << s)) || !(from & (1u << s)))) {
			snprintf(why, whylen, "the state \"%s\" cannot be %s",
				 ike_state_name((enum ike_state)s),
				 all & (1u << s) ? "left" : "reached");
			return -EINVAL;
		}
	for (unsigned i = 0; i < V2_TASK_KINDS; i++)
		if (!has_answer(&v2_task_rows[i])) {
			snprintf(why, whylen, "nothing takes the answer to %s",
				 v2_task_rows[i].name);
			return -EINVAL;
		}
	return 0;
}

const struct v2_edge *v2_edge_find(const struct ike_sa *sa, const struct ike_msg *m)
{
	uint64_t seen = m->seen & ~(P(SK) | P(SKF));
	uint8_t role = sa->initiator ? V2_I : V2_R;
	bool answer = m->hdr.flags & IKE2_FLAG_R;

	for (unsigned i = 0; i < v2_n_edges; i++) {
		const struct v2_edge *e = &v2_edges[i];
		if (e->exchange == m->hdr.exchange && e->answer == answer &&
		    (e->from & (1u << sa->state)) && roles_meet(e->role, role) &&
		    !(e->required & ~seen) && !(seen & ~allowed(e)))
			return e;
	}
	return NULL;
}
