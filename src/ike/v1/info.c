/*
 * Informational messages, both ways (RFC 2409 5.7, RFC 2408 4.8, 5.14, 5.15): single ones without
 * an answer, each with a message ID and a chain of IVs of its own. Notifies, deletes, and dead peer
 * detection, which is a pair of notifies (RFC 3706).
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/rd.h"
#include "ike/life.h"
#include "ike/msg_rule.h"
#include "ike/names.h"
#include "ike/v1/quick.h"

#define UNKNOWN_TRIES 4 /* so often a message went out before a hint without proof counts */

/* -- out -- */

/* The end of the chain that new ones begin from: of phase 1, as far as it has come. */
static const uint8_t *chain(const struct ike_sa *sa)
{
	return sa->v1->ph ? sa->v1->p1.iv : sa->v1->last_iv;
}

/* Begins a message in ike->out, with its HASH when there are keys. */
static struct ike_msg *begin(struct ike_sa *sa, uint32_t *id)
{
	struct ike_msg *m = sa->ike->out;
	struct ike_payload *h;

	do {
		*id = random_u32();
	} while (*id == 0);
	ike_msg_init(m, 0x10, sa->spi_i, sa->spi_r, IKE1_X_INFO, 0, *id);
	if (!sa->keys.block)
		return m;
	h = ike_msg_add(m, IKE1_HASH, true);
	if (h)
		h->raw.data = span_of(NULL, sa->suite.prf->len);
	return h ? m : NULL;
}

static void finish(struct ike_sa *sa, struct ike_msg *m, uint32_t id)
{
	struct v1_hash h = { .kind = V1_HASH_1, .id = id };
	uint8_t iv[CBC_BLOCK_MAX];
	struct sealed s;
	int rc;

	if (!sa->keys.block) {
		rc = seal_clear(m, &s);
	} else {
		rc = v1_iv_exchange(&sa->suite, chain(sa), id, iv);
		if (rc == 0)
			rc = v1_seal(m, &sa->suite, &sa->keys, &h, iv, 0, 0, &s);
	}
	if (rc)
		return;
	v1_send(sa, &s);
	if (sa->keys.block)
		v1_protected(sa, s.off[s.n]);
	sealed_free(&s);
}

static struct span cookies(struct ike_sa *sa)
{
	uint8_t *p = ike_arena(sa->ike, 16);

	if (!p)
		return span_of(NULL, 0);
	memcpy(p, sa->spi_i, 8);
	memcpy(p + 8, sa->spi_r, 8);
	return span_of(p, 16);
}

void v1_notify(struct ike_sa *sa, uint8_t proto, struct span spi, uint16_t type, struct span data)
{
	uint32_t id;
	char num[IKE_NAME_LEN];
	struct span s = spi.len ? ike_arena_copy(sa->ike, spi) : cookies(sa);
	struct span d = ike_arena_copy(sa->ike, data);
	struct ike_msg *m = begin(sa, &id);
	struct ike_payload *p = m ? ike_msg_add(m, IKE1_N, sa->keys.block != NULL) : NULL;

	if (!p)
		return;
	p->notify.doi = IKE1_DOI_IPSEC;
	p->notify.proto = proto;
	p->notify.type = type;
	p->notify.spi = s;
	p->notify.data = d.p ? d : span_of("", 0);
	ike_sa_log(sa, LOG_LVL_DEBUG, "tells the peer %s",
		   ike_name_or_number(IKE_NAMES_NOTIFY1, type, num));
	finish(sa, m, id);
}

void v1_notify_stranger(struct ike *ike, const struct endpoint *local,
			const struct endpoint *remote, bool marker, const struct ike_hdr *h,
			uint16_t type)
{
	uint8_t spi[16], buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	uint32_t more;

	/* never an answer to what may be one, or to who could not tell what it is about */
	if (!type || h->exchange == IKE1_X_INFO || load_be64(h->spi_i) == 0 ||
	    !log_limit_pass(&ike->spi_limit, &more))
		return;
	memcpy(spi, h->spi_i, 8);
	memcpy(spi + 8, h->spi_r, 8);
	struct ike_msg *m = ike->out;
	ike_msg_init(m, 0x10, h->spi_i, h->spi_r, IKE1_X_INFO, 0, random_u32() | 1);
	struct ike_payload *p = ike_msg_add(m, IKE1_N, false);
	p->notify.doi = IKE1_DOI_IPSEC;
	p->notify.proto = IKE_PROTO_IKE;
	p->notify.type = type;
	p->notify.spi = span_of(spi, 16);
	p->notify.data = span_of("", 0);
	if (ike_msg_write(m, &w) == 0)
		(void)ike_send(ike, local, remote, marker, wr_view(&w));
}

void v1_connected(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const struct child_nego *c = x->child;
	struct v1_hash h = { .kind = V1_HASH_1, .id = x->id };
	struct ike_msg *m = sa->ike->out;
	uint8_t iv[CBC_BLOCK_MAX], be[4];
	struct sealed s = { .n = 0 };

	ike_msg_init(m, 0x10, sa->spi_i, sa->spi_r, IKE1_X_INFO, 0, x->id);
	struct ike_payload *hash = ike_msg_add(m, IKE1_HASH, true);
	struct ike_payload *p = hash ? ike_msg_add(m, IKE1_N, true) : NULL;
	if (!p || !c)
		return;
	store_be32(be, c->spi_in);
	hash->raw.data = span_of(NULL, sa->suite.prf->len);
	p->notify.doi = IKE1_DOI_IPSEC;
	p->notify.proto = c->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
	p->notify.type = IKE1_CONNECTED;
	p->notify.spi = span_of(be, 4);
	p->notify.data = span_of("", 0);
	if (v1_iv_exchange(&sa->suite, chain(sa), x->id, iv) ||
	    v1_seal(m, &sa->suite, &sa->keys, &h, iv, 0, 0, &s))
		return;
	v1_send(sa, &s);
	v1_protected(sa, s.off[s.n]);
	if (x->asked) { /* its last message is another one */
		sealed_free(&s);
		return;
	}
	sealed_free(&x->sent);
	x->sent = s;
}

/* A delete is of one protocol: of a bundle there are two. */
static int add_ah_delete(struct ike_sa *sa, struct ike_msg *m, const struct ike_child *c)
{
	struct ike_payload *p = ike_msg_add(m, IKE1_D, true);
	uint8_t *spi = ike_arena(sa->ike, 4);

	if (!p || !spi)
		return -ENOSPC;
	store_be32(spi, c->ah_spi_in);
	p->del.doi = IKE1_DOI_IPSEC;
	p->del.n = 1;
	p->del.proto = IKE_PROTO_AH;
	p->del.spi_size = 4;
	p->del.spis = span_of(spi, 4);
	return 0;
}

void v1_delete_notice(struct ike_sa *sa, const struct ike_child *c)
{
	uint32_t id;
	struct ike_msg *m;
	struct ike_payload *p;
	uint8_t *spi;

	if (!sa->keys.block)
		return;
	sa->ike->arena_used = 0;
	spi = ike_arena(sa->ike, 4);
	m = begin(sa, &id);
	p = m ? ike_msg_add(m, IKE1_D, true) : NULL;
	if (!p || !spi)
		return;
	if (c && c->ah_spi_in && add_ah_delete(sa, m, c))
		return;
	p->del.doi = IKE1_DOI_IPSEC;
	p->del.n = 1;
	if (c) {
		store_be32(spi, c->spi_in);
		p->del.proto = c->proto == SA_AH ? IKE_PROTO_AH : IKE_PROTO_ESP;
		p->del.spi_size = 4;
		p->del.spis = span_of(spi, 4);
	} else {
		p->del.proto = IKE_PROTO_IKE;
		p->del.spi_size = 16;
		p->del.spis = cookies(sa);
	}
	finish(sa, m, id);
}

/* -- dead peer detection -- */

static void dpd_send(struct ike_sa *sa, uint16_t type, uint32_t number)
{
	uint8_t be[4];

	store_be32(be, number);
	v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), type, span_of(be, 4));
}

void v1_dpd_ask(struct ike_sa *sa, uint64_t heard)
{
	struct v1_sa *v = sa->v1;
	uint64_t now = clock_now_ns(), timeout = sa->conn->conf->dpd_timeout_ns;
	char why[256], peer[ENDPOINT_STRLEN];

	if (!(v->peers & V1_VID(IKE_VENDOR_DPD)) || v->keyless)
		return; /* it does not know the question */
	if (!timeout)
		timeout = 3 * sa->conn->conf->dpd_delay_ns;
	if (!v->dpd_since_ns || heard > v->dpd_since_ns) {
		v->dpd_since_ns = now;
		if (!v->dpd_out)
			v->dpd_out = random_u32() >> 1;
	} else if (now - v->dpd_since_ns >= timeout) {
		snprintf(why, sizeof(why), "the peer %s does not answer (dead peer detection)",
			 endpoint_format(&sa->remote, peer));
		ike_sa_kill(sa, IKE_END_DEAD, why);
		return;
	}
	sa->ike->arena_used = 0;
	dpd_send(sa, IKE1_R_U_THERE, ++v->dpd_out);
}

/* RFC 3706 6.: numbers go up; an old question is a replay. */
static void dpd_question(struct ike_sa *sa, const struct ike_payload *p)
{
	struct v1_sa *v = sa->v1;
	uint32_t n;

	if (p->notify.data.len != 4)
		return;
	n = load_be32(p->notify.data.p);
	if (v->dpd_seen && n <= v->dpd_in)
		return;
	v->dpd_seen = true;
	v->dpd_in = n;
	dpd_send(sa, IKE1_R_U_THERE_ACK, n);
}

/* -- in -- */

/* Our Quick Mode that an error notify is about: by the SPI, or the only one that waits. */
static struct v1_exchange *blamed(struct ike_sa *sa, const struct ike_payload *p)
{
	struct v1_exchange *found = NULL;
	unsigned n = 0;

	list_for_each (l, &sa->v1->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		if (!x->asked || x->n != 1 || x->ended || !x->child)
			continue;
		if (p->notify.spi.len == 4 && load_be32(p->notify.spi.p) == x->child->spi_in)
			return x;
		found = x;
		n++;
	}
	return n == 1 ? found : NULL;
}

static void say_refusal(const struct v1_exchange *x, uint16_t type, char *why, size_t len)
{
	const struct child_nego *c = x->child;
	char num[IKE_NAME_LEN], l[TS_STRLEN], r[TS_STRLEN], prop[192];

	if (type == IKE1_NO_PROPOSAL_CHOSEN)
		snprintf(why, len,
			 "the peer accepts none of our proposals (%s...; NO-PROPOSAL-CHOSEN): make "
			 "esp_proposals here and at the peer have one in common, and mode the same",
			 proposal_format(&c->conf->proposals.p[0], prop, sizeof(prop)));
	else if (type == IKE1_INVALID_ID_INFORMATION)
		snprintf(why, len,
			 "the peer has no child for %s === %s (INVALID-ID-INFORMATION): make "
			 "local_ts here and remote_ts there the same, and the other way round",
			 ts_format(&c->local_ts.ts[0], l), ts_format(&c->remote_ts.ts[0], r));
	else
		snprintf(why, len, "the peer refused it: %s",
			 ike_name_or_number(IKE_NAMES_NOTIFY1, type, num));
}

/* An error under the SA's protection. */
static void error_notified(struct ike_sa *sa, const struct ike_payload *p)
{
	struct v1_exchange *x = blamed(sa, p);
	char num[IKE_NAME_LEN], why[512], me[IDENT_STRLEN];
	const char *name = ike_name_or_number(IKE_NAMES_NOTIFY1, p->notify.type, num);

	ike_sa_log(sa, LOG_LVL_INFO, "the peer reports an error: %s", name);
	ike_audit(sa->ike, AUDIT_NOTIFICATION, sa, NULL, "%s", name);
	if (!sa->counted) {
		snprintf(why, sizeof(why),
			 "the peer refused us (%s): it knows no connection for %s, or our proof is "
			 "not what it expects; its log says which",
			 name, ident_format(&sa->local_id, me, sizeof(me)));
		ike_sa_kill(sa, IKE_END_FAILED, why);
		return;
	}
	if (!x || sa->v1->busy == x)
		return;
	say_refusal(x, p->notify.type, why, sizeof(why));
	v1_quick_failed(x, why);
	if (!sa->over)
		v1_exchange_free(x);
}

static void lifetime_notified(struct ike_sa *sa, const struct ike_payload *p)
{
	struct v1_life life;
	struct ike_child *c;

	/* the SPI of phase 1 is both cookies; some leave it out */
	if (p->notify.proto == IKE_PROTO_IKE) {
		if (p->notify.spi.len == 0 || span_eq(p->notify.spi, cookies(sa)))
			v1_phase1_limit(sa, p);
		return;
	}
	if (p->notify.spi.len != 4 || !v1_life_read(p->notify.data, false, &life))
		return;
	c = ike_child_by_spi(sa, p->notify.proto == IKE_PROTO_AH ? SA_AH : SA_ESP,
			     load_be32(p->notify.spi.p));
	if (c)
		v1_quick_limit(c, &life);
}

static void notified(struct ike_sa *sa, const struct ike_payload *p)
{
	char num[IKE_NAME_LEN];

	switch (p->notify.type) {
	case IKE1_R_U_THERE:
		dpd_question(sa, p);
		return;
	case IKE1_R_U_THERE_ACK:
		return;            /* that it came is all: heard_ns */
	case IKE1_INITIAL_CONTACT: /* some send it behind phase 1 */
		sa->v1->contact = true;
		if (!sa->counted) /* XAUTH has yet to say whose it is */
			return;
		for (struct ike_sa *t; (t = ike_sa_twin(sa, NULL));)
			ike_sa_kill(t, IKE_END_REPLACED,
				    "the peer began anew: it knows nothing of this SA");
		return;
	case IKE1_RESPONDER_LIFETIME:
		lifetime_notified(sa, p);
		return;
	default:
		break;
	}
	if (p->notify.type < IKE1_CONNECTED)
		error_notified(sa, p);
	else
		ike_sa_log(sa, LOG_LVL_DEBUG, "the peer tells %s",
			   ike_name_or_number(IKE_NAMES_NOTIFY1, p->notify.type, num));
}

/* A child may have gone over to a newer phase 1 with the same peer. */
static struct ike_child *child_of(const struct ike_sa *sa, uint8_t proto, uint32_t spi)
{
	struct ike_child *c = ike_child_by_spi(sa, proto, spi);

	for (struct ike_sa *t = NULL; !c && (t = ike_sa_twin(sa, t));)
		c = ike_child_by_spi(t, proto, spi);
	return c;
}

/* One that we still have in force goes; should only one be left that we were not sure of, the peer
 * has meant that. */
static void close_deleted(struct ike_child *c)
{
	struct ike_child *twin = v1_child_twin(c);

	if (twin && c->state == IKE_CHILD_UP) {
		twin->unsure = false;
		ike_child_revive(twin);
	}
	if (c->state == IKE_CHILD_REKEYED || twin)
		ike_child_close(c, IKE_END_REPLACED, NULL);
	else
		ike_child_close(c, IKE_END_PEER, "deleted by the peer");
}

static void deleted(struct ike_sa *sa, const struct ike_payload *p)
{
	struct rd r = rd_of(p->del.spis.p, p->del.spis.len);

	if (p->del.proto == IKE_PROTO_IKE) {
		struct span own = cookies(sa);
		for (unsigned i = 0; i < p->del.n; i++)
			if (span_eq(rd_span(&r, 16), own)) {
				v1_peer_deleted(sa);
				return;
			}
		return;
	}
	for (unsigned i = 0; i < p->del.n && !sa->over; i++) {
		uint32_t spi = rd_be32(&r);
		struct ike_child *c =
		    child_of(sa, p->del.proto == IKE_PROTO_AH ? SA_AH : SA_ESP, spi);
		if (!c) {
			ike_sa_log(sa, LOG_LVL_DEBUG,
				   "the peer deletes SPI %08x, which is not here", spi);
			sa->v1->gone[sa->v1->n_gone++ % V1_GONE_MAX] = spi;
			continue;
		}
		close_deleted(c);
	}
}

/*
 * A peer that does not answer a Quick Mode, and somebody says that it does not know the cookies.
 * Nobody has proved that, so nothing ends; but a new phase 1 beside this one does no harm.
 */
static void unknown_there(struct ike_sa *sa, const struct ike_payload *n)
{
	struct v1_sa *v = sa->v1;

	if (n->notify.type != IKE1_INVALID_COOKIE || v->forgotten || sa->replaced ||
	    sa->state != IKE_ST_UP)
		return;
	list_for_each (l, &v->exchanges) {
		const struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		if (!x->asked || x->ended || x->exchange != IKE1_X_QUICK ||
		    x->times < UNKNOWN_TRIES)
			continue;
		ike_sa_log(sa, LOG_LVL_NOTICE,
			   "the peer seems to have lost this IKE SA (INVALID-COOKIE)");
		v->forgotten = true;
		v1_sa_rekey(sa, 0);
		return;
	}
}

/* A refusal of our phase 1: it is only remembered. */
static void refused_there(struct ike_sa *sa, const struct ike_payload *p, const char *name)
{
	char text[512], offer[256];

	if (!sa->initiator || !sa->v1->ph || sa->keys.block || sa->v1->proved)
		return;
	/* what it said before is the reason why it does not know the cookies any more */
	if (p->notify.type == IKE1_INVALID_COOKIE && sa->v1->ph->refusal[0])
		return;
	if (p->notify.type == IKE1_NO_PROPOSAL_CHOSEN && sa->v1->p1.n > 1)
		snprintf(text, sizeof(text),
			 "the peer refused phase 1 after it had taken a proposal of connection %s "
			 "(NO-PROPOSAL-CHOSEN): it may have no secret for our address; its log says",
			 sa->conn->conf->name);
	else if (p->notify.type == IKE1_NO_PROPOSAL_CHOSEN)
		snprintf(text, sizeof(text),
			 "the peer accepts none of the IKE proposals of connection %s "
			 "(%s...): make `proposals` here and at the peer have one in common, and "
			 "auth and auth2 the same (it may also know no connection for our address%s)",
			 sa->conn->conf->name,
			 proposal_format(&sa->conn->conf->proposals.p[0], offer, sizeof(offer)),
			 sa->v1->p1.exchange == IKE1_X_AGGRESSIVE
			     ? " and id, or not take Aggressive Mode"
			     : "");
	else if (p->notify.type == IKE1_UNSUPPORTED_EXCHANGE_TYPE)
		snprintf(text, sizeof(text),
			 "the peer does not take %s (%s): make exchange and aggressive here what they "
			 "are there",
			 v1_exchange_name(sa->v1->p1.exchange), name);
	else
		snprintf(text, sizeof(text), "the peer refused phase 1: %s", name);
	(void)v1_doubt(&sa->v1->p1, text);
}

/* What nothing protects. Anybody may have sent it: a delete has no effect (5.15), an error is told
 * (5.14) and believed when nothing better comes. */
static void in_the_clear(struct ike_sa *sa, const struct ike_msg *m, const struct endpoint *remote)
{
	char num[IKE_NAME_LEN];
	struct ike_bad bad;

	for (unsigned i = 0; i < m->n_payloads; i++) {
		const struct ike_payload *p = &m->payload[i];
		if (p->type != IKE1_N && p->type != IKE1_D)
			continue;
		if (v1_check_payload(p, &bad)) {
			v1_audit_clear(sa->ike, sa, remote, &bad);
			continue;
		}
		if (p->type != IKE1_N || p->notify.type >= IKE1_CONNECTED)
			continue;
		const char *name = ike_name_or_number(IKE_NAMES_NOTIFY1, p->notify.type, num);
		ike_stranger_log(sa->ike, remote, "reports an error, which nothing protects: %s",
				 name);
		ike_audit(sa->ike, AUDIT_NOTIFICATION, sa, remote, "%s (not protected)", name);
		if (sa->counted)
			unknown_there(sa, p);
		refused_there(sa, p, name);
	}
}

static int open_message(struct ike_sa *sa, uint8_t *p, struct ike_bad *bad)
{
	struct ike_msg *m = sa->ike->in;
	struct v1_hash h = { .kind = V1_HASH_1, .id = m->hdr.id };
	uint8_t iv[CBC_BLOCK_MAX];

	if (!sa->keys.block || v1_iv_exchange(&sa->suite, chain(sa), m->hdr.id, iv))
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "header: encrypted, but there are no keys yet");
	int rc = v1_open(m, p, &sa->suite, &sa->keys, &h, iv, bad);
	if (rc == 0)
		v1_protected(sa, m->hdr.length);
	return rc;
}

/* The Quick Mode that this CONNECTED is for, which has its message ID; NULL: it is none. */
static struct v1_exchange *waiting(struct ike_sa *sa, const struct ike_msg *m)
{
	if (!ike_msg_notify(m, IKE1_CONNECTED))
		return NULL;
	list_for_each (l, &sa->v1->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		/* one of ours has sent its last message */
		if (x->commit && !x->ended && x->id == m->hdr.id && x->n == 3)
			return x;
	}
	return NULL;
}

void v1_info(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	     bool marker, uint8_t *p)
{
	struct ike *ike = sa->ike;
	struct ike_msg *m = ike->in;
	struct ike_bad bad;

	if (!m->cipher.len) {
		in_the_clear(sa, m, remote);
		return;
	}
	if (open_message(sa, p, &bad)) {
		ike->stats.not_authentic++;
		v1_other_secret(sa, &bad);
		v1_audit(ike, sa, remote, &bad);
		return;
	}
	struct v1_exchange *x = waiting(sa, m);
	if (x) {
		v1_quick_connected(x);
		return;
	}
	if (v1_id_used(sa, m->hdr.id) || sa->over)
		return; /* played back */
	v1_follow(sa, local, remote, marker);
	sa->heard_ns = clock_now_ns();
	sa->v1->dpd_since_ns = 0;
	ike->arena_used = 0;
	if (v1_hooks_parse(sa, 1, m, &bad)) {
		v1_audit(ike, sa, remote, &bad);
		return;
	}
	for (unsigned i = 0; i < m->n_payloads && !sa->over; i++) {
		const struct ike_payload *pl = &m->payload[i];
		if (v1_check_payload(pl, &bad))
			v1_audit(ike, sa, remote, &bad);
		else if (pl->type == IKE1_N)
			notified(sa, pl);
		else if (pl->type == IKE1_D)
			deleted(sa, pl);
	}
	if (!sa->over && sa->counted)
		ike_sa_idle_arm(sa);
}
