/* What both roles of IKE_SA_INIT share: its notifies, NAT detection, the keys (RFC 7296 1.2, 2.14,
 * 2.23; RFC 7383 2.3; RFC 7427 4; RFC 6023 3). */
#include <errno.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/random.h"
#include "ike/v2/internal.h"

#define VENDOR_TEXT "bumpwire"

struct v2_init *v2_init_new(struct ike_sa *sa)
{
	struct v2_init *i = calloc(1, sizeof(*i));

	sa->init = i;
	return i;
}

void v2_init_free(struct v2_init **ip)
{
	struct v2_init *i = *ip;

	*ip = NULL;
	if (!i)
		return;
	free(i->sent.p);
	free(i->got.p);
	free(i->cookie.p);
	free(i->certreq.p);
	dh_free(&i->dh);
	child_nego_free(&i->child);
	ident_fini(&i->wanted_id);
	free(i);
}

/* One NAT_DETECTION notify (RFC 7296 2.23). */
static int add_natd(struct ike_sa *sa, struct ike_msg *out, uint16_t type, const struct endpoint *e,
		    bool wrong)
{
	uint8_t *h = ike_arena(sa->ike, 20);

	if (!h)
		return -ENOSPC;
	natd_hash(sa->spi_i, sa->spi_r, e, h);
	if (wrong)
		random_bytes(h, 20);
	return v2_add_notify(out, type, span_of(h, 20)) ? 0 : -ENOSPC;
}

static int add_hashes(struct ike_sa *sa, struct ike_msg *out)
{
	uint8_t *h = ike_arena(sa->ike, 32);
	size_t len = 0;

	if (!h)
		return -ENOSPC;
	auth_hashes_write(auth_hashes_ours(sa->conn->conf->allow_weak), h, &len);
	return v2_add_notify(out, IKE2_SIGNATURE_HASH_ALGORITHMS, span_of(h, len)) ? 0 : -ENOSPC;
}

int v2_init_notifies(struct ike_sa *sa, struct ike_msg *out, bool hashes)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	int rc = 0;

	if (sa->initiator || sa->init->peer_natt) {
		rc = add_natd(sa, out, IKE2_NAT_DETECTION_SOURCE_IP, &sa->local, c->encap);
		if (rc == 0)
			rc = add_natd(sa, out, IKE2_NAT_DETECTION_DESTINATION_IP, &sa->remote,
				      false);
	}
	if (rc == 0 && (sa->initiator ? c->fragmentation != IKE_FRAG_NO : sa->frag))
		rc = v2_add_notify(out, IKE2_FRAGMENTATION_SUPPORTED, span_of(NULL, 0)) ? 0
											: -ENOSPC;
	if (rc == 0 && hashes)
		rc = add_hashes(sa, out);
	if (rc == 0 && !sa->initiator)
		rc = v2_add_notify(out, IKE2_CHILDLESS_SUPPORTED, span_of(NULL, 0)) ? 0 : -ENOSPC;
	if (rc == 0 && sa->ike->conf->vendor_id) {
		struct ike_payload *v = ike_msg_add(out, IKE2_V, false);
		if (v)
			v->raw.data = span_of(VENDOR_TEXT, sizeof(VENDOR_TEXT) - 1);
		rc = v ? 0 : -ENOSPC;
	}
	return rc;
}

/* Is one of the hashes of a type ours to expect? *any: there was one. */
static bool natd_matches(const struct ike_msg *m, uint16_t type, const struct endpoint *e,
			 bool *any)
{
	uint8_t h[20];

	natd_hash(m->hdr.spi_i, m->hdr.spi_r, e, h);
	*any = false;
	for (const struct ike_payload *p = NULL; (p = ike_msg_find(m, IKE2_N, p));) {
		if (p->notify.type != type)
			continue;
		*any = true;
		if (span_eq(p->notify.data, span_of(h, sizeof(h))))
			return true;
	}
	return false;
}

void v2_init_take_notifies(struct ike_sa *sa, const struct ike_msg *m)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	bool src, dst;

	sa->nat_remote = !natd_matches(m, IKE2_NAT_DETECTION_SOURCE_IP, &sa->remote, &src) && src;
	sa->nat_local =
	    !natd_matches(m, IKE2_NAT_DETECTION_DESTINATION_IP, &sa->local, &dst) && dst;
	sa->init->peer_natt = src && dst;
	/* datagrams with a marker mean the path is one of UDP encapsulation already */
	sa->encap =
	    sa->nat_local || sa->nat_remote || sa->marker || (c->encap && sa->init->peer_natt);
	sa->frag = c->fragmentation != IKE_FRAG_NO &&
		   ike_msg_notify(m, IKE2_FRAGMENTATION_SUPPORTED) != NULL;
	sa->childless = ike_msg_notify(m, IKE2_CHILDLESS_SUPPORTED) != NULL;
	const struct ike_payload *h = ike_msg_notify(m, IKE2_SIGNATURE_HASH_ALGORITHMS);
	sa->init->hashes = h ? auth_hashes_parse(h->notify.data) : 0;
}

int v2_init_keys(struct ike_sa *sa, struct span shared)
{
	struct v2_init *i = sa->init;
	struct ike_keys k = { .block = NULL };
	int rc = keymat_ike(&i->suite, span_of(i->ni, i->ni_len), span_of(i->nr, i->nr_len), shared,
			    sa->spi_i, sa->spi_r, &k);

	return rc ? rc : ike_sa_set_keys(sa, &i->suite, &k, &i->chosen);
}
