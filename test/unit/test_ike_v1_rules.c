/*
 * RFC 2408 section 5, a test for each rule: a message of the peer is changed on its way so that it
 * offends the rule, the engine that gets it must log the event of the rule, and send the notify of
 * the rule where there is one. What a payload alone can do wrong is in test_ike_v1_section5.c.
 *
 * Payloads that are only discarded (5.9, 5.10) are told when the negotiation comes to nothing: whoever
 * hears an error in the clear may give up what would have come to something.
 */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/v1/sa_number.h"
#include "ike/v1/v1.h"
#include "ike_duo.h"
#include "ike_pki.h"

static struct duo d;
static char why[256];

static void setup(void)
{
	duo_init(&d, 1);
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->version = 1;
		duo_proposals(&n[i]->conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
	}
}

static void teardown(void)
{
	d.hook = NULL;
	duo_fini(&d);
}

/* ---- the messages of one test */

enum how { MAIN, AGGRESSIVE, BASE };

struct offence {
	enum how how;
	bool cert;        /* proofs by RSA */
	unsigned message; /* which one of a is changed, from 1 */
	uint8_t payload;  /* p is its generic header; 0: the header of the message */
	/* changes it; returns by how many bytes the message has become longer, from the payload's end on */
	int (*change)(uint8_t *p, size_t len);
	bool spoil;       /* and the signature, so that it comes to nothing */
	enum audit event;
	uint16_t notify; /* 0: none is sent */
};
static const struct offence *now;
static unsigned seen_a;
static uint16_t told[32];
static unsigned n_told;

/* The first payload of a type in clear text; NULL: none. */
static uint8_t *payload_of(uint8_t *m, size_t len, uint8_t type)
{
	uint8_t next = m[16];

	for (size_t at = IKE_HDR_LEN; next && at + 4 <= len; at += load_be16(m + at + 2)) {
		if (next == type)
			return m + at;
		next = m[at];
		if (load_be16(m + at + 2) < 4)
			break;
	}
	return NULL;
}

static void note_notify(const struct duo_msg *m)
{
	static struct ike_msg msg;
	struct ike_bad bad;

	if (m->p[18] != IKE1_X_INFO || (m->p[19] & IKE1_FLAG_E))
		return;
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(m->p, m->len), &bad), 0);
	const struct ike_payload *n = ike_msg_find(&msg, IKE1_N, NULL);
	if (n && n_told < ARRAY_LEN(told))
		told[n_told++] = n->notify.type;
}

static bool offend(struct duo *duo, struct duo_msg *m)
{
	static uint8_t room[16384];

	if (m->from == &duo->b) {
		note_notify(m);
		return true;
	}
	if (m->p[18] == IKE1_X_INFO || ++seen_a != now->message)
		return true;
	memcpy(room, m->p, m->len);
	if (now->spoil)
		payload_of(room, m->len, IKE1_SIG)[10] ^= 1;
	uint8_t *p = now->payload ? payload_of(room, m->len, now->payload) : room;
	ck_assert_ptr_nonnull(p);
	size_t was = now->payload ? load_be16(p + 2) : IKE_HDR_LEN;
	size_t behind = m->len - (size_t)(p - room) - was;
	static uint8_t rest[16384];
	memcpy(rest, p + was, behind);
	int longer = now->change(p, was);
	if (longer) {
		store_be16(p + 2, (uint16_t)((int)was + longer));
		store_be32(room + 24, (uint32_t)((int)m->len + longer));
	}
	memcpy(p + (int)was + longer, rest, behind);
	ck_assert_int_le(longer, 0);
	m->len = (size_t)((int)m->len + longer);
	memcpy(m->p, room, m->len);
	return true;
}

static struct pki root, cert[2];

static struct cred *load(const char *name, const struct pki *p)
{
	char pem[32], key[32];
	struct cred *c = NULL;

	snprintf(pem, sizeof(pem), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	ck_assert_int_eq(cred_load(pki_write_cert(pem, &p->cert, 1), pki_write_key(key, p->key, NULL), NULL,
				   &c, why, sizeof(why)),
			 0);
	return c;
}

static void by_rsa(void)
{
	struct duo_node *n[] = { &d.a, &d.b };

	root = pki_make(&(struct pki_opt){ .subject = "CN=Root", .ca = true }, NULL);
	d.wall_ns = (uint64_t)PKI_NOW * NS_PER_S;
	for (unsigned i = 0; i < 2; i++) {
		struct ike_conn_conf *c = n[i]->conn;
		cert[i] = pki_make(&(struct pki_opt){ .subject = i ? "CN=b" : "CN=a",
						      .san = i ? "DNS:b.example" : "DNS:a.example",
						      .kind = PKI_RSA },
				   &root);
		c->auth.method = c->peer.method = IKE_BY_PUBKEY;
		c->auth.cred = calloc(1, sizeof(struct cred *));
		c->auth.cred[0] = load(i ? "b" : "a", &cert[i]);
		c->auth.n_cred = 1;
		c->send_cert = IKE_CERT_ALWAYS;
		n[i]->conf->cas = cred_cas_new();
		ck_assert_int_eq(cred_cas_add(n[i]->conf->cas, pki_write_cert("root.pem", &root.cert, 1), why,
					      sizeof(why)),
				 1);
	}
}

static bool was_told(uint16_t notify)
{
	for (unsigned i = 0; i < n_told; i++)
		if (told[i] == notify)
			return true;
	return false;
}

static void provoke(const struct offence *o)
{
	struct duo_node *n[] = { &d.a, &d.b };
	uint64_t order;

	now = o;
	seen_a = n_told = 0;
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->aggressive = o->how == AGGRESSIVE;
		n[i]->conn->exchange = o->how == BASE ? IKE_EXCHANGE_BASE : IKE_EXCHANGE_MAIN;
	}
	if (o->cert)
		by_rsa();
	duo_start(&d);
	d.hook = offend;
	ck_assert_msg(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)) == 0, "%s", why);
	duo_settle(&d);
	ck_assert_uint_ge(seen_a, o->message);
	ck_assert_msg(d.b.audited[o->event] > 0, "%s was not logged; the last was %s: %s",
		      audit_info(o->event)->what, audit_info(d.b.audit.id)->what, d.b.audit_text);
	if (o->notify)
		ck_assert_msg(was_told(o->notify), "notify %u was not sent, but %u (of %u)", o->notify,
			      n_told ? told[0] : 0, n_told);
	else
		ck_assert_uint_eq(n_told, 0);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 0);
	if (o->cert) {
		pki_fini(&root);
		pki_fini(&cert[0]);
		pki_fini(&cert[1]);
		pki_folder_remove();
	}
}

/* ---- changes */

static int set(uint8_t *p, size_t at, uint8_t value)
{
	p[at] = value;
	return 0;
}

#define CHANGE(name, at, value)                                                                    \
	static int name(uint8_t *p, size_t len)                                                    \
	{                                                                                          \
		(void)len;                                                                         \
		return set(p, at, value);                                                          \
	}

static int zero_cookie(uint8_t *p, size_t len)
{
	(void)len;
	memset(p, 0, 8);
	return 0;
}
CHANGE(other_cookie, 8, (uint8_t)(p[8] ^ 1))
CHANGE(header_length, 27, (uint8_t)(p[27] + 1))
CHANGE(header_next, 16, 99)
CHANGE(minor_version, 17, 0x11)
CHANGE(exchange_type, 18, 7)
CHANGE(exchange_off, 18, IKE1_X_BASE)
CHANGE(unknown_flag, 19, 0x10)
CHANGE(auth_flag, 19, IKE1_FLAG_A)
CHANGE(early_flag, 19, IKE1_FLAG_E)
CHANGE(message_id, 23, 9)
CHANGE(next_payload, 0, 99)
CHANGE(reserved, 1, 1)
CHANGE(next_is_vendor, 0, IKE1_VID)
CHANGE(first_is_vendor, 16, IKE1_VID)
CHANGE(next_is_cr, 0, IKE1_CR)
CHANGE(too_short, 3, 4)
CHANGE(sa_doi, 7, 2)
CHANGE(sa_situation, 11, 2)
CHANGE(no_protocol, 12 + 5, 9)
CHANGE(esp_without_spi, 12 + 5, IKE_PROTO_ESP)
CHANGE(more_transforms, 12 + 7, (uint8_t)(p[12 + 7] + 1))
CHANGE(transform_reserved, 20 + 5, 0)
CHANGE(attribute_class, 28 + 1, 99)
CHANGE(id_type, 4, 99)
CHANGE(id_port, 7, 9)
CHANGE(cert_encoding, 4, 2)
CHANGE(cert_garbage, 5, 0xff)
CHANGE(cr_encoding, 4, 99)
CHANGE(cr_unsupported, 4, 6)
CHANGE(cr_garbage, 5, 0x31)
CHANGE(cr_elsewhere, 8, (uint8_t)(p[8] ^ 1))
CHANGE(wrong_proof, 10, (uint8_t)(p[10] ^ 1))
static int shorter(uint8_t *p, size_t len)
{
	(void)p;
	(void)len;
	return -1;
}
/* A transform without its cipher: the first attribute comes twice instead. */
static int attribute_twice(uint8_t *p, size_t len)
{
	(void)len;
	memcpy(p + 32, p + 28, 4);
	return 0;
}

/* The way of proof, in the first transform. */
static int method(uint8_t *p, size_t len, uint8_t m)
{
	for (size_t at = 28; at + 4 <= len; at += 4)
		if (p[at] == 0x80 && p[at + 1] == V1_A_METHOD) {
			p[at + 3] = m;
			return 0;
		}
	ck_abort_msg("no method");
	return 0;
}
static int method_dss(uint8_t *p, size_t len)
{
	return method(p, len, V1_BY_DSS);
}
static int method_enc(uint8_t *p, size_t len)
{
	return method(p, len, V1_BY_RSA_ENC);
}
static int method_rev(uint8_t *p, size_t len)
{
	return method(p, len, V1_BY_RSA_REV);
}
CHANGE(unknown_transform, 20 + 5, 77)
CHANGE(major_version, 17, 0x30)

#define RULE(name, ...)                                                                            \
	START_TEST(test_##name)                                                                    \
	{                                                                                          \
		provoke(&(struct offence){ __VA_ARGS__ });                                         \
	}                                                                                          \
	END_TEST

/* 5.1 */
RULE(5_1_unequal_payload_lengths, MAIN, .message = 1, .change = header_length, .event = AUDIT_UNEQUAL_LENGTHS,
     .notify = IKE1_UNEQUAL_PAYLOAD_LENGTHS)
START_TEST(test_5_1_retry_limit_reached)
{
	uint64_t order;

	d.lose = 100;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &order, why, sizeof(why)), 0);
	ck_assert_int_eq(duo_order(&d, &d.a, order)->type, IKE_EV_FAILED);
	ck_assert_uint_eq(d.a.audited[AUDIT_RETRY_LIMIT], 1);
}
END_TEST
/* 5.2; nobody can be told of a cookie of zero */
RULE(5_2_invalid_cookie_of_the_initiator, MAIN, .message = 1, .change = zero_cookie, .event = AUDIT_COOKIE)
RULE(5_2_invalid_cookie_of_the_responder, MAIN, .message = 2, .change = other_cookie, .event = AUDIT_COOKIE,
     .notify = IKE1_INVALID_COOKIE)
RULE(5_2_invalid_next_payload, MAIN, .message = 1, .change = header_next, .event = AUDIT_NEXT_PAYLOAD,
     .notify = IKE1_INVALID_PAYLOAD_TYPE)
RULE(5_2_invalid_version, MAIN, .message = 1, .change = minor_version, .event = AUDIT_VERSION,
     .notify = IKE1_INVALID_MINOR_VERSION)
/* Nobody knows the message format of version 3: the answer is one of the highest that we speak. */
START_TEST(test_5_2_invalid_major_version)
{
	provoke(&(struct offence){ .message = 1, .change = major_version, .event = AUDIT_VERSION });
	ck_assert_uint_eq(d.b.sent, 1);
	ck_assert_uint_eq(duo_sas(&d.b), 0);
}
END_TEST
RULE(5_2_invalid_exchange_type, MAIN, .message = 1, .change = exchange_type, .event = AUDIT_EXCHANGE,
     .notify = IKE1_INVALID_EXCHANGE_TYPE)
RULE(5_2_unsupported_exchange_type, MAIN, .message = 1, .change = exchange_off, .event = AUDIT_EXCHANGE,
     .notify = IKE1_UNSUPPORTED_EXCHANGE_TYPE)
RULE(5_2_invalid_flags, MAIN, .message = 1, .change = unknown_flag, .event = AUDIT_FLAGS,
     .notify = IKE1_INVALID_FLAGS)
RULE(5_2_invalid_flags_authentication_alone, MAIN, .message = 1, .change = auth_flag, .event = AUDIT_FLAGS,
     .notify = IKE1_INVALID_FLAGS)
RULE(5_2_invalid_flags_no_keys_yet, MAIN, .message = 1, .change = early_flag, .event = AUDIT_FLAGS,
     .notify = IKE1_INVALID_FLAGS)
RULE(5_2_invalid_message_id, MAIN, .message = 1, .change = message_id, .event = AUDIT_MESSAGE_ID,
     .notify = IKE1_INVALID_MESSAGE_ID)
/* 5.3 */
RULE(5_3_invalid_next_payload, MAIN, .message = 1, .payload = IKE1_SA, .change = next_payload,
     .event = AUDIT_NEXT_PAYLOAD, .notify = IKE1_INVALID_PAYLOAD_TYPE)
RULE(5_3_invalid_reserved_field, MAIN, .message = 1, .payload = IKE1_SA, .change = reserved,
     .event = AUDIT_RESERVED, .notify = IKE1_PAYLOAD_MALFORMED)
RULE(5_3_invalid_reserved_field_later, MAIN, .message = 2, .payload = IKE1_NONCE, .change = reserved,
     .event = AUDIT_RESERVED, .notify = IKE1_PAYLOAD_MALFORMED)
/* What an exchange of section 4 demands and is not there; what it does not allow. */
RULE(4_missing_payload, MAIN, .message = 1, .change = first_is_vendor, .event = AUDIT_MISSING,
     .notify = IKE1_PAYLOAD_MALFORMED)
RULE(4_missing_payload_later, MAIN, .message = 2, .payload = IKE1_KE, .change = next_is_vendor,
     .event = AUDIT_MISSING, .notify = IKE1_PAYLOAD_MALFORMED)
RULE(4_missing_payload_aggressive, AGGRESSIVE, .message = 1, .payload = IKE1_KE, .change = next_is_vendor,
     .event = AUDIT_MISSING, .notify = IKE1_PAYLOAD_MALFORMED)
RULE(4_payload_does_not_belong_there, MAIN, .message = 1, .payload = IKE1_SA, .change = next_is_cr,
     .event = AUDIT_NEXT_PAYLOAD, .notify = IKE1_INVALID_PAYLOAD_TYPE)
/* A payload that is malformed is not one with a reserved field. */
START_TEST(test_5_payload_malformed)
{
	provoke(&(struct offence){ .message = 1, .payload = IKE1_SA, .change = too_short, .event = AUDIT_MESSAGE,
				   .notify = IKE1_PAYLOAD_MALFORMED });
	ck_assert_uint_eq(d.b.audited[AUDIT_RESERVED], 0);
}
END_TEST
/* 5.4 */
RULE(5_4_invalid_doi, MAIN, .message = 1, .payload = IKE1_SA, .change = sa_doi, .event = AUDIT_DOI,
     .notify = IKE1_DOI_NOT_SUPPORTED)
RULE(5_4_invalid_situation, MAIN, .message = 1, .payload = IKE1_SA, .change = sa_situation,
     .event = AUDIT_SITUATION, .notify = IKE1_SITUATION_NOT_SUPPORTED)
CHANGE(nothing, 0, p[0])
START_TEST(test_5_4_invalid_proposal)
{
	duo_proposals(&d.b.conn->proposals, IKE_PROTO_IKE, "aes256-sha512-ecp384");
	provoke(&(struct offence){ .message = 1, .change = nothing, .event = AUDIT_PROPOSAL,
				   .notify = IKE1_NO_PROPOSAL_CHOSEN });
}
END_TEST
/* 5.5 */
RULE(5_5_invalid_protocol, MAIN, .message = 1, .payload = IKE1_SA, .change = no_protocol,
     .event = AUDIT_PROTOCOL, .notify = IKE1_INVALID_PROTOCOL_ID)
RULE(5_5_invalid_spi, MAIN, .message = 1, .payload = IKE1_SA, .change = esp_without_spi, .event = AUDIT_SPI,
     .notify = IKE1_INVALID_SPI)
RULE(5_5_bad_proposal_syntax, MAIN, .message = 1, .payload = IKE1_SA, .change = more_transforms,
     .event = AUDIT_PROPOSAL_SYNTAX, .notify = IKE1_BAD_PROPOSAL_SYNTAX)
/* 5.6 */
RULE(5_6_invalid_transform, MAIN, .message = 1, .payload = IKE1_SA, .change = transform_reserved,
     .event = AUDIT_TRANSFORM, .notify = IKE1_INVALID_TRANSFORM_ID)
RULE(5_6_invalid_attributes, MAIN, .message = 1, .payload = IKE1_SA, .change = attribute_class,
     .event = AUDIT_ATTRIBUTES, .notify = IKE1_ATTRIBUTES_NOT_SUPPORTED)
RULE(5_6_bad_proposal_syntax, MAIN, .message = 1, .payload = IKE1_SA, .change = attribute_twice,
     .event = AUDIT_PROPOSAL_SYNTAX, .notify = IKE1_BAD_PROPOSAL_SYNTAX)
/* Known here, and refused: DSS, and both kinds of encryption with public keys. */
RULE(5_6_method_dss, MAIN, .message = 1, .payload = IKE1_SA, .change = method_dss, .event = AUDIT_PROPOSAL,
     .notify = IKE1_NO_PROPOSAL_CHOSEN)
RULE(5_6_method_encryption, MAIN, .message = 1, .payload = IKE1_SA, .change = method_enc,
     .event = AUDIT_PROPOSAL, .notify = IKE1_NO_PROPOSAL_CHOSEN)
RULE(5_6_method_revised_encryption, MAIN, .message = 1, .payload = IKE1_SA, .change = method_rev,
     .event = AUDIT_PROPOSAL, .notify = IKE1_NO_PROPOSAL_CHOSEN)
/* What is not known is ignored, and MUST NOT be this event. */
START_TEST(test_5_6_unknown_transform_is_no_invalid_one)
{
	provoke(&(struct offence){ .message = 1, .payload = IKE1_SA, .change = unknown_transform,
				   .event = AUDIT_PROPOSAL, .notify = IKE1_NO_PROPOSAL_CHOSEN });
	ck_assert_uint_eq(d.b.audited[AUDIT_TRANSFORM], 0);
}
END_TEST
/* 5.7 */
RULE(5_7_invalid_key_information, MAIN, .message = 2, .payload = IKE1_KE, .change = shorter,
     .event = AUDIT_KEY_INFORMATION, .notify = IKE1_INVALID_KEY_INFORMATION)
RULE(5_7_invalid_key_information_aggressive, AGGRESSIVE, .message = 1, .payload = IKE1_KE, .change = shorter,
     .event = AUDIT_KEY_INFORMATION, .notify = IKE1_INVALID_KEY_INFORMATION)
RULE(5_7_invalid_key_information_base, BASE, .message = 2, .payload = IKE1_KE, .change = shorter,
     .event = AUDIT_KEY_INFORMATION, .notify = IKE1_INVALID_KEY_INFORMATION)
/* 5.8 */
RULE(5_8_invalid_id_information, AGGRESSIVE, .message = 1, .payload = IKE1_ID, .change = id_type,
     .event = AUDIT_ID_INFORMATION, .notify = IKE1_INVALID_ID_INFORMATION)
RULE(5_8_invalid_id_information_port, AGGRESSIVE, .message = 1, .payload = IKE1_ID, .change = id_port,
     .event = AUDIT_ID_INFORMATION, .notify = IKE1_INVALID_ID_INFORMATION)
/* 5.9 */
RULE(5_9_invalid_certificate_type, BASE, true, .message = 2, .payload = IKE1_CERT, .change = cert_encoding,
     .event = AUDIT_CERT_TYPE, .notify = IKE1_INVALID_CERT_ENCODING)
RULE(5_9_invalid_certificate, BASE, true, .message = 2, .payload = IKE1_CERT, .change = cert_garbage,
     .event = AUDIT_CERT, .notify = IKE1_INVALID_CERTIFICATE)
/* 5.10; what the peer asks for is discarded, and told when there is nothing else to agree on */
RULE(5_10_invalid_certificate_type, BASE, true, .message = 2, .payload = IKE1_CR, .change = cr_encoding,
     .spoil = true, .event = AUDIT_CERT_TYPE, .notify = IKE1_INVALID_CERT_ENCODING)
RULE(5_10_certificate_type_unsupported, BASE, true, .message = 2, .payload = IKE1_CR, .change = cr_unsupported,
     .spoil = true, .event = AUDIT_CERT_UNSUPPORTED, .notify = IKE1_CERT_TYPE_UNSUPPORTED)
RULE(5_10_invalid_certificate_authority, BASE, true, .message = 2, .payload = IKE1_CR, .change = cr_garbage,
     .spoil = true, .event = AUDIT_CERT_AUTHORITY, .notify = IKE1_INVALID_CERT_AUTHORITY)
RULE(5_10_certificate_unavailable, BASE, true, .message = 2, .payload = IKE1_CR, .change = cr_elsewhere,
     .spoil = true, .event = AUDIT_CERT_UNAVAILABLE, .notify = IKE1_CERTIFICATE_UNAVAILABLE)
/* 5.11 */
RULE(5_11_invalid_hash_information, BASE, .message = 2, .payload = IKE1_HASH, .change = shorter,
     .event = AUDIT_HASH_INFORMATION, .notify = IKE1_INVALID_HASH_INFORMATION)
RULE(5_11_invalid_hash_value, BASE, .message = 2, .payload = IKE1_HASH, .change = wrong_proof,
     .event = AUDIT_HASH_VALUE, .notify = IKE1_AUTHENTICATION_FAILED)
/* 5.12 */
RULE(5_12_invalid_signature_information, BASE, true, .message = 2, .payload = IKE1_SIG, .change = shorter,
     .event = AUDIT_SIG_INFORMATION, .notify = IKE1_INVALID_SIGNATURE)
RULE(5_12_invalid_signature_value, BASE, true, .message = 2, .payload = IKE1_SIG, .change = wrong_proof,
     .event = AUDIT_SIG_VALUE, .notify = IKE1_AUTHENTICATION_FAILED)

/* ---- 5.13 has no rule; 5.14 and 5.15: notifies and deletes under an SA are never answered */

static struct ike_msg msg;

static void inject(uint32_t id, uint8_t type, uint8_t doi, uint8_t proto, size_t spi, uint16_t what)
{
	struct ike_sa *sa = list_entry(d.a.ike->sas.next, struct ike_sa, all);
	struct v1_hash h = { .kind = V1_HASH_1, .id = id };
	static const uint8_t zero[16];
	uint8_t iv[CBC_BLOCK_MAX];
	struct sealed s;

	ike_msg_init(&msg, 0x10, sa->spi_i, sa->spi_r, IKE1_X_INFO, 0, id);
	ike_msg_add(&msg, IKE1_HASH, true)->raw.data = span_of(NULL, sa->suite.prf->len);
	struct ike_payload *p = ike_msg_add(&msg, type, true);
	if (type == IKE1_N) {
		p->notify.doi = doi;
		p->notify.proto = proto;
		p->notify.type = what;
		p->notify.spi = span_of(zero, spi);
		p->notify.data = span_of("", 0);
	} else {
		p->del.doi = doi;
		p->del.proto = proto;
		p->del.n = 1;
		p->del.spi_size = (uint8_t)spi;
		p->del.spis = span_of(zero, spi);
	}
	ck_assert_int_eq(v1_iv_exchange(&sa->suite, sa->v1->last_iv, id, iv), 0);
	ck_assert_int_eq(v1_seal(&msg, &sa->suite, &sa->keys, &h, iv, 0, 0, &s), 0);
	v1_send(sa, &s);
	sealed_free(&s);
	duo_settle(&d);
}

static void under_sa(enum audit event, uint8_t type, uint8_t doi, uint8_t proto, size_t spi, uint16_t what)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	unsigned sent = d.b.sent;
	inject(4711, type, doi, proto, spi, what);
	ck_assert_msg(d.b.audited[event] > 0, "%s was not logged; the last was %s: %s", audit_info(event)->what,
		      audit_info(d.b.audit.id)->what, d.b.audit_text);
	ck_assert_uint_eq(d.b.sent, sent);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
}

#define UNDER_SA(name, ...)                                                                        \
	START_TEST(test_##name)                                                                    \
	{                                                                                          \
		under_sa(__VA_ARGS__);                                                             \
	}                                                                                          \
	END_TEST
UNDER_SA(5_14_invalid_doi, AUDIT_DOI, IKE1_N, 9, 1, 16, IKE1_R_U_THERE)
UNDER_SA(5_14_invalid_protocol_id, AUDIT_PROTOCOL_ID, IKE1_N, 1, 9, 4, IKE1_R_U_THERE)
UNDER_SA(5_14_invalid_spi, AUDIT_SPI, IKE1_N, 1, 3, 2, IKE1_R_U_THERE)
UNDER_SA(5_14_invalid_message_type, AUDIT_MESSAGE_TYPE, IKE1_N, 1, 1, 16, UINT16_MAX)
UNDER_SA(5_14_notification_payload_error, AUDIT_NOTIFICATION, IKE1_N, 1, 1, 16, IKE1_INVALID_SPI)
UNDER_SA(5_15_invalid_doi, AUDIT_DOI, IKE1_D, 9, 3, 4, 0)
UNDER_SA(5_15_invalid_protocol_id, AUDIT_PROTOCOL_ID, IKE1_D, 1, 9, 4, 0)
UNDER_SA(5_15_invalid_spi, AUDIT_SPI, IKE1_D, 1, 3, 2, 0)

/* A delete that nothing protects: the event, and no effect. */
START_TEST(test_5_15_delete_payload_error)
{
	struct wr w;
	uint8_t buf[256];
	static const uint8_t spis[16];
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	struct ike_sa *sa = list_entry(d.b.ike->sas.next, struct ike_sa, all);
	ike_msg_init(&msg, 0x10, sa->spi_i, sa->spi_r, IKE1_X_INFO, 0, 5);
	struct ike_payload *p = ike_msg_add(&msg, IKE1_D, false);
	p->del.doi = p->del.n = 1;
	p->del.proto = IKE_PROTO_IKE;
	p->del.spi_size = 16;
	p->del.spis = span_of(spis, 16);
	w = wr_of(buf, sizeof(buf));
	ck_assert_int_eq(ike_msg_write(&msg, &w), 0);
	ike_receive(d.b.ike, &to, &from, false, buf, wr_view(&w).len);
	ck_assert_uint_gt(d.b.audited[AUDIT_DELETE], 0);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
}
END_TEST

/* ---- 5.14 in the clear: told, paced, and without effect on an SA in force */

static void fill_clear(struct ike_sa *sa, uint8_t proto, size_t spi, uint16_t type)
{
	static const uint8_t zero[16];

	ike_msg_init(&msg, 0x10, sa->spi_i, sa->spi_r, IKE1_X_INFO, 0, 5);
	struct ike_payload *p = ike_msg_add(&msg, IKE1_N, false);
	p->notify.doi = 1;
	p->notify.proto = proto;
	p->notify.type = type;
	p->notify.spi = span_of(zero, spi);
	p->notify.data = span_of("", 0);
}

static void in_the_clear(enum audit event, uint8_t proto, size_t spi, uint16_t type)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	uint8_t buf[256];
	struct wr w;

	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	struct ike_sa *sa = list_entry(d.b.ike->sas.next, struct ike_sa, all);
	uint64_t heard = sa->heard_ns;
	unsigned sent = d.b.sent;
	d.now_ns += NS_PER_S;
	fill_clear(sa, proto, spi, type);
	w = wr_of(buf, sizeof(buf));
	ck_assert_int_eq(ike_msg_write(&msg, &w), 0);
	ike_receive(d.b.ike, &to, &from, false, buf, wr_view(&w).len);
	duo_settle(&d);
	ck_assert_msg(d.b.audited[event] == 1, "%s was not logged; the last was %s: %s", audit_info(event)->what,
		      audit_info(d.b.audit.id)->what, d.b.audit_text);
	ck_assert(endpoint_eq(&d.b.audit.src, &from));
	ck_assert_uint_eq(d.b.sent, sent);
	ck_assert_uint_eq(sa->heard_ns, heard);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(duo_children(&d.b), 1);
	duo_agree(&d);
}

#define IN_THE_CLEAR(name, ...)                                                                    \
	START_TEST(test_##name)                                                                    \
	{                                                                                          \
		in_the_clear(__VA_ARGS__);                                                         \
	}                                                                                          \
	END_TEST
IN_THE_CLEAR(5_14_invalid_protocol_id_in_the_clear, AUDIT_PROTOCOL_ID, 9, 4, IKE1_INVALID_SPI)
IN_THE_CLEAR(5_14_invalid_spi_in_the_clear, AUDIT_SPI, 3, 2, IKE1_INVALID_SPI)
IN_THE_CLEAR(5_14_invalid_message_type_in_the_clear, AUDIT_MESSAGE_TYPE, 1, 16, 0)
IN_THE_CLEAR(5_14_notification_payload_error_in_the_clear, AUDIT_NOTIFICATION, 1, 16, IKE1_INVALID_COOKIE)

/* What is wrong in itself does not make a negotiation doubt, either. */
START_TEST(test_5_14_wrong_refusal_is_discarded)
{
	struct endpoint from = { d.b.addr, 500 }, to = { d.a.addr, 500 };
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof(buf));

	d.lose = 100;
	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &(uint64_t){ 0 }, why, sizeof(why)), 0);
	struct ike_sa *sa = list_entry(d.a.ike->sas.next, struct ike_sa, all);
	fill_clear(sa, _i ? 1 : 9, _i ? 16 : 4, IKE1_NO_PROPOSAL_CHOSEN);
	ck_assert_int_eq(ike_msg_write(&msg, &w), 0);
	ike_receive(d.a.ike, &to, &from, false, buf, wr_view(&w).len);
	ck_assert_uint_eq(d.a.audited[_i ? AUDIT_NOTIFICATION : AUDIT_PROTOCOL_ID], 1);
	ck_assert_int_eq(sa->v1->ph->refusal[0] != '\0', _i);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_v1_rules");
	TCase *t = tcase_create("RFC 2408 section 5");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_5_1_unequal_payload_lengths);
	tcase_add_test(t, test_5_1_retry_limit_reached);
	tcase_add_test(t, test_5_2_invalid_cookie_of_the_initiator);
	tcase_add_test(t, test_5_2_invalid_cookie_of_the_responder);
	tcase_add_test(t, test_5_2_invalid_next_payload);
	tcase_add_test(t, test_5_2_invalid_version);
	tcase_add_test(t, test_5_2_invalid_major_version);
	tcase_add_test(t, test_5_2_invalid_exchange_type);
	tcase_add_test(t, test_5_2_unsupported_exchange_type);
	tcase_add_test(t, test_5_2_invalid_flags);
	tcase_add_test(t, test_5_2_invalid_flags_authentication_alone);
	tcase_add_test(t, test_5_2_invalid_flags_no_keys_yet);
	tcase_add_test(t, test_5_2_invalid_message_id);
	tcase_add_test(t, test_5_3_invalid_next_payload);
	tcase_add_test(t, test_5_3_invalid_reserved_field);
	tcase_add_test(t, test_5_3_invalid_reserved_field_later);
	tcase_add_test(t, test_4_missing_payload);
	tcase_add_test(t, test_4_missing_payload_later);
	tcase_add_test(t, test_4_missing_payload_aggressive);
	tcase_add_test(t, test_4_payload_does_not_belong_there);
	tcase_add_test(t, test_5_payload_malformed);
	tcase_add_test(t, test_5_4_invalid_doi);
	tcase_add_test(t, test_5_4_invalid_situation);
	tcase_add_test(t, test_5_4_invalid_proposal);
	tcase_add_test(t, test_5_5_invalid_protocol);
	tcase_add_test(t, test_5_5_invalid_spi);
	tcase_add_test(t, test_5_5_bad_proposal_syntax);
	tcase_add_test(t, test_5_6_invalid_transform);
	tcase_add_test(t, test_5_6_invalid_attributes);
	tcase_add_test(t, test_5_6_bad_proposal_syntax);
	tcase_add_test(t, test_5_6_method_dss);
	tcase_add_test(t, test_5_6_method_encryption);
	tcase_add_test(t, test_5_6_method_revised_encryption);
	tcase_add_test(t, test_5_6_unknown_transform_is_no_invalid_one);
	tcase_add_test(t, test_5_7_invalid_key_information);
	tcase_add_test(t, test_5_7_invalid_key_information_aggressive);
	tcase_add_test(t, test_5_7_invalid_key_information_base);
	tcase_add_test(t, test_5_8_invalid_id_information);
	tcase_add_test(t, test_5_8_invalid_id_information_port);
	tcase_add_test(t, test_5_9_invalid_certificate_type);
	tcase_add_test(t, test_5_9_invalid_certificate);
	tcase_add_test(t, test_5_10_invalid_certificate_type);
	tcase_add_test(t, test_5_10_certificate_type_unsupported);
	tcase_add_test(t, test_5_10_invalid_certificate_authority);
	tcase_add_test(t, test_5_10_certificate_unavailable);
	tcase_add_test(t, test_5_11_invalid_hash_information);
	tcase_add_test(t, test_5_11_invalid_hash_value);
	tcase_add_test(t, test_5_12_invalid_signature_information);
	tcase_add_test(t, test_5_12_invalid_signature_value);
	tcase_add_test(t, test_5_14_invalid_doi);
	tcase_add_test(t, test_5_14_invalid_protocol_id);
	tcase_add_test(t, test_5_14_invalid_spi);
	tcase_add_test(t, test_5_14_invalid_message_type);
	tcase_add_test(t, test_5_14_notification_payload_error);
	tcase_add_test(t, test_5_14_invalid_protocol_id_in_the_clear);
	tcase_add_test(t, test_5_14_invalid_spi_in_the_clear);
	tcase_add_test(t, test_5_14_invalid_message_type_in_the_clear);
	tcase_add_test(t, test_5_14_notification_payload_error_in_the_clear);
	tcase_add_loop_test(t, test_5_14_wrong_refusal_is_discarded, 0, 2);
	tcase_add_test(t, test_5_15_invalid_doi);
	tcase_add_test(t, test_5_15_invalid_protocol_id);
	tcase_add_test(t, test_5_15_invalid_spi);
	tcase_add_test(t, test_5_15_delete_payload_error);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
