/*
 * The window of one message each way (RFC 7296 2.1-2.3): a duplicate of the peer's last request
 * gets the kept answer again; the next request, or the answer to ours, is opened and goes to its
 * handler. Nothing changes before a message has proved authentic; then the path may follow it
 * (2.23).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/names.h"
#include "ike/life.h"
#include "ike/v2/internal.h"

void v2_send(struct ike_sa *sa, const struct ike_kept *k)
{
	for (unsigned i = 0; i < k->n; i++)
		sa->send_rc = ike_send(sa->ike, &sa->local, &sa->remote, sa->marker,
				       ike_kept_nth(k, i));
	sa->spoke_ns = clock_now_ns();
}

/* Bytes a datagram may have when fragments are made; 0: they are not. */
static uint32_t fragment_size(const struct ike_sa *sa)
{
	const struct ike_conn_conf *c = sa->conn->conf;
	uint32_t ip = c->fragment_size ? c->fragment_size : 1280;
	uint32_t head = (sa->remote.addr.ver == 6 ? 40 : 20) + 8 + (sa->marker ? 4 : 0);

	if (!sa->frag || (c->fragmentation != IKE_FRAG_YES && c->fragmentation != IKE_FRAG_FORCE))
		return 0;
	return ip > head + 128 ? ip - head : 128;
}

int v2_seal(struct ike_sa *sa, struct ike_msg *m, struct ike_kept *out)
{
	struct sealed s = { .n = 0 };
	int rc = m->hdr.exchange == IKE2_X_SA_INIT
		     ? seal_clear(m, &s)
		     : seal_message(m, &sa->suite.sk, sa->seal, fragment_size(sa), &s);

	return rc ? rc : ike_kept_take(out, &s);
}

/* Only the first fragment of a duplicate is answered (RFC 7383 2.6.1). */
static bool later_fragment(const uint8_t *p, size_t len, const struct ike_hdr *h)
{
	return h->next == IKE2_SKF && len >= IKE_HDR_LEN + 8 && load_be16(p + IKE_HDR_LEN + 4) != 1;
}

static void repeat_answer(struct ike_sa *sa, const uint8_t *p, size_t len, const struct ike_hdr *h)
{
	if (!sa->answer.n || later_fragment(p, len, h))
		return;
	sa->ike->stats.retransmitted++;
	v2_send(sa, &sa->answer);
}

/* Is the message of a kind and number to be looked at now? */
static bool fresh(struct ike_sa *sa, const uint8_t *p, size_t len, const struct ike_hdr *h)
{
	if (h->flags & IKE2_FLAG_R)
		return sa->task && sa->request.n && h->id == sa->next_send && !sa->over;
	if (h->id + 1 == sa->next_recv) {
		repeat_answer(sa, p, len, h);
		return false;
	}
	return h->id == sa->next_recv && !sa->over;
}

static void log_bad(struct ike_sa *sa, const struct endpoint *remote, const char *why)
{
	sa->ike->stats.malformed++;
	ike_stranger_log(sa->ike, remote, "a message is malformed: %s", why);
	ike_audit(sa->ike, AUDIT_MESSAGE, sa, remote, "%s", why);
}

/* RFC 7296 2.21.3: what was authentic and still is no message cannot be repaired. */
static void authentic_but_bad(struct ike_sa *sa, const struct ike_bad *bad, bool answer)
{
	char why[448];
	uint8_t type = bad->payload;

	sa->ike->stats.malformed++;
	ike_sa_log(sa, LOG_LVL_WARN, "the peer sent a malformed message: %s", bad->why);
	ike_audit(sa->ike,
		  bad->notify == IKE2_UNSUPPORTED_CRITICAL_PAYLOAD ? AUDIT_NEXT_PAYLOAD
								   : AUDIT_MESSAGE,
		  sa, NULL, "%s", bad->why);
	snprintf(why, sizeof(why), "the peer sent a malformed message: %s", bad->why);
	if (answer) {
		ike_sa_kill(sa, sa->counted ? IKE_END_PEER : IKE_END_FAILED, why);
	} else if (bad->notify == IKE2_UNSUPPORTED_CRITICAL_PAYLOAD) {
		v2_answer_error(sa, bad->notify, span_of(&type, 1));
	} else {
		v2_answer_error(sa, bad->notify, span_of(NULL, 0));
		ike_sa_kill(sa, sa->counted ? IKE_END_PEER : IKE_END_FAILED, why);
	}
}

/*
 * Follows an authentic message to where it came from. Before the SA is up the initiator may have
 * floated to port 4500. Afterwards only a NAT moves a peer; who sits behind a NAT himself follows
 * ports only, or anybody could lead him away (RFC 7296 2.23).
 */
static void follow(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		   bool marker)
{
	if (sa->state == IKE_ST_INIT_R) {
		sa->local = *local;
		sa->remote = *remote;
		sa->marker = marker;
		return;
	}
	if (!sa->nat_remote || sa->marker != marker || endpoint_eq(&sa->remote, remote))
		return;
	if (sa->nat_local && !ip_addr_eq(&sa->remote.addr, &remote->addr))
		return;
	ike_sa_move(sa, local, remote);
}

static void forget(struct reassembly **r)
{
	if (*r)
		reassembly_reset(*r);
	free(*r);
	*r = NULL;
}

void v2_fragments_forget(struct ike_sa *sa)
{
	forget(&sa->frags[0]);
	forget(&sa->frags[1]);
}

/* Opens SK or fragments. 0: ike->in is complete and authentic. */
static int open_message(struct ike_sa *sa, uint8_t *p, size_t len, const struct endpoint *remote,
			struct seal_plain *whole)
{
	struct ike *ike = sa->ike;
	struct ike_bad bad = { .notify = 0 };
	struct reassembly **frags = &sa->frags[!!(ike->in->hdr.flags & IKE2_FLAG_R)];

	if (!sa->open || !(ike->in->seen & (IKE_BIT(IKE2_SK) | IKE_BIT(IKE2_SKF)))) {
		ike->stats.not_authentic++;
		return -EBADMSG;
	}
	bool fragment = ike->in->seen & IKE_BIT(IKE2_SKF);
	if (fragment && !ike_sa_strange_take(sa, len))
		return -ENOMEM;
	if (!*frags && fragment && !(*frags = calloc(1, sizeof(**frags))))
		return -ENOMEM;
	int rc = seal_open(ike->in, p, len, sa->open, *frags, whole, &bad);
	if (fragment && rc != -EINPROGRESS) /* nothing more of it is kept than before */
		ike_sa_strange_give(sa, len);
	if (*frags && !(*frags)->part)
		forget(frags);
	if (rc == -EBADMSG && bad.notify) {
		authentic_but_bad(sa, &bad, ike->in->hdr.flags & IKE2_FLAG_R);
	} else if (rc == -EBADMSG) {
		ike->stats.not_authentic++;
		ike_stranger_log(ike, remote, "a message is not authentic");
		ike_audit(ike, AUDIT_MESSAGE, sa, remote, "a message is not authentic");
	}
	return rc;
}

/* No row fits: an exchange or payloads that make no sense now. */
static void no_row(struct ike_sa *sa, const struct ike_msg *m)
{
	char num[IKE_NAME_LEN];
	const char *name = ike_name_or_number(IKE_NAMES_EXCHANGE2, m->hdr.exchange, num);

	ike_sa_log(sa, LOG_LVL_INFO, "%s %s does not fit the state \"%s\"", name,
		   m->hdr.flags & IKE2_FLAG_R ? "answer" : "request",
		   ike_state_name((enum ike_state)sa->state));
	ike_audit(sa->ike, AUDIT_EXCHANGE, sa, NULL, "%s %s does not fit the state \"%s\"", name,
		  m->hdr.flags & IKE2_FLAG_R ? "answer" : "request",
		  ike_state_name((enum ike_state)sa->state));
	sa->ike->stats.unknown++;
	/* before IKE_AUTH is through there is nobody to answer (RFC 7296 2.21.2 would end it) */
	if (!(m->hdr.flags & IKE2_FLAG_R) && sa->counted)
		v2_answer_error(sa, IKE2_INVALID_SYNTAX, span_of(NULL, 0));
}

void v2_input(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
	      bool marker, uint8_t *p, size_t len, const struct ike_hdr *h)
{
	struct ike *ike = sa->ike;
	struct seal_plain whole = { .p = NULL };
	struct ike_bad bad;
	bool clear = h->exchange == IKE2_X_SA_INIT;

	if (!fresh(sa, p, len, h))
		return;
	if (ike_msg_parse(ike->in, span_of(p, len), &bad)) {
		log_bad(sa, remote, bad.why);
		return;
	}
	if (!clear && open_message(sa, p, len, remote, &whole)) {
		seal_plain_free(&whole);
		return;
	}
	if (!clear) {
		sa->heard_ns = clock_now_ns();
		follow(sa, local, remote, marker);
	}
	if (sa->init && clear) {
		/* kept for AUTH; an answer that is not the one is overwritten by the next */
		uint8_t *copy = malloc(len);
		if (copy) {
			memcpy(copy, p, len);
			free(sa->init->got.p);
			sa->init->got = (struct buf){ .p = copy, .len = len };
		}
	}
	const struct v2_edge *e = v2_edge_find(sa, ike->in);
	if (e)
		v2_step_message(sa, e, local, remote, marker);
	else
		no_row(sa, ike->in);
	seal_plain_free(&whole);
	if (!sa->over && sa->counted) {
		ike_sa_idle_arm(sa);
		v2_task_heard(sa);
	}
}
