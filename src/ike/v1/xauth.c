/*
 * XAUTH (draft-beaulieu-ike-xauth-02; hybrid: draft-ietf-ipsec-isakmp-hybrid-auth-05): behind phase
 * 1 the gateway asks for a user name and a password, the client answers, the gateway says whether
 * they are right, the client acknowledges. Each question with its answer is a Transaction exchange
 * of its own. Until that is through the SA is not in force: no child, no Mode Config.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "ike/v1/v1.h"

#define NAME_MAX_LEN 255
#define WAIT_NS      (180 * NS_PER_S) /* how long the gateway may take to ask */
#define GENERIC      0               /* XAUTH_TYPE */
#define STATUS_FAIL  0
#define STATUS_OK    1

/* What a password of somebody unknown is tried against, so that it takes as long. */
#define NOBODYS_HASH                                                                               \
	"$argon2id$v=19$m=65536,t=2,p=1$KCdM4BIhwZN1dYy2ZmOYHw$"                                   \
	"v1cHzUJg9rPKHYT7pBl0Fqq0uX0kN4ooVn3VbLbI2ds"

bool v1_xauth_client(const struct ike_sa *sa)
{
	bool of_initiator;

	return sa->v1->ph && v1_method_xauth(sa->v1->ph->offer.method, &of_initiator) &&
	       of_initiator == sa->initiator;
}

static void wait_for(struct ike_sa *sa, uint64_t ns)
{
	ike_timer_set(&sa->ike->timers, &sa->t_again, clock_now_ns() + ns, v1_sa_again_fire);
}

static bool ask(struct ike_sa *sa, uint8_t what)
{
	struct v1_exchange *x = v1_exchange_new(sa, IKE1_X_TRANSACTION, true, 0);

	if (!x) {
		v1_sa_delete(sa, IKE_END_FAILED, 0);
		return false;
	}
	x->cfg = what;
	v1_exchange_start(x);
	return true;
}

bool v1_xauth_begin(struct ike_sa *sa)
{
	bool of_initiator;

	if (!v1_method_xauth(sa->v1->ph->offer.method, &of_initiator))
		return false;
	sa->v1->stage = V1_STAGE_XAUTH;
	if (v1_xauth_client(sa))
		wait_for(sa, WAIT_NS);
	else
		(void)ask(sa, V1_CFG_X_ASK);
	return true;
}

/* The end of it, on either side, in words. */
static void fail(struct ike_sa *sa, const char *why)
{
	struct ike *ike = sa->ike;

	v1_delete_notice(sa, NULL);
	if (!sa->initiator) {
		ike_stranger_log(ike, &sa->remote, "XAUTH failed: %s", why);
		ike_conn_remember(sa->conn, why);
		ike_tell(ike, IKE_EV_FAILED, NULL, sa, NULL, 0, "%s", why);
	}
	ike_sa_kill(sa, IKE_END_FAILED, why);
}

static void proved(struct v1_exchange *x)
{
	struct ike_sa *sa = x->sa;

	sa->v1->stage = V1_STAGE_NONE;
	ike_timer_stop(&sa->ike->timers, &sa->t_again);
	v1_in_force(sa);
}

static void failed(struct v1_exchange *x)
{
	fail(x->sa, x->sa->v1->ph->why);
}

static int put_text(struct v1_exchange *x, struct ike_payload *p, uint16_t type, struct span text)
{
	struct ike_attr *a = ike_msg_add_cp_attr(x->out, p, type);

	if (!a)
		return -1;
	a->data = text;
	return 0;
}

static int put_status(struct v1_exchange *x, struct ike_payload *p, uint16_t value)
{
	struct ike_attr *a = ike_msg_add_cp_attr(x->out, p, IKE1_XAUTH_STATUS);

	if (!a)
		return -1;
	a->is_short = true;
	a->value = value;
	return 0;
}

/* -- gateway -- */

static const struct ike_user *user_of(const struct ike_conf *c, struct span name)
{
	for (unsigned i = 0; i < c->n_user; i++)
		if (span_eq(name, span_of(c->user[i].name, strlen(c->user[i].name))))
			return &c->user[i];
	return NULL;
}

enum ike_rc v1_xauth_build(struct v1_exchange *x)
{
	bool question = x->cfg == V1_CFG_X_ASK;
	struct ike_payload *p = v1_cfg_head(x, question ? IKE1_CFG_REQUEST : IKE1_CFG_SET, 0);
	int rc = p ? 0 : -1;

	if (rc == 0 && question)
		rc = put_text(x, p, IKE1_XAUTH_USER_NAME, span_of(NULL, 0)) ||
		     put_text(x, p, IKE1_XAUTH_USER_PASSWORD, span_of(NULL, 0));
	else if (rc == 0)
		rc = put_status(x, p, x->cfg == V1_CFG_X_OK ? STATUS_OK : STATUS_FAIL);
	return rc ? v1_error(x, IKE_KILL, 0, "out of memory") : IKE_OK;
}

static void tell_ok(struct v1_exchange *x)
{
	(void)ask(x->sa, V1_CFG_X_OK);
}

static void tell_failed(struct v1_exchange *x)
{
	(void)ask(x->sa, V1_CFG_X_FAIL);
}

/* Some send the NUL of their string along. */
static struct span text_of(const struct ike_attr *a)
{
	struct span s = a && !a->is_short ? a->data : span_of(NULL, 0);

	if (s.len && s.p[s.len - 1] == 0)
		s.len--;
	return s;
}

/* Two secrets compared in a time that tells neither length nor place. */
static bool same_secret(struct span a, struct span b)
{
	uint8_t h[2][HASH_LEN_MAX] = { { 0 }, { 1 } };
	bool same = hash_compute(HASH_SHA2_256, &a, 1, h[0]) == 0 &&
		    hash_compute(HASH_SHA2_256, &b, 1, h[1]) == 0 &&
		    sodium_memcmp(h[0], h[1], 32) == 0;

	wipe(h, sizeof(h));
	return same;
}

/* Name as it may be logged. */
static const char *printable(struct span name, char out[NAME_MAX_LEN + 1])
{
	size_t n = name.len < NAME_MAX_LEN ? name.len : NAME_MAX_LEN;

	for (size_t i = 0; i < n; i++)
		out[i] = name.p[i] >= ' ' && name.p[i] < 127 ? (char)name.p[i] : '?';
	out[n] = '\0';
	return out;
}

/* Sets sa->user, or ph->why. */
static enum ike_rc judge(struct v1_exchange *x, bool good, struct span name)
{
	struct ike_sa *sa = x->sa;
	const struct ike_user *u = user_of(sa->ike->conf, name);
	const char *must = sa->conn->conf->peer.xauth_id;
	char text[NAME_MAX_LEN + 1];

	printable(name, text);
	if (!name.len)
		snprintf(sa->v1->ph->why, sizeof(sa->v1->ph->why),
			 "the peer gave no user name for XAUTH");
	else if (!u || !good)
		snprintf(sa->v1->ph->why, sizeof(sa->v1->ph->why),
			 "XAUTH: %s \"%s\"", u ? "wrong password of user" : "there is no user",
			 text);
	else if (must && strcmp(must, u->name) != 0)
		snprintf(sa->v1->ph->why, sizeof(sa->v1->ph->why),
			 "XAUTH: user \"%s\" may not use connection %s, whose xauth_id is another",
			 text, sa->conn->conf->name);
	else
		sa->user = strdup(u->name);
	if (sa->user && v1_elsewhere(sa)) {
		snprintf(sa->v1->ph->why, sizeof(sa->v1->ph->why),
			 "XAUTH: there is an SA with user \"%s\" already (unique = keep)", text);
		free(sa->user);
		sa->user = NULL;
	}
	x->done = true;
	x->after = sa->user ? tell_ok : tell_failed;
	if (sa->user)
		ike_sa_log(sa, LOG_LVL_INFO, "XAUTH: user \"%s\" is who it says", text);
	return IKE_OK;
}

/* The answer to our question. Step 1: the hash of the password was computed. */
static enum ike_rc answer_in(struct v1_exchange *x, const struct ike_payload *p)
{
	struct span name = text_of(v1_cfg_find(x->m, p, IKE1_XAUTH_USER_NAME));
	const struct ike_attr *a = v1_cfg_find(x->m, p, IKE1_XAUTH_USER_PASSWORD);
	const struct ike_user *u = user_of(x->ike->conf, name);
	struct span password;

	if (x->step == 1)
		return judge(x, x->work->rc == 0, name);
	if (!a) /* some take it for a one-time password */
		a = v1_cfg_find(x->m, p, IKE1_XAUTH_PASSCODE);
	password = text_of(a);
	if (u && !u->hash)
		return judge(x, same_secret(password, secret_view(&u->secret)), name);
	return v1_wait(x, 1, ike_work_password(x->sa, password, u ? u->hash : NOBODYS_HASH));
}

enum ike_rc v1_xauth_2(struct v1_exchange *x, const struct ike_payload *p)
{
	if (p->cp.type != (x->cfg == V1_CFG_X_ASK ? IKE1_CFG_REPLY : IKE1_CFG_ACK))
		return IKE_DROP;
	if (x->cfg == V1_CFG_X_ASK)
		return answer_in(x, p);
	x->done = true;
	x->after = x->cfg == V1_CFG_X_OK ? proved : failed;
	return IKE_OK;
}

/* -- client -- */

/* What we are asked for, in the same attributes. */
static enum ike_rc answer_out(struct v1_exchange *x, const struct ike_payload *in)
{
	struct ike_sa *sa = x->sa;
	const char *id = sa->conn->conf->auth.xauth_id;
	const struct ike_attr *type = v1_cfg_find(x->m, in, IKE1_XAUTH_TYPE);
	const struct ike_user *u =
	    id ? user_of(sa->ike->conf, span_of(id, strlen(id))) : NULL;
	struct ike_payload *p = v1_cfg_head(x, IKE1_CFG_REPLY, in->cp.id);
	bool can = u && !u->hash && (!type || v1_cfg_number(type) == GENERIC);
	struct span word = can ? secret_view(&u->secret) : span_of(NULL, 0);
	int rc = p ? 0 : -1;

	x->done = true;
	if (!can) {
		snprintf(sa->v1->ph->why, sizeof(sa->v1->ph->why), "%s",
			 u && !u->hash
			     ? "the peer wants a kind of XAUTH other than name and password"
			 : u ? "XAUTH: our own password is needed as it is: set secret, not hash"
			     : "XAUTH: there is no user section for our xauth_id");
		x->after = failed;
		return p && put_status(x, p, STATUS_FAIL) == 0 ? IKE_OK : IKE_DROP;
	}
	for (unsigned i = 0; i < in->cp.n && rc == 0; i++) {
		const struct ike_attr *a = &x->m->attr[in->cp.first + i];
		if (a->type == IKE1_XAUTH_TYPE) {
			struct ike_attr *t = ike_msg_add_cp_attr(x->out, p, IKE1_XAUTH_TYPE);
			rc = t ? 0 : -1;
			if (t)
				t->is_short = true;
		} else if (a->type == IKE1_XAUTH_USER_NAME) {
			rc = put_text(x, p, a->type, span_of(u->name, strlen(u->name)));
		} else if (a->type == IKE1_XAUTH_USER_PASSWORD || a->type == IKE1_XAUTH_PASSCODE) {
			rc = put_text(x, p, a->type, word);
		}
	}
	return rc ? IKE_DROP : IKE_OK;
}

enum ike_rc v1_xauth_1(struct v1_exchange *x, const struct ike_payload *in)
{
	struct ike_sa *sa = x->sa;
	const struct ike_attr *s = v1_cfg_find(x->m, in, IKE1_XAUTH_STATUS);

	if (sa->v1->stage != V1_STAGE_XAUTH || !v1_xauth_client(sa))
		return v1_error(x, IKE_KILL, IKE1_ATTRIBUTES_NOT_SUPPORTED,
				"the peer asks for XAUTH where none was agreed on");
	if (in->cp.type == IKE1_CFG_REQUEST)
		return answer_out(x, in);
	if (in->cp.type != IKE1_CFG_SET || !s)
		return v1_error(x, IKE_KILL, IKE1_PAYLOAD_MALFORMED,
				"XAUTH: neither a question nor its result");
	struct ike_payload *p = v1_cfg_head(x, IKE1_CFG_ACK, in->cp.id);
	bool ok = v1_cfg_number(s) == STATUS_OK;
	if (!p || put_status(x, p, ok ? STATUS_OK : STATUS_FAIL))
		return IKE_DROP;
	if (!ok)
		snprintf(
		    sa->v1->ph->why, sizeof(sa->v1->ph->why),
		    "the peer refuses our user name or password (XAUTH): make xauth_id and the "
		    "secret of that user here what they are there");
	x->done = true;
	x->after = ok ? proved : failed;
	return IKE_OK;
}
