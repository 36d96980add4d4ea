/*
 * What a stranger, or a peer, can hand to IKEv1 behind the message parser. The first byte chooses:
 * fragments (pieces of 16 bytes of header and what follows), or a decrypted payload list, whose SA
 * payloads are matched against ours, whose notifies and deletes are judged, and whose vendor IDs,
 * NAT-D, lifetimes and the attributes of Mode Config are read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rd.h"
#include "ike/v1/cfg.h"
#include "ike/v1/fault.h"
#include "ike/v1/frag.h"
#include "ike/v1/natd.h"
#include "ike/v1/sa_payload.h"
#include "ike/v1/vendor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t cookie[8] = { 1 };
static struct ike_msg m;

static void must(int good)
{
	if (!good)
		abort();
}

static void fragments(struct rd r)
{
	struct v1_frags f = { 0 };
	struct ike_bad bad = { 0 };
	struct ike_hdr h = { .version = 0x10 };
	struct buf whole;

	memcpy(h.spi_i, cookie, 8);
	while (r.left >= 5) {
		struct ike_payload p = { .type = IKE1_FRAGMENT };
		p.frag.id = rd_u8(&r);
		p.frag.number = rd_u8(&r);
		p.frag.flags = rd_u8(&r);
		size_t len = rd_be16(&r);
		p.frag.data = rd_span(&r, len < r.left ? len : r.left);
		int rc = v1_frag_add(&f, &h, &p, &whole, &bad);
		must(rc == 0 ? whole.len >= IKE_HDR_LEN && !f.part : !whole.p);
		must(f.bytes <= IKE_MAX_LEN);
		free(whole.p);
	}
	v1_frags_reset(&f);
}

/* What was read has no more than there is room for. */
static void configure(const struct ike_payload *p)
{
	static struct v1_cfg c;
	struct ike_bad bad;

	(void)v1_cfg_is_xauth(&m, p);
	if (v1_cfg_read(&m, p, &c, &bad) == 0)
		must(c.n_dns <= 2 * V1_CFG_SERVERS && c.n_nbns <= V1_CFG_SERVERS &&
		     c.n_include <= V1_CFG_NETS && c.n_exclude <= V1_CFG_NETS &&
		     memchr(c.domain, 0, V1_CFG_TEXT) && memchr(c.banner, 0, V1_CFG_TEXT));
}

static void offer(const struct ike_payload *sa)
{
	static const uint16_t methods[] = { V1_BY_PSK, V1_BY_RSA, V1_BY_XAUTH_I_PSK };
	static const enum ike_protocol protos[] = { IKE_PROTO_IKE, IKE_PROTO_AH, IKE_PROTO_ESP };
	static struct ike_msg out;
	struct v1_terms terms = { .methods = methods, .n_methods = 3, .encap = V1_ENCAP_TUNNEL };
	static struct proposals ours;
	struct v1_choice c;
	char why[512];

	for (unsigned i = 0; i < ARRAY_LEN(protos); i++) {
		proposals_default(protos[i], &ours);
		why[0] = '\0';
		int rc = protos[i] == IKE_PROTO_IKE
			     ? v1_ph1_choose(&ours, &terms, &m, sa, &c, why, sizeof(why))
			     : v1_ph2_choose(&ours, &terms, true, &m, sa, &c, why, sizeof(why));
		must(rc == 0 ? proposal_is_choice(&c.own.chosen) : why[0] != '\0');
		must(rc || !c.bundle || proposal_is_choice(&c.ah.chosen));
		if (rc)
			continue;
		ike_msg_init(&out, 0x10, cookie, cookie, IKE1_X_MAIN, 0, 0);
		must(v1_sa_echo(&m, &c, span_of(NULL, 0), span_of(NULL, 0), &out, ike_msg_add(&out, IKE1_SA, false)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ike_bad bad = { 0 };
	struct endpoint e = { .addr = { .ver = 4 } };
	struct v1_life life;
	bool here, there;

	if (size < 2)
		return 0;
	if (data[0] & 1) {
		fragments(rd_of(data + 1, size - 1));
		return 0;
	}
	uint8_t *p = malloc(size - 1);
	must(p != NULL);
	memcpy(p, data + 1, size - 1);
	ike_msg_init(&m, 0x10, cookie, cookie, IKE1_X_QUICK, IKE1_FLAG_E, 1);
	if (ike_msg_parse_inner(&m, p[0], span_of(p + 1, size - 2), &bad) == 0) {
		for (unsigned i = 0; i < m.n_payloads; i++) {
			const struct ike_payload *q = &m.payload[i];
			if (v1_check_payload(q, &bad))
				must(v1_fault_of(&bad) && bad.why[0]);
			if (q->type == IKE1_SA)
				offer(q);
			else if (q->type == IKE1_ID && v1_check_id(q, &bad))
				must(bad.notify == IKE1_INVALID_ID_INFORMATION);
			else if (q->type == IKE1_ATTR)
				configure(q);
			else if (q->type == IKE1_N)
				(void)v1_life_read(q->notify.data, false, &life);
		}
		v1_vendors_of(&m);
		v1_natd_check(&m, V1_NATT_RFC, HASH_SHA1, &e, &e, &here, &there);
	}
	free(p);
	return 0;
}
