/*
 * Which SA and which exchange a datagram is for. Cookies find the SA; first messages of phase 1 go
 * to first.c; fragments are put together; while a job of the SA is in flight its datagrams wait, a
 * few. A message that was taken before is answered with what was answered then. RFC 2408 5.1, 5.2.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "crypto/hash.h"
#include "ike/life.h"
#include "ike/msg_rule.h"
#include "ike/v1/v1.h"

#define STRANGER_FRAGS 16384u /* bytes of fragments before a peer has proved itself */

static void tell(struct ike *ike, const struct ike_sa *sa, const struct endpoint *remote,
		 const struct ike_bad *bad, bool is_peer)
{
	const struct v1_fault *f = v1_fault_of(bad);

	ike->stats.malformed++;
	const char *what = audit_info(f->event)->what;
	if (is_peer)
		ike_sa_log(sa, LOG_LVL_INFO, "%s (RFC 2408 %s): %s", what, f->section, bad->why);
	else
		ike_stranger_log(ike, remote, "%s (RFC 2408 %s): %s", what, f->section, bad->why);
	ike_audit(ike, f->event, sa, remote, "%s", bad->why);
	if (sa && sa->v1)
		sa->v1->told = bad->notify;
}

void v1_audit(struct ike *ike, const struct ike_sa *sa, const struct endpoint *remote,
	      const struct ike_bad *bad)
{
	tell(ike, sa, remote, bad, sa && sa->authenticated);
}

void v1_audit_clear(struct ike *ike, const struct ike_sa *sa, const struct endpoint *remote,
		    const struct ike_bad *bad)
{
	tell(ike, sa, remote, bad, false);
}

void v1_discard(struct v1_exchange *x, const struct ike_bad *bad)
{
	struct v1_phase1 *ph = x->sa->v1->ph;

	v1_audit(x->ike, x->sa, &x->remote, bad);
	if (ph && !ph->fault && bad->payload != IKE1_N && bad->payload != IKE1_D)
		ph->fault = bad->notify;
}

bool v1_id_used(struct ike_sa *sa, uint32_t id)
{
	struct v1_sa *v = sa->v1;

	for (unsigned i = 0; i < v->n_used; i++)
		if (v->used[i] == id)
			return true;
	if (v->n_used == V1_USED_MAX)
		return true;
	if (v->n_used == v->room_used) {
		unsigned room = v->room_used ? 2 * v->room_used : 16;
		uint32_t *p = realloc(v->used, room * sizeof(*p));
		if (!p)
			return true;
		v->used = p;
		v->room_used = room;
	}
	v->used[v->n_used++] = id;
	if (v->n_used == V1_USED_MAX / 2)
		v1_sa_rekey(sa, 0);
	return false;
}

static bool phase1(const struct ike_hdr *h)
{
	return v1_is_phase1(h->exchange);
}

/* The exchanges that are off unless some connection has them. */
static unsigned rare(const struct ike *ike)
{
	unsigned set = 0;

	list_for_each (l, &ike->conns) {
		const struct ike_conn_conf *c = list_entry(l, struct ike_conn, link)->conf;
		if (c->version != 2)
			set |= 1u << v1_exchange_of(c);
	}
	return set;
}

static void hold(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 bool marker, const uint8_t *p, size_t len, const struct ike_hdr *h)
{
	struct v1_sa *v = sa->v1;

	if (v->n_held == V1_HELD_MAX || !ike_sa_strange_take(sa, len))
		return;
	struct v1_held *d = malloc(sizeof(*d) + len);
	if (!d)
		return;
	*d = (struct v1_held){
		.hdr = *h, .local = *local, .remote = *remote, .marker = marker, .len = len
	};
	memcpy(d->bytes, p, len);
	list_push_back(&v->held, &d->link);
	v->n_held++;
}

/* The exchange of a message ID; a first message of the peer's begins one. NULL: none. */
static struct v1_exchange *exchange_of(struct ike_sa *sa, const struct ike_hdr *h)
{
	struct v1_sa *v = sa->v1;
	unsigned theirs = 0;

	if (phase1(h))
		return v->p1.exchange == h->exchange ? &v->p1 : NULL;
	list_for_each (l, &v->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		theirs += !x->asked && !x->ended;
		if (x->id == h->id && x->n)
			return x->exchange == h->exchange ? x : NULL;
	}
	if (sa->state != IKE_ST_UP && sa->state != IKE_ST_REKEYED)
		return NULL;
	/* before XAUTH nothing is begun but by the gateway, and nothing but XAUTH */
	if (v->stage == V1_STAGE_XAUTH && h->exchange != IKE1_X_TRANSACTION)
		return NULL;
	if (v->stage == V1_STAGE_XAUTH && !v1_xauth_client(sa))
		return NULL;
	if (theirs >= V1_OPEN_MAX || v1_id_used(sa, h->id) || sa->over)
		return NULL;
	return v1_exchange_new(sa, h->exchange, false, h->id);
}

void v1_follow(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	       bool marker)
{
	if (!sa->nat_remote || sa->marker != marker || endpoint_eq(&sa->remote, remote))
		return;
	if (sa->nat_local && !ip_addr_eq(&sa->remote.addr, &remote->addr))
		return;
	ike_sa_move(sa, local, remote);
}

/* Where the peer is now: floats to port 4500 in phase 1, and behind a NAT whenever that changes. */
static void follow(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	if (x == &sa->v1->p1 && !sa->initiator && !sa->counted) {
		sa->local = x->local;
		sa->remote = x->remote;
		sa->marker = x->marker;
		return;
	}
	v1_follow(sa, &x->local, &x->remote, x->marker);
}

/* Decrypts what is encrypted and checks its hash. 0: ike->in is complete. */
static int open_message(struct v1_exchange *x, const struct v1_edge *e, uint8_t *p,
			struct ike_bad *bad)
{
	struct ike_sa *sa = x->sa;
	struct ike_msg *m = x->ike->in;
	struct v1_hash h = { .kind = (enum v1_hash_kind)e->hash, .id = x->id };
	bool sealed = m->cipher.len > 0;

	memcpy(x->iv_was, x->iv, sizeof(x->iv));
	if (sealed ? e->sealed == V1_CLEAR : e->sealed == V1_SEALED)
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0, "header: %s %s be encrypted", e->name,
				  sealed ? "must not" : "must");
	if (!sealed)
		return 0;
	if (!sa->keys.block)
		return ike_refuse(bad, IKE1_INVALID_FLAGS, 0,
				  "header: encrypted, but there are no keys yet");
	if (e->hash == V1_HASH_2 || e->hash == V1_HASH_3) {
		h.ni = span_of(x->child->ni, x->child->ni_len);
		h.nr = span_of(x->child->nr, x->child->nr_len);
	}
	int rc = v1_open(m, p, &sa->suite, &sa->keys, &h, x->iv, bad);
	if (rc == 0)
		v1_protected(sa, m->hdr.length);
	else
		v1_other_secret(sa, bad);
	return rc;
}

/* Payloads as the row wants them; bad certificates and requests only count as not there. */
static int check_payloads(struct v1_exchange *x, const struct v1_edge *e, struct ike_bad *bad)
{
	const struct ike_msg *m = x->ike->in;
	int rc = v1_check_row(e, m->seen, bad);

	if (rc)
		return rc;
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (v1_check_payload(&m->payload[i], bad))
			v1_discard(x, bad);
	return 0;
}

static void repeat(struct v1_exchange *x)
{
	if (!x->sent.n)
		return;
	x->ike->stats.retransmitted++;
	v1_send(x->sa, &x->sent);
}

/* Tells the peer what was wrong, when it is one and the rule has a notify. */
static void tell_fault(struct v1_exchange *x, const struct ike_bad *bad)
{
	struct ike_sa *sa = x->sa;
	uint32_t more;

	/* to who is not authenticated seldom: whoever guesses cookies could make us talk */
	if (bad->notify && (sa->authenticated || log_limit_pass(&x->ike->spi_limit, &more)))
		v1_notify(sa, IKE_PROTO_IKE, span_of(NULL, 0), bad->notify, span_of(NULL, 0));
}

static void exchange_input(struct v1_exchange *x, uint8_t *p, size_t len)
{
	struct ike_sa *sa = x->sa;
	struct span whole = span_of(p, len);
	struct ike_bad bad;
	uint8_t hash[HASH_LEN_MAX];

	if (hash_compute(HASH_SHA2_256, &whole, 1, hash))
		return;
	if (x->any_taken && memcmp(hash, x->taken, sizeof(x->taken)) == 0) {
		repeat(x);
		return;
	}
	const struct v1_edge *e = v1_edge_find(x, (uint8_t)(x->n + 1));
	/* odd messages come from who began the exchange */
	if (!e || x->ended || (x->n % 2 == 0) == x->asked)
		return;
	memcpy(x->taking, hash, sizeof(x->taking));
	int rc = ike_msg_parse(x->ike->in, whole, &bad);
	if (rc == 0)
		rc = open_message(x, e, p, &bad);
	if (rc == 0)
		rc = check_payloads(x, e, &bad);
	if (rc == 0)
		rc = v1_hooks_parse(sa, e->number, x->ike->in, &bad);
	if (rc) {
		memcpy(x->iv, x->iv_was, sizeof(x->iv));
		v1_audit(x->ike, sa, &x->remote, &bad);
		tell_fault(x, &bad);
		if (x->n == 0 && x != &sa->v1->p1)
			v1_exchange_free(x);
		return;
	}
	if (e->hash != V1_HASH_NONE)
		sa->heard_ns = clock_now_ns();
	if (e->sealed != V1_CLEAR || !sa->counted)
		follow(x);
	v1_step_message(x, e);
}

/* A fragment: when it completes a message, that goes on as if it had come whole. */
static void fragment(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		     bool marker, const uint8_t *p, size_t len)
{
	struct ike *ike = sa->ike;
	struct buf whole;
	struct ike_bad bad;
	struct ike_hdr h;

	/* what a stranger may make us keep: little, and as responder nothing before there are keys
	 */
	if (!sa->authenticated &&
	    ((!sa->initiator && !sa->keys.block) || sa->v1->frags.bytes + len > STRANGER_FRAGS)) {
		v1_frags_reset(&sa->v1->frags);
		return;
	}
	int rc = ike_msg_parse(ike->in, span_of(p, len), &bad);
	const struct ike_payload *f = rc == 0 ? ike_msg_find(ike->in, IKE1_FRAGMENT, NULL) : NULL;
	if (rc == 0 && !f)
		return;
	if (rc == 0)
		rc = v1_frag_add(&sa->v1->frags, &ike->in->hdr, f, &whole, &bad);
	if (rc == -EBADMSG)
		v1_audit(ike, sa, remote, &bad);
	if (rc)
		return;
	if (ike_hdr_parse(&h, span_of(whole.p, whole.len), &bad) == 0 &&
	    v1_check_header(&h, rare(ike), &bad) == 0)
		v1_input(sa, local, remote, marker, whole.p, whole.len, &h);
	free(whole.p);
}

/* It brings back a cookie that was made for somebody else (2.5.3). */
static void stray_cookie(struct ike_sa *sa, const struct endpoint *local,
			 const struct endpoint *remote, bool marker, const struct ike_hdr *h)
{
	struct ike_bad bad;

	sa->ike->stats.invalid_spi++;
	ike_refuse(&bad, IKE1_INVALID_COOKIE, 0,
		   "header: the responder's cookie was made for another address or port");
	v1_audit(sa->ike, sa, remote, &bad);
	v1_notify_stranger(sa->ike, local, remote, marker, h, bad.notify);
}

void v1_input(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h)
{
	struct v1_exchange *x;

	if (h->next == IKE1_FRAGMENT) {
		fragment(sa, local, remote, marker, p, len);
		return;
	}
	if (h->exchange == IKE1_X_INFO) {
		struct ike_bad bad;
		if (ike_msg_parse(sa->ike->in, span_of(p, len), &bad))
			v1_audit(sa->ike, sa, remote, &bad);
		else
			v1_info(sa, local, remote, marker, p);
		return;
	}
	if (sa->v1->keyless || (!phase1(h) && !sa->keys.block))
		return;
	x = exchange_of(sa, h);
	if (!x) {
		sa->ike->stats.unknown++;
		return;
	}
	if (x == &sa->v1->p1 && !sa->initiator && x->n == 2 && !v1_cookie_ours(sa, local, remote)) {
		stray_cookie(sa, local, remote, marker, h);
		return;
	}
	x->local = *local;
	x->remote = *remote;
	x->marker = marker;
	exchange_input(x, p, len);
	if (!sa->over && sa->counted)
		ike_sa_idle_arm(sa);
}

static bool all_zero(const uint8_t *spi)
{
	return load_be64(spi) == 0;
}

/* The SA whose cookie of ours is in the header; the peer's must fit, or not be known yet. */
static struct ike_sa *sa_of(const struct ike *ike, const struct ike_hdr *h)
{
	struct ike_sa *sa = ike_sa_by_spi(ike, h->spi_i);

	if (sa && sa->major == 1 && sa->initiator)
		/* a refusal of the first message may come without a cookie of the peer */
		return all_zero(sa->spi_r) || memcmp(sa->spi_r, h->spi_r, 8) == 0 ||
			       (all_zero(h->spi_r) && h->exchange == IKE1_X_INFO)
			   ? sa
			   : NULL;
	sa = all_zero(h->spi_r) ? NULL : ike_sa_by_spi(ike, h->spi_r);
	if (sa && sa->major == 1 && !sa->initiator && memcmp(sa->spi_i, h->spi_i, 8) == 0)
		return sa;
	return NULL;
}

/* Does any connection speak IKEv1? */
static bool spoken(const struct ike *ike)
{
	list_for_each (l, &ike->conns)
		if (list_entry(l, struct ike_conn, link)->conf->version != 2)
			return true;
	return false;
}

void v1_bad_header(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		   bool marker, const struct ike_hdr *h, const struct ike_bad *bad)
{
	v1_audit(ike, NULL, remote, bad);
	if (spoken(ike))
		v1_notify_stranger(ike, local, remote, marker, h, bad->notify);
}

void v1_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		bool marker, uint8_t *p, size_t len, const struct ike_hdr *h)
{
	struct ike_bad bad;
	char why[320];

	if (!spoken(ike)) {
		ike->stats.unknown++;
		ike_stranger_log(ike, remote, "an IKEv1 message: %s",
				 ike_words_no_conn(ike, 1, &local->addr, &remote->addr, why,
						   sizeof(why)));
		return;
	}
	if (v1_check_header(h, rare(ike), &bad)) {
		v1_bad_header(ike, local, remote, marker, h, &bad);
		return;
	}
	if (phase1(h) && all_zero(h->spi_r)) {
		v1_first(ike, local, remote, marker, p, len, h);
		return;
	}
	struct ike_sa *sa = sa_of(ike, h);
	if (!sa || sa->over) {
		ike->stats.invalid_spi++;
		if (!sa) {
			ike_refuse(&bad, IKE1_INVALID_COOKIE, 0,
				   "header: cookies of no SA that exists (any more)");
			v1_audit(ike, NULL, remote, &bad);
			v1_notify_stranger(ike, local, remote, marker, h, IKE1_INVALID_COOKIE);
		}
		return;
	}
	if (sa->v1->busy)
		hold(sa, local, remote, marker, p, len, h);
	else
		v1_input(sa, local, remote, marker, p, len, h);
	v1_pump(sa);
}
