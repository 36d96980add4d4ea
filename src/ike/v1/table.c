/* IKEv1's messages, row by row: RFC 2409 5.1, 5.4 (pre-shared keys), 5.1 (signatures), 5.5, 5.6;
 * RFC 2408 4.4, 4.6, 4.8; RFC 3947 3.2. And which of the exchanges of phase 1 a connection has. */
#include <errno.h>
#include <stdio.h>

#include "ike/msg_rule.h"
#include "ike/v1/v1.h"

#define P(t)   IKE_BIT(IKE1_##t)
#define NATD   (P(NATD) | P(NATD_DRAFT) | P(NATD_DRAFT4))
#define NATOA  (P(NATOA) | P(NATOA_DRAFT) | P(NATOA_DRAFT4))
#define ALWAYS (P(N) | P(VID))

/* clang-format off */
const struct v1_edge v1_edges[] = {
	/* name                             exchange             no proof           sealed      hash          again  required                             optional                       handle      build */
	{ "Main Mode message 1",            IKE1_X_MAIN,         1, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, true,  P(SA),                               0,                             v1_main_1,  v1_main_begin },
	{ "Main Mode message 2",            IKE1_X_MAIN,         2, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, false, P(SA),                               0,                             v1_main_2,  NULL },
	{ "Main Mode message 3",            IKE1_X_MAIN,         3, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, true,  P(KE) | P(NONCE),                    P(CR) | NATD,                  v1_main_3,  NULL },
	{ "Main Mode message 4",            IKE1_X_MAIN,         4, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, false, P(KE) | P(NONCE),                    P(CR) | NATD,                  v1_main_4,  NULL },
	{ "Main Mode message 5, PSK",       IKE1_X_MAIN,         5, V1_PROOF_PSK, V1_SEALED, V1_HASH_NONE, true,  P(ID) | P(HASH),                     P(CR) | P(CERT),               v1_main_5,  NULL },
	{ "Main Mode message 5, signature", IKE1_X_MAIN,         5, V1_PROOF_SIG, V1_SEALED, V1_HASH_NONE, true,  P(ID) | P(SIG),                      P(CR) | P(CERT),               v1_main_5,  NULL },
	{ "Main Mode message 6, PSK",       IKE1_X_MAIN,         6, V1_PROOF_PSK, V1_SEALED, V1_HASH_NONE, false, P(ID) | P(HASH),                     P(CR) | P(CERT),               v1_main_6,  NULL },
	{ "Main Mode message 6, signature", IKE1_X_MAIN,         6, V1_PROOF_SIG, V1_SEALED, V1_HASH_NONE, false, P(ID) | P(SIG),                      P(CR) | P(CERT),               v1_main_6,  NULL },
	{ "Aggressive Mode message 1",      IKE1_X_AGGRESSIVE,   1, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, true,  P(SA) | P(KE) | P(NONCE) | P(ID),    P(CR),                         v1_aggr_1,  v1_aggr_begin },
	{ "Aggressive Mode message 2, PSK", IKE1_X_AGGRESSIVE,   2, V1_PROOF_PSK, V1_CLEAR,  V1_HASH_NONE, true,  P(SA) | P(KE) | P(NONCE) | P(ID) | P(HASH), P(CR) | P(CERT) | NATD, v1_aggr_2,  NULL },
	{ "Aggressive Mode message 2, signature", IKE1_X_AGGRESSIVE, 2, V1_PROOF_SIG, V1_CLEAR, V1_HASH_NONE, true, P(SA) | P(KE) | P(NONCE) | P(ID) | P(SIG), P(CR) | P(CERT) | NATD, v1_aggr_2,  NULL },
	{ "Aggressive Mode message 3, PSK", IKE1_X_AGGRESSIVE,   3, V1_PROOF_PSK, V1_EITHER, V1_HASH_NONE, false, P(HASH),                             P(CERT) | NATD,                v1_aggr_3,  NULL },
	{ "Aggressive Mode message 3, signature", IKE1_X_AGGRESSIVE, 3, V1_PROOF_SIG, V1_EITHER, V1_HASH_NONE, false, P(SIG),                          P(CERT) | P(CR) | NATD,        v1_aggr_3,  NULL },
	{ "Base exchange message 1",        IKE1_X_BASE,         1, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, true,  P(SA) | P(NONCE),                    0,                             v1_base_1,  v1_base_begin },
	{ "Base exchange message 2",        IKE1_X_BASE,         2, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, false, P(SA) | P(NONCE),                    P(CR) | NATD,                  v1_base_2,  NULL },
	{ "Base exchange message 3, PSK",   IKE1_X_BASE,         3, V1_PROOF_PSK, V1_CLEAR,  V1_HASH_NONE, true,  P(KE) | P(ID) | P(HASH),             P(CR) | P(CERT) | NATD,        v1_base_3,  NULL },
	{ "Base exchange message 3, signature", IKE1_X_BASE,     3, V1_PROOF_SIG, V1_CLEAR,  V1_HASH_NONE, true,  P(KE) | P(ID) | P(SIG),              P(CR) | P(CERT) | NATD,        v1_base_3,  NULL },
	{ "Base exchange message 4, PSK",   IKE1_X_BASE,         4, V1_PROOF_PSK, V1_CLEAR,  V1_HASH_NONE, false, P(KE) | P(ID) | P(HASH),             P(CERT),                       v1_base_4,  NULL },
	{ "Base exchange message 4, signature", IKE1_X_BASE,     4, V1_PROOF_SIG, V1_CLEAR,  V1_HASH_NONE, false, P(KE) | P(ID) | P(SIG),              P(CERT),                       v1_base_4,  NULL },
	{ "Authentication Only message 1",  IKE1_X_AUTH_ONLY,    1, V1_PROOF_ANY, V1_CLEAR,  V1_HASH_NONE, true,  P(SA) | P(NONCE),                    P(CR),                         v1_auth_1,  v1_auth_begin },
	{ "Authentication Only message 2, PSK", IKE1_X_AUTH_ONLY, 2, V1_PROOF_PSK, V1_CLEAR, V1_HASH_NONE, true,  P(SA) | P(NONCE) | P(ID) | P(HASH),  P(CR) | P(CERT),               v1_auth_2,  NULL },
	{ "Authentication Only message 2, signature", IKE1_X_AUTH_ONLY, 2, V1_PROOF_SIG, V1_CLEAR, V1_HASH_NONE, true, P(SA) | P(NONCE) | P(ID) | P(SIG), P(CR) | P(CERT),         v1_auth_2,  NULL },
	{ "Authentication Only message 3, PSK", IKE1_X_AUTH_ONLY, 3, V1_PROOF_PSK, V1_CLEAR, V1_HASH_NONE, false, P(ID) | P(HASH),                     P(CERT),                       v1_auth_3,  NULL },
	{ "Authentication Only message 3, signature", IKE1_X_AUTH_ONLY, 3, V1_PROOF_SIG, V1_CLEAR, V1_HASH_NONE, false, P(ID) | P(SIG),                P(CERT),                       v1_auth_3,  NULL },
	{ "Quick Mode message 1",           IKE1_X_QUICK,        1, V1_PROOF_ANY, V1_SEALED, V1_HASH_1,    true,  P(HASH) | P(SA) | P(NONCE),          P(KE) | P(ID) | NATOA,         v1_quick_1, v1_quick_begin },
	{ "Quick Mode message 2",           IKE1_X_QUICK,        2, V1_PROOF_ANY, V1_SEALED, V1_HASH_2,    true,  P(HASH) | P(SA) | P(NONCE),          P(KE) | P(ID) | NATOA,         v1_quick_2, NULL },
	{ "Quick Mode message 3",           IKE1_X_QUICK,        3, V1_PROOF_ANY, V1_SEALED, V1_HASH_3,    false, P(HASH),                             0,                             v1_quick_3, NULL },
	{ "Transaction message 1",          IKE1_X_TRANSACTION,  1, V1_PROOF_ANY, V1_SEALED, V1_HASH_1,    true,  P(HASH) | P(ATTR),                   0,                             v1_cfg_1,   v1_cfg_begin },
	{ "Transaction message 2",          IKE1_X_TRANSACTION,  2, V1_PROOF_ANY, V1_SEALED, V1_HASH_1,    false, P(HASH) | P(ATTR),                   0,                             v1_cfg_2,   NULL },
	{ "New Group Mode message 1",       IKE1_X_NEW_GROUP,    1, V1_PROOF_ANY, V1_SEALED, V1_HASH_1,    false, P(HASH) | P(SA),                     0,                             v1_new_group, NULL },
};
/* clang-format on */
const unsigned v1_n_edges = ARRAY_LEN(v1_edges);

uint8_t v1_exchange_of(const struct ike_conn_conf *c)
{
	switch (c->exchange) {
	case IKE_EXCHANGE_BASE:
		return IKE1_X_BASE;
	case IKE_EXCHANGE_AUTH:
		return IKE1_X_AUTH_ONLY;
	case IKE_EXCHANGE_MAIN:
		break;
	}
	return c->aggressive ? IKE1_X_AGGRESSIVE : IKE1_X_MAIN;
}

/* Main Mode is good for everybody, but where nothing is to follow. */
bool v1_exchange_allowed(const struct ike_conn_conf *c, uint8_t exchange)
{
	return exchange == v1_exchange_of(c) ||
	       (exchange == IKE1_X_MAIN && c->exchange != IKE_EXCHANGE_AUTH);
}

const char *v1_exchange_name(uint8_t x)
{
	return x == IKE1_X_BASE		? "the Base exchange"
	       : x == IKE1_X_AUTH_ONLY	? "the Authentication Only exchange"
	       : x == IKE1_X_AGGRESSIVE ? "Aggressive Mode"
					: "Main Mode";
}

static bool row_fits(const struct v1_edge *e, uint8_t exchange, uint8_t number, uint8_t proof)
{
	return e->exchange == exchange && e->number == number &&
	       (e->proof == V1_PROOF_ANY || e->proof == proof);
}

const struct v1_edge *v1_edge_find(const struct v1_exchange *x, uint8_t number)
{
	/* odd ones come from the initiator */
	uint8_t proof = x->sa->v1->proof[number % 2 == 0];

	for (unsigned i = 0; i < v1_n_edges; i++)
		if (row_fits(&v1_edges[i], x->exchange, number, proof))
			return &v1_edges[i];
	return NULL;
}

/* The first payload that is in a set, in words. */
static const char *first_of(uint64_t set, char *out, size_t len)
{
	const struct ike_rule *r;

	for (unsigned i = 0; (r = ike_rule_nth(1, i)); i++)
		if (set & IKE_BIT(r->type)) {
			snprintf(out, len, "%s payload", r->name);
			return out;
		}
	return "payload of another kind";
}

int v1_check_row(const struct v1_edge *e, uint64_t seen, struct ike_bad *bad)
{
	uint64_t may = e->required | e->optional | ALWAYS;
	char name[32];

	if ((seen & e->required) != e->required) {
		ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, 0, "%s: has no %s", e->name,
			   first_of(e->required & ~seen, name, sizeof(name)));
		return ike_refuse_as(bad, IKE_FLAW_MISSING);
	}
	if (seen & ~may)
		return ike_refuse(bad, IKE1_INVALID_PAYLOAD_TYPE, 0,
				  "%s: has a %s, which does not belong there", e->name,
				  first_of(seen & ~may, name, sizeof(name)));
	return 0;
}

static int wrong(char *why, size_t whylen, const struct v1_edge *e, const char *text)
{
	snprintf(why, whylen, "table of IKEv1, row \"%s\": %s", e->name, text);
	return -EINVAL;
}

/* Is there a row of the exchange with that number for this proof? */
static const struct v1_edge *row_of(uint8_t exchange, uint8_t number, uint8_t proof)
{
	for (unsigned i = 0; i < v1_n_edges; i++)
		if (row_fits(&v1_edges[i], exchange, number, proof))
			return &v1_edges[i];
	return NULL;
}

int v1_table_check(char *why, size_t whylen)
{
	for (unsigned i = 0; i < v1_n_edges; i++) {
		const struct v1_edge *e = &v1_edges[i], *before;
		uint8_t proof = e->proof ? e->proof : V1_PROOF_PSK;
		if (!e->number || !e->handle || !e->required)
			return wrong(why, whylen, e, "number, payloads or handler are missing");
		if (e->required & e->optional)
			return wrong(why, whylen, e, "a payload is required and optional");
		if ((e->required | e->optional) & ALWAYS)
			return wrong(why, whylen, e, "names a payload that may always come");
		if (e->build && e->number != 1)
			return wrong(why, whylen, e, "only a first message is built");
		if (e->hash != V1_HASH_NONE && (e->sealed != V1_SEALED || !(e->required & P(HASH))))
			return wrong(why, whylen, e, "a hash without encryption or HASH payload");
		before =
		    e->number > 1 ? row_of(e->exchange, (uint8_t)(e->number - 1), proof) : NULL;
		if (e->number > 1 && !before)
			return wrong(why, whylen, e, "the message before it is missing");
		if (before && before->sealed == V1_SEALED && e->sealed != V1_SEALED)
			return wrong(why, whylen, e, "in the clear after an encrypted one");
		for (unsigned k = 0; k < i; k++)
			if (v1_edges[k].exchange == e->exchange &&
			    v1_edges[k].number == e->number &&
			    (v1_edges[k].proof == e->proof || !v1_edges[k].proof || !e->proof))
				return wrong(why, whylen, e, "fits the same message as another");
	}
	return 0;
}
