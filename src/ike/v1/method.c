/* See method.h. */
#include "ike/v1/method.h"

#include "base/bytes.h"
#include "ike/v1/sa_payload.h"

static const struct {
	uint16_t method, base;
	bool hybrid, initiator; /* initiator: it is the one with a user name */
} rows[] = {
	{ V1_BY_XAUTH_I_PSK, V1_BY_PSK, false, true },
	{ V1_BY_XAUTH_R_PSK, V1_BY_PSK, false, false },
	{ V1_BY_XAUTH_I_RSA, V1_BY_RSA, false, true },
	{ V1_BY_XAUTH_R_RSA, V1_BY_RSA, false, false },
	{ V1_BY_HYBRID_I_RSA, V1_BY_RSA, true, true },
	{ V1_BY_HYBRID_R_RSA, V1_BY_RSA, true, false },
};

uint16_t v1_method_base(uint16_t method)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].method == method)
			return rows[i].base;
	return method;
}

bool v1_method_signs(uint16_t method, bool of_initiator)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].method == method && rows[i].hybrid)
			return rows[i].initiator != of_initiator;
	return v1_method_base(method) != V1_BY_PSK;
}

bool v1_method_xauth(uint16_t method, bool *of_initiator)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].method == method) {
			*of_initiator = rows[i].initiator;
			return true;
		}
	return false;
}

uint16_t v1_method_of(const struct ike_conn_conf *c, uint16_t base, bool initiator)
{
	bool hybrid = c->auth.method == IKE_BY_XAUTH || c->peer.method == IKE_BY_XAUTH;
	bool client = c->auth.xauth || c->auth.method == IKE_BY_XAUTH;
	bool server = c->peer.xauth || c->peer.method == IKE_BY_XAUTH;

	if (!client && !server)
		return base;
	for (size_t i = 0; i < ARRAY_LEN(rows) && client != server; i++)
		if (rows[i].base == base && rows[i].hybrid == hybrid &&
		    rows[i].initiator == (client == initiator))
			return rows[i].method;
	return 0;
}
