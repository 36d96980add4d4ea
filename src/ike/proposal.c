/*
 * Keywords to proposals and back. A list of text enters; each proposal is cut at its dashes, each
 * word is looked up in the tables of crypto/, and the whole is then completed and checked by the
 * protocol's rules. Words and numbers of algorithms are nowhere but in those tables.
 */
#include "ike/proposal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/why.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/transform.h"

#define WORD_MAX 32

#define DEFAULT_KE "curve25519-ecp384-ecp256-ecp521-curve448-modp3072-modp4096-modp2048"
static const char default_ike[] =
    "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-prfsha512-" DEFAULT_KE
    ",aes256-aes128-sha384-sha256-sha512-" DEFAULT_KE;
static const char default_esp[] = "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn,"
				  "aes256-aes128-sha256-sha384-sha512-esn-noesn";
static const char default_ah[] = "sha256-sha384-sha512-esn-noesn";

#define refuse(...) why_say(-EINVAL, __VA_ARGS__)

/* A cipher's row stands alone in crypto/'s keywords only as part of a suite: one of the two fits.
 */
static bool encr_word(const char *w, struct esp_suite *s)
{
	return esp_suite_parse(w, NULL, s, NULL, 0) == 0 ||
	       esp_suite_parse(w, "sha256", s, NULL, 0) == 0;
}

static bool word_find(const char *w, struct proposal_alg *a)
{
	const struct prf_info *prf = prf_by_keyword(w);
	const struct dh_info *dh = dh_by_keyword(w);
	struct esp_suite s;

	*a = (struct proposal_alg){ 0 };
	if (encr_word(w, &s)) {
		a->type = IKE_T_ENCR;
		a->id = (uint16_t)s.encr->id;
		a->key_bits = s.encr->key_step ? (uint16_t)(s.key_len * 8) : 0;
	} else if (esp_suite_parse("null", w, &s, NULL, 0) == 0) {
		a->type = IKE_T_INTEG;
		a->id = (uint16_t)s.integ->id;
	} else if (prf) {
		a->type = IKE_T_PRF;
		a->id = (uint16_t)prf->id;
	} else if (dh || strcasecmp(w, "modpnone") == 0) {
		a->type = IKE_T_KE;
		a->id = dh ? (uint16_t)dh->id : DH_NONE;
	} else if (strcasecmp(w, "esn") == 0 || strcasecmp(w, "noesn") == 0) {
		a->type = IKE_T_ESN;
		a->id = strcasecmp(w, "esn") == 0;
	} else {
		return false;
	}
	return true;
}

/* GMAC is a cipher of ESP, and an integrity algorithm of AH, of one name (RFC 4543 9). */
static void ah_alg(struct proposal_alg *a)
{
	if (a->type == IKE_T_ENCR && a->id == ENCR_NULL_AUTH_AES_GMAC)
		*a = (struct proposal_alg){ .type = IKE_T_INTEG, .id = (uint16_t)ah_gmac_of(a->key_bits / 8u) };
}

bool proposal_alg_weak(const struct proposal_alg *a)
{
	const struct encr_info *e = encr_info((enum encr_id)a->id);
	const struct integ_info *i = integ_info((enum integ_id)a->id);
	const struct prf_info *p = prf_info(a->id);
	const struct dh_info *d = dh_info(a->id);

	switch (a->type) {
	case IKE_T_ENCR:
		return e && e->weak;
	case IKE_T_INTEG:
		return i && i->weak;
	case IKE_T_PRF:
		return p && p->weak;
	case IKE_T_KE:
		return d && d->weak;
	default:
		return false;
	}
}

/* esp_suite_name() writes "cipher-integrity"; cut to the half that is wanted. */
static void suite_word(enum encr_id e, unsigned key_len, enum integ_id i, bool second, char out[32])
{
	struct esp_suite s;
	char name[48];

	if (esp_suite_make(e, key_len, i, &s, NULL, 0))
		return;
	esp_suite_name(&s, name);
	char *dash = strchr(name, '-');
	if (dash)
		*dash = '\0';
	snprintf(out, 32, "%.31s", second && dash ? dash + 1 : name);
}

const char *proposal_alg_name(const struct proposal_alg *a, char out[32])
{
	const struct encr_info *e = encr_info((enum encr_id)a->id);
	const struct prf_info *p = prf_info(a->id);
	const struct dh_info *d = dh_info(a->id);

	if (a->key_bits == PROPOSAL_STRANGE) {
		snprintf(out, 32, "type %u number %u, strange", a->type, a->id);
		return out;
	}
	switch (a->type) {
	case IKE_T_ENCR:
		snprintf(out, 32, a->key_bits ? "cipher %u with %u bits" : "cipher %u", a->id,
			 a->key_bits);
		if (e && (e->key_step != 0) == (a->key_bits != 0))
			suite_word(e->id, a->key_bits / 8,
				   e->aead ? INTEG_NONE : INTEG_HMAC_SHA2_256_128, false, out);
		break;
	case IKE_T_INTEG:
		snprintf(out, 32, a->id ? "integrity %u" : "no integrity", a->id);
		if (ah_gmac_key_len((enum integ_id)a->id))
			suite_word(ENCR_NULL_AUTH_AES_GMAC, ah_gmac_key_len((enum integ_id)a->id), INTEG_NONE, false, out);
		else
			suite_word(ENCR_NULL, 0, (enum integ_id)a->id, true, out);
		break;
	case IKE_T_PRF:
		snprintf(out, 32, "PRF %u", a->id);
		if (p)
			snprintf(out, 32, "%s", p->keyword);
		break;
	case IKE_T_KE:
		snprintf(out, 32, a->id ? "group %u" : "modpnone", a->id);
		if (d)
			snprintf(out, 32, "%s", d->keyword);
		break;
	case IKE_T_ESN:
		snprintf(out, 32,
			 a->id > 1 ? "sequence numbers %u"
			 : a->id   ? "esn"
				   : "noesn",
			 a->id);
		break;
	default:
		snprintf(out, 32, "transform %u of type %u", a->id, a->type);
	}
	return out;
}

char *proposal_format(const struct proposal *p, char *out, size_t max)
{
	char word[32];
	size_t len = 0;

	if (max)
		out[0] = '\0';
	for (unsigned i = 0; i < p->n && len < max; i++) {
		int n = snprintf(out + len, max - len, "%s%s", i ? "-" : "",
				 proposal_alg_name(&p->alg[i], word));
		len += n > 0 ? (size_t)n : 0;
	}
	return out;
}

const struct proposal_alg *proposal_alg(const struct proposal *p, enum ike_transform_type type)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->alg[i].type == type)
			return &p->alg[i];
	return NULL;
}

bool proposal_has(const struct proposal *p, enum ike_transform_type type, uint16_t id)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->alg[i].type == type && p->alg[i].id == id)
			return true;
	return false;
}

bool proposals_unprotected(const struct proposals *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct proposal *q = &p->p[i];
		bool integ = false;
		for (unsigned k = 0; k < q->n; k++)
			integ |= q->alg[k].type == IKE_T_INTEG && q->alg[k].id != 0;
		if (q->proto == IKE_PROTO_ESP && !integ && proposal_has(q, IKE_T_ENCR, ENCR_NULL))
			return true;
	}
	return false;
}

static bool has_exactly(const struct proposal *p, const struct proposal_alg *a)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->alg[i].type == a->type && p->alg[i].id == a->id &&
		    p->alg[i].key_bits == a->key_bits)
			return true;
	return false;
}

/* Adds an algorithm once; false when there is no room. */
static bool alg_add(struct proposal *p, const struct proposal_alg *a)
{
	if (has_exactly(p, a))
		return true;
	if (p->n == PROPOSAL_ALGS)
		return false;
	p->alg[p->n++] = *a;
	return true;
}

static void drop_type(struct proposal *p, enum ike_transform_type type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		if (p->alg[i].type != type)
			p->alg[n++] = p->alg[i];
	p->n = (uint8_t)n;
}

/* The PRF of the same function as an integrity algorithm: their keywords differ only by "prf". */
static void prf_from_integ(struct proposal *p)
{
	char word[32], with[40];
	unsigned n = p->n;

	for (unsigned i = 0; i < n; i++) {
		if (p->alg[i].type != IKE_T_INTEG)
			continue;
		snprintf(with, sizeof(with), "prf%s", proposal_alg_name(&p->alg[i], word));
		const struct prf_info *prf = prf_by_keyword(with);
		if (prf)
			alg_add(p, &(struct proposal_alg){ IKE_T_PRF, (uint16_t)prf->id, 0 });
	}
}

/* Whether the ciphers are combined-mode ones: 1 yes, 0 no, -1 both kinds, -2 none. */
static int cipher_kind(const struct proposal *p)
{
	int kind = -2;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->alg[i].type != IKE_T_ENCR)
			continue;
		const struct encr_info *e = encr_info((enum encr_id)p->alg[i].id);
		int aead = e && e->aead;
		if (kind >= 0 && kind != aead)
			return -1;
		kind = aead;
	}
	return kind;
}

static const char *complete_ike(struct proposal *p, int kind)
{
	bool integ = proposal_alg(p, IKE_T_INTEG), prf = proposal_alg(p, IKE_T_PRF);

	if (kind == -2)
		return "no cipher";
	if (proposal_has(p, IKE_T_ENCR, ENCR_NULL) ||
	    proposal_has(p, IKE_T_ENCR, ENCR_NULL_AUTH_AES_GMAC))
		return "IKE messages are always encrypted; expected a cipher that does it";
	if (proposal_alg(p, IKE_T_ESN))
		return "esn and noesn belong to ESP and AH";
	if (kind == 1 && integ && prf)
		return "a cipher such as aes256gcm16 protects integrity itself; expected no "
		       "integrity algorithm beside it";
	if (kind == 0 && !integ)
		return "no integrity algorithm; expected one such as sha256";
	if (!prf && !integ)
		return "no PRF; expected one such as prfsha256";
	if (!prf)
		prf_from_integ(p);
	if (kind == 1)
		drop_type(p, IKE_T_INTEG);
	if (!proposal_alg(p, IKE_T_KE) || proposal_has(p, IKE_T_KE, DH_NONE))
		return "no key exchange method; expected one such as curve25519 or ecp384";
	return NULL;
}

static const char *complete_child(struct proposal *p, int kind)
{
	bool integ = proposal_alg(p, IKE_T_INTEG);

	if (proposal_alg(p, IKE_T_PRF))
		return "a PRF belongs to IKE proposals";
	if (p->proto == IKE_PROTO_AH && kind != -2)
		return "AH does not encrypt; expected no cipher";
	if (p->proto == IKE_PROTO_AH && !integ)
		return "no integrity algorithm; expected one such as sha256";
	if (p->proto == IKE_PROTO_ESP && kind == -2)
		return "no cipher";
	if (kind == 1 && integ)
		return "a cipher such as aes256gcm16 protects integrity itself; expected no "
		       "integrity algorithm beside it";
	if (kind == 0 && !integ)
		return "no integrity algorithm; expected one such as sha256";
	if (!proposal_alg(p, IKE_T_ESN))
		alg_add(p, &(struct proposal_alg){ .type = IKE_T_ESN });
	return NULL;
}

/* What is wrong with the proposal as a whole, or NULL; fills in what may be left out. */
static const char *complete(struct proposal *p)
{
	int kind = cipher_kind(p);

	if (kind == -1)
		return "ciphers such as aes256gcm16 and ones such as aes256 in one proposal; "
		       "expected two proposals, separated by a comma";
	return p->proto == IKE_PROTO_IKE ? complete_ike(p, kind) : complete_child(p, kind);
}

/* One proposal, text[0..len). */
static int parse_one(enum ike_protocol proto, const char *text, size_t len, bool allow_weak,
		     struct proposal *p, char *why, size_t whylen)
{
	*p = (struct proposal){ .proto = (uint8_t)proto };
	for (size_t at = 0; at <= len;) {
		size_t n = strcspn(text + at, "-,");
		char word[WORD_MAX];
		struct proposal_alg a;
		n = n < len - at ? n : len - at;
		snprintf(word, sizeof(word), "%.*s", (int)(n < WORD_MAX ? n : WORD_MAX), text + at);
		if (n == 0 || n >= WORD_MAX || !word_find(word, &a))
			return refuse(
			    why, whylen,
			    "unknown word \"%.*s\" in proposal \"%.*s\"; expected words such "
			    "as aes256gcm16, prfsha384, sha256, ecp384, curve25519",
			    (int)n, text + at, (int)len, text);
		if (proto == IKE_PROTO_AH)
			ah_alg(&a);
		if (!allow_weak && proposal_alg_weak(&a))
			return refuse(
			    why, whylen,
			    "%s in proposal \"%.*s\" is weak; expected a stronger one, or "
			    "allow_weak = yes",
			    word, (int)len, text);
		if (!alg_add(p, &a))
			return refuse(why, whylen, "proposal \"%.*s\": more than %d algorithms",
				      (int)len, text, PROPOSAL_ALGS);
		at += n + 1;
	}
	const char *wrong = complete(p);
	if (wrong)
		return refuse(why, whylen, "proposal \"%.*s\": %s", (int)len, text, wrong);
	return 0;
}

static int parse_list(enum ike_protocol proto, const char *text, bool allow_weak,
		      struct proposals *out, char *why, size_t whylen)
{
	for (;;) {
		text += strspn(text, " \t\n");
		size_t len = strcspn(text, ","), next = len;
		while (len && strchr(" \t\n", text[len - 1]))
			len--;
		struct proposals more = { .n = 1 };
		if (len == 7 && strncasecmp(text, "default", 7) == 0) {
			proposals_default(proto, &more);
		} else {
			int rc = parse_one(proto, text, len, allow_weak, &more.p[0], why, whylen);
			if (rc)
				return rc;
		}
		if (out->n + more.n > PROPOSALS_MAX)
			return refuse(why, whylen, "more than %d proposals", PROPOSALS_MAX);
		for (unsigned i = 0; i < more.n; i++) {
			out->p[out->n] = more.p[i];
			out->p[out->n].number = (uint8_t)(out->n + 1);
			out->n++;
		}
		if (!text[next])
			return 0;
		text += next + 1;
	}
}

void proposals_default(enum ike_protocol proto, struct proposals *out)
{
	const char *text = proto == IKE_PROTO_IKE   ? default_ike
			   : proto == IKE_PROTO_ESP ? default_esp
						    : default_ah;

	out->n = 0;
	if (parse_list(proto, text, false, out, NULL, 0))
		out->n = 0; /* cannot happen: the texts are constants, and a test parses them */
}

int proposals_parse(enum ike_protocol proto, const char *text, bool allow_weak,
		    struct proposals *out, char *why, size_t whylen)
{
	out->n = 0;
	return parse_list(proto, text && *text ? text : "default", allow_weak, out, why, whylen);
}
