/* Keys of what Quick Mode has agreed on: ESP, AH, and both of a bundle (RFC 2409 5.5). */
#include "ike/v1/v1.h"

int v1_child_keys(const struct child_nego *c, const struct esp_suite *s, struct child_keys *out)
{
	const struct ike_sa *sa = c->sa;
	struct span ni = span_of(c->ni, c->ni_len), nr = span_of(c->nr, c->nr_len);
	struct span shared = secret_view(&c->shared);
	uint8_t proto = c->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
	unsigned o = c->asked ? 0 : 1; /* [0] is for who asked to send by */

	*out = (struct child_keys){ 0 };
	int rc = v1_keymat_child(sa->suite.prf, sa->keys.d, shared, proto, c->spi_out, ni, nr, s,
				 &out->encr[o], &out->integ[o]);
	if (rc == 0)
		rc = v1_keymat_child(sa->suite.prf, sa->keys.d, shared, proto, c->spi_in, ni, nr, s,
				     &out->encr[!o], &out->integ[!o]);
	if (rc)
		child_keys_free(out);
	return rc;
}

int v1_ah_keys(const struct child_nego *c, struct ike_ah_up *ah)
{
	const struct ike_sa *sa = c->sa;
	struct span ni = span_of(c->ni, c->ni_len), nr = span_of(c->nr, c->nr_len);
	struct span shared = secret_view(&c->shared);
	int rc = v1_keymat_child(sa->suite.prf, sa->keys.d, shared, IKE_PROTO_AH, c->ah.spi_in, ni,
				 nr, &ah->suite, &ah->encr_in, &ah->integ_in);

	if (rc == 0)
		rc = v1_keymat_child(sa->suite.prf, sa->keys.d, shared, IKE_PROTO_AH, c->ah.spi_out,
				     ni, nr, &ah->suite, &ah->encr_out, &ah->integ_out);
	return rc;
}
