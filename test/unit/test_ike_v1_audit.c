/*
 * What is told and what is logged, RFC 2408 section 5: offences of a stranger and of the peer
 * under an SA, each with its notify and its audit event; and every row of IKE's in the table
 * of auditable events (src/base/audit.def) is provoked once.
 */
#include "ike/v1/v1.h"
#include "ike_v1_rules.h"
#include "test_ike_v1_duo.h"

static uint8_t last_sent[2048];
static size_t last_len;

static bool keep_last(struct duo *duo, struct duo_msg *m)
{
	if (m->from == &duo->b) {
		ck_assert_uint_le(m->len, sizeof(last_sent));
		memcpy(last_sent, m->p, m->len);
		last_len = m->len;
	}
	return true;
}

static struct ike_msg msg;
static struct ike_bad bad;

/* From somebody unknown: heard, logged, and answered with the notify, unless it is one itself. */
START_TEST(test_5_offence_of_a_stranger)
{
	const struct rule *r = &rules[_i];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t buf[1024];
	size_t len = bytes_of(r->hex, buf, sizeof(buf));
	bool info = buf[18] == IKE1_X_INFO, known = load_be64(buf + 8) == 0;

	if (r->notify == IKE1_INVALID_MAJOR_VERSION)
		return; /* IKEv2's answer, see test_ike_duo_wire.c */
	duo_start(&d);
	last_len = 0;
	d.hook = keep_last;
	v1duo_listen("audit: ");
	ike_receive(d.b.ike, &to, &from, false, buf, len);
	v1duo_listen_end();
	ck_assert_uint_eq(duo_sas(&d.b), 0);
	/* what comes with cookies of no SA is judged for that first */
	if (!known && load_be64(buf) != 0)
		ck_assert_msg(strstr(v1duo_heard, "INVALID COOKIE") || strstr(v1duo_heard, r->event), "%s: %s",
			      r->name, v1duo_heard);
	else
		ck_assert_msg(strstr(v1duo_heard, r->event) != NULL, "%s: %s", r->name, v1duo_heard);
	if (info || load_be64(buf) == 0)
		return;
	ck_assert_msg(last_len > 0, "%s: nothing was sent", r->name);
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	ck_assert_uint_eq(msg.hdr.exchange, IKE1_X_INFO);
	if (known)
		ck_assert_uint_eq(msg.payload[0].notify.type, r->notify);
}
END_TEST

/* A message under the SA of a, with a right hash or none; fill adds its payloads. */
static void inject(uint8_t exchange, uint32_t id, enum v1_hash_kind hash,
		   void (*fill)(struct ike_msg *m))
{
	struct ike_sa *sa = v1duo_sa(&d.a);
	struct v1_hash h = { .kind = hash, .id = id };
	uint8_t iv[CBC_BLOCK_MAX];
	struct sealed s;

	ike_msg_init(&msg, 0x10, sa->spi_i, sa->spi_r, exchange, 0, id);
	if (hash != V1_HASH_NONE)
		ike_msg_add(&msg, IKE1_HASH, true)->raw.data = span_of(NULL, sa->suite.prf->len);
	fill(&msg);
	ck_assert_int_eq(v1_iv_exchange(&sa->suite, sa->v1->last_iv, id, iv), 0);
	ck_assert_int_eq(v1_seal(&msg, &sa->suite, &sa->keys, &h, iv, 0, 0, &s), 0);
	v1_send(sa, &s);
	sealed_free(&s);
	last_len = 0;
	d.hook = keep_last;
	v1duo_listen("audit: ");
	duo_settle(&d);
	v1duo_listen_end();
}

/* What b told about it, under the SA. */
static unsigned told(void)
{
	struct ike_sa *sa = v1duo_sa(&d.a);
	uint8_t iv[CBC_BLOCK_MAX];

	if (!last_len)
		return 0;
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	struct v1_hash h = { .kind = V1_HASH_1, .id = msg.hdr.id };
	ck_assert_int_eq(v1_iv_exchange(&sa->suite, sa->v1->last_iv, msg.hdr.id, iv), 0);
	ck_assert_int_eq(v1_open(&msg, last_sent, &sa->suite, &sa->keys, &h, iv, &bad), 0);
	return ike_msg_find(&msg, IKE1_N, NULL)->notify.type;
}

static void fill_group(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_SA, true);
	p->sa.doi = p->sa.situation = 1;
	struct ike_prop *w = ike_msg_add_prop(m, p, 1, IKE_PROTO_IKE, span_of(NULL, 0));
	struct ike_transform *t = ike_msg_add_transform(m, w, 0, 1);
	struct ike_attr *a = ike_msg_add_transform_attr(m, t, 5);
	t->number = 1;
	a->is_short = true;
	a->value = 1;
}

/* RFC 2409 5.6 */
START_TEST(test_new_group_is_refused)
{
	v1duo_up();
	inject(IKE1_X_NEW_GROUP, 77, V1_HASH_1, fill_group);
	ck_assert_uint_eq(told(), IKE1_ATTRIBUTES_NOT_SUPPORTED);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

static void fill_notify(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_N, true);
	p->notify.doi = 1;
	p->notify.proto = 1;
	p->notify.type = IKE1_R_U_THERE;
	p->notify.data = span_of("\0\0\0\1", 4);
	p->notify.spi = span_of(NULL, 16);
}

START_TEST(test_5_11_hash)
{
	v1duo_up();
	/* no HASH payload */
	inject(IKE1_X_INFO, 78, V1_HASH_NONE, fill_notify);
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "INVALID HASH INFORMATION"));
	ck_assert_uint_eq(told(), 0);
	/* a good one is answered, once */
	inject(IKE1_X_INFO, 79, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), IKE1_R_U_THERE_ACK);
	inject(IKE1_X_INFO, 79, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), 0);
	/* the hash of another message ID */
	struct ike_sa *sa = v1duo_sa(&d.a);
	sa->keys.ai = sa->keys.d;
	inject(IKE1_X_INFO, 80, V1_HASH_1, fill_notify);
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "INVALID HASH VALUE"));
	sa->keys.ai = sa->keys.ar;
	inject(IKE1_X_QUICK, 81, V1_HASH_1, fill_notify);
	ck_assert_uint_eq(told(), IKE1_PAYLOAD_MALFORMED);
}
END_TEST

static void fill_error(struct ike_msg *m)
{
	fill_notify(m);
	m->payload[m->n_payloads - 1].notify.type = IKE1_INVALID_SPI;
}

START_TEST(test_5_14_error_notified)
{
	v1duo_up();
	inject(IKE1_X_INFO, 90, V1_HASH_1, fill_error);
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "NOTIFICATION PAYLOAD ERROR"));
	ck_assert_uint_gt(d.a.audited[AUDIT_NOTIFICATION] + d.b.audited[AUDIT_NOTIFICATION], 0);
	ck_assert_uint_eq(told(), 0);
}
END_TEST

static void fill_delete(struct ike_msg *m)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_D, true);
	p->del.doi = 1;
	p->del.proto = 9;
	p->del.spi_size = 4;
	p->del.n = 1;
	p->del.spis = span_of(NULL, 4);
}

START_TEST(test_5_15_delete_of_unknown_protocol)
{
	v1duo_up();
	inject(IKE1_X_INFO, 91, V1_HASH_1, fill_delete);
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "INVALID PROTOCOL-ID"));
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

START_TEST(test_5_1_retry_limit_reached)
{
	d.lose = 100;
	duo_start(&d);
	v1duo_listen("audit: ");
	duo_up_fails(&d, &d.a, "b", "does not answer");
	v1duo_listen_end();
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "RETRY LIMIT REACHED"));
}
END_TEST

/* A key exchange of the wrong length, in Main Mode message 3. */
static bool short_ke(struct duo *duo, struct duo_msg *m)
{
	uint8_t *ke = m->p + IKE_HDR_LEN;

	keep_last(duo, m);
	if (m->from == &duo->a && m->p[16] == IKE1_KE) {
		size_t len = load_be16(ke + 2);
		memmove(ke + len - 1, ke + len, m->len - IKE_HDR_LEN - len);
		store_be16(ke + 2, (uint16_t)(len - 1));
		m->len--;
		store_be32(m->p + 24, (uint32_t)m->len);
	}
	return true;
}

START_TEST(test_5_7_key_information)
{
	uint64_t order;

	duo_start(&d);
	d.hook = short_ke;
	v1duo_listen("audit: ");
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	duo_settle(&d);
	v1duo_listen_end();
	ck_assert_ptr_nonnull(strstr(v1duo_heard, "INVALID KEY INFORMATION"));
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	ck_assert_uint_eq(msg.hdr.exchange, IKE1_X_INFO);
	ck_assert_uint_eq(msg.payload[0].notify.type, IKE1_INVALID_KEY_INFORMATION);
	ck_assert_uint_eq(d.b.audited[AUDIT_KEY_INFORMATION], 1); /* and not once more for the end */
}
END_TEST

/* A public value of the right length that is no point of the curve. */
static unsigned zero_of; /* whose: 'a' or 'b' */

static bool zero_ke(struct duo *duo, struct duo_msg *m)
{
	uint8_t *p = m->p + IKE_HDR_LEN, next = m->p[16];

	keep_last(duo, m);
	for (; m->from->name == (char)zero_of && !(m->p[19] & IKE1_FLAG_E) && next; p += load_be16(p + 2)) {
		if (next == IKE1_KE)
			memset(p + 4, 0, load_be16(p + 2) - 4u);
		next = p[0];
	}
	return true;
}

/* Told once, by either, in both modes. */
START_TEST(test_5_7_key_exchange_fails)
{
	struct duo_node *n = _i & 1 ? &d.b : &d.a;

	if (_i & 2)
		v1duo_aggressive();
	zero_of = _i & 1 ? 'a' : 'b';
	duo_start(&d);
	d.hook = zero_ke;
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &(uint64_t){ 0 }, why, sizeof(why)), 0);
	duo_settle(&d);
	ck_assert_uint_eq(n->audited[AUDIT_KEY_INFORMATION], 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
	if (n != &d.b) /* it waits for a better one */
		return;
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(last_sent, last_len), &bad), 0);
	ck_assert_uint_eq(msg.payload[0].notify.type, IKE1_INVALID_KEY_INFORMATION);
}
END_TEST

static uint8_t public_value[64]; /* no point either */
static size_t public_len = sizeof(public_value);
static uint16_t public_group = 19;

static void fill_quick(struct ike_msg *m)
{
	static uint8_t spi[4] = { 0x11, 0x22, 0x33, 0x44 }, nonce[32] = { 1 };
	static const uint8_t net[2][8] = { { 10, 1, 0, 0, 255, 255 }, { 10, 2, 0, 0, 255, 255 } };
	static struct v1_life life = { .seconds = 3600 };
	struct v1_terms t = { .group = public_group, .encap = V1_ENCAP_TUNNEL, .spi = span_of(spi, 4) };
	struct ike_payload *p = ike_msg_add(m, IKE1_SA, true);

	p->sa.doi = p->sa.situation = 1;
	ck_assert_int_gt(v1_ph2_offer(&d.a.conn->child[0].proposals, &t, &life, m, p), 0);
	ike_msg_add(m, IKE1_NONCE, true)->raw.data = span_of(nonce, sizeof(nonce));
	if (public_len)
		ike_msg_add(m, IKE1_KE, true)->ke.data = span_of(public_value, public_len);
	for (unsigned i = 0; i < 2; i++) {
		p = ike_msg_add(m, IKE1_ID, true);
		p->id.type = IKE_ID_IPV4_SUBNET;
		p->id.data = span_of(net[i], 8);
	}
}

START_TEST(test_5_7_key_exchange_of_quick_mode_fails)
{
	v1duo_esp("aes128gcm16-ecp256");
	v1duo_up();
	inject(IKE1_X_QUICK, 95, V1_HASH_1, fill_quick);
	ck_assert_uint_eq(told(), IKE1_INVALID_KEY_INFORMATION);
	ck_assert_uint_eq(d.b.audited[AUDIT_KEY_INFORMATION], 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

/* All of the offer would do, but the public value is not of its group's length, is missing, or has no
 * group. Where the offer is no good either, that is what is said. */
START_TEST(test_5_7_key_exchange_of_quick_mode_does_not_fit)
{
	static const struct {
		size_t len;
		bool pfs;
		const char *words;
	} rows[] = {
		{ 63, true, "a public value of 63 bytes, but ecp256 has 64" },
		{ 0, true, "has PFS with ecp256, but no public value came" },
		{ 64, false, "but the proposal has no group for it" },
	};

	public_len = rows[_i / 2].len;
	public_group = rows[_i / 2].pfs ? 19 : 0;
	v1duo_esp(rows[_i / 2].pfs ? "aes128gcm16-ecp256" : "aes128gcm16");
	v1duo_up();
	if (_i & 1)
		duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, "aes256-sha512");
	inject(IKE1_X_QUICK, 95, V1_HASH_1, fill_quick);
	ck_assert_uint_eq(told(), _i & 1 ? IKE1_NO_PROPOSAL_CHOSEN : IKE1_INVALID_KEY_INFORMATION);
	ck_assert_uint_eq(d.b.audited[AUDIT_KEY_INFORMATION], !(_i & 1));
	ck_assert_msg(_i & 1 || strstr(d.b.audit_text, rows[_i / 2].words), "%s", d.b.audit_text);
	ck_assert_uint_eq(duo_children(&d.b), 1);
}
END_TEST

static void fill_quick_plain(struct ike_msg *m)
{
	static uint8_t spi[4] = { 0x11, 0x22, 0x33, 0x44 }, nonce[32] = { 1 };
	static struct v1_life life = { .seconds = 3600 };
	struct v1_terms t = { .encap = V1_ENCAP_TUNNEL, .spi = span_of(spi, 4) };
	struct ike_payload *p = ike_msg_add(m, IKE1_SA, true);

	p->sa.doi = p->sa.situation = 1;
	ck_assert_int_gt(v1_ph2_offer(&d.a.conn->child[0].proposals, &t, &life, m, p), 0);
	ike_msg_add(m, IKE1_NONCE, true)->raw.data = span_of(nonce, sizeof(nonce));
}

/* RFC 2409 5.5: without identities it is for the two peers themselves; where no child is that, it is
 * refused. */
START_TEST(test_quick_mode_without_identities)
{
	struct duo_node *n[] = { &d.a, &d.b };

	for (unsigned i = 0; i < 2 && _i; i++) {
		duo_ts(&n[i]->conn->child[0].local_ts, "dynamic");
		duo_ts(&n[i]->conn->child[0].remote_ts, "dynamic");
	}
	v1duo_up();
	inject(IKE1_X_QUICK, 96, V1_HASH_1, fill_quick_plain);
	ck_assert_uint_gt(last_len, 0);
	ck_assert_uint_eq(last_sent[18], _i ? IKE1_X_QUICK : IKE1_X_INFO);
	ck_assert_uint_eq(d.b.audited[AUDIT_ID_INFORMATION], !_i);
	ck_assert_uint_eq(duo_children(&d.b), _i ? 2 : 1);
	if (!_i) {
		ck_assert_uint_eq(told(), IKE1_INVALID_ID_INFORMATION);
		return;
	}
	const struct duo_child *c = duo_child(&d.b, 1);
	ck_assert_uint_eq(c->up.spi_out, 0x11223344);
	ck_assert_uint_eq(c->local_ts.n, 1);
	ck_assert(ip_addr_eq(&c->local_ts.ts[0].range.lo, &d.b.addr));
	ck_assert(ip_addr_eq(&c->remote_ts.ts[0].range.hi, &d.a.addr));
}
END_TEST

/* 5.5; RFC 2407 4.6.1: SPIs below 256 are reserved. */
START_TEST(test_5_5_reserved_spi)
{
	struct duo_node *hears = _i ? &d.a : &d.b, *says = _i ? &d.b : &d.a;

	v1duo_up();
	duo_down(&d, &d.a, "b/net");
	duo_settle(&d);
	d.a.odd_spi = d.b.odd_spi = true;
	says->last_spi = 5u - 0x101u; /* the next is 5 */
	duo_up_fails(&d, &d.a, "b/net", _i ? "reserved" : "INVALID-SPI");
	duo_run(&d, NS_PER_S);
	ck_assert_uint_eq(hears->audited[AUDIT_SPI], 1);
	ck_assert_uint_eq(duo_children(&d.a), 0);
}
END_TEST

/* ---- every row of IKE's in the table of auditable events (src/base/audit.def) */

static void version2(void)
{
	d.a.conn->version = d.b.conn->version = 2;
}

static void wrong_secret(void)
{
	version2();
	secret_free(&d.b.conf->psks.psk[0].key);
	ck_assert_int_eq(secret_copy(&d.b.conf->psks.psk[0].key, span_of("other", 5)), 0);
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
}

static void silence(void)
{
	d.lose = 100;
	duo_start(&d);
	duo_up_fails(&d, &d.b, "a", "does not answer");
}

static void null_esp(void)
{
	struct proposals *p = &d.a.conn->child[0].proposals;

	version2();
	p->n = 1;
	p->p[0] = (struct proposal){ .proto = IKE_PROTO_ESP, .number = 1, .n = 2 };
	p->p[0].alg[0] = (struct proposal_alg){ IKE_T_ENCR, ENCR_NULL, 0 };
	p->p[0].alg[1] = (struct proposal_alg){ IKE_T_ESN, 0, 0 };
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
	ck_assert_uint_eq(duo_children(&d.b), 0);
}

static void garbage(void)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t buf[40];

	duo_start(&d);
	memset(buf, 0x22, sizeof(buf));
	ike_receive(d.b.ike, &to, &from, false, buf, sizeof(buf));
}

static void refused(void)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp521");
	duo_start(&d);
	duo_up_fails(&d, &d.a, "b", "");
}

/* A message with one wrong thing, as in section 5, that comes from a stranger. */
static bool by_rule(enum audit id)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	bool any = false;

	duo_start(&d);
	for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
		uint8_t buf[1024];
		if (strcmp(rules[i].event, audit_info(id)->what) != 0 || strstr(rules[i].hex, COOKIES))
			continue;
		size_t len = bytes_of(rules[i].hex, buf, sizeof(buf));
		ike_receive(d.b.ike, &to, &from, false, buf, len);
		any = true;
	}
	return any;
}

/* What needs an SA to be found in: here from the rule on; the message is judged in
 * test_ike_v1_section5.c. */
static bool by_fault(enum audit id)
{
	struct endpoint from = { d.a.addr, 500 };
	const struct v1_fault *f;

	for (unsigned i = 0; (f = v1_fault_nth(i)); i++) {
		struct ike_bad b = { .notify = f->notify, .payload = f->payload, .flaw = f->flaw, .why = "wrong" };
		if (f->event != id)
			continue;
		d.b.ike->heard.local = (struct endpoint){ d.b.addr, 500 };
		v1_audit(d.b.ike, NULL, &from, &b);
		return true;
	}
	return false;
}

START_TEST(test_audit_row)
{
	static void (*const provoke[AUDIT_EVENTS])(void) = {
		[AUDIT_RETRY_LIMIT] = silence, [AUDIT_PEER_AUTH] = wrong_secret, [AUDIT_NULL_ESP] = null_esp,
		[AUDIT_MESSAGE] = garbage,     [AUDIT_PROPOSAL] = refused,
	};
	enum audit id = (enum audit)_i;

	if (audit_info(id)->of != AUDIT_OF_IKE)
		return; /* test_plane_audit.c */
	if (id == AUDIT_NOTIFICATION)
		return; /* test_5_14_error_notified */
	if (provoke[id])
		provoke[id]();
	else if (!by_rule(id) && !by_fault(id))
		ck_abort_msg("no test provokes %s", audit_info(id)->name);
	ck_assert_msg(d.b.audited[id] > 0, "%s was not told", audit_info(id)->name);
	ck_assert_uint_eq(d.b.audit.dst.addr.ver, d.b.addr.ver);
}
END_TEST

TCase *v1duo_section5_case(void)
{
	TCase *t = v1duo_case("RFC 2408 section 5");

	tcase_add_loop_test(t, test_5_offence_of_a_stranger, 0, (int)ARRAY_LEN(rules));
	tcase_add_test(t, test_new_group_is_refused);
	tcase_add_test(t, test_5_11_hash);
	tcase_add_test(t, test_5_14_error_notified);
	tcase_add_test(t, test_5_15_delete_of_unknown_protocol);
	tcase_add_test(t, test_5_1_retry_limit_reached);
	tcase_add_test(t, test_5_7_key_information);
	tcase_add_loop_test(t, test_5_7_key_exchange_fails, 0, 4);
	tcase_add_test(t, test_5_7_key_exchange_of_quick_mode_fails);
	tcase_add_loop_test(t, test_5_7_key_exchange_of_quick_mode_does_not_fit, 0, 6);
	tcase_add_loop_test(t, test_quick_mode_without_identities, 0, 2);
	tcase_add_loop_test(t, test_5_5_reserved_spi, 0, 2);
	tcase_add_loop_test(t, test_audit_row, AUDIT_NONE + 1, AUDIT_EVENTS);
	return t;
}
