/*
 * Chaos: two engines that do whatever comes to mind (rekey, delete, make children, reauthenticate,
 * the SAD's events), on a wire that loses, doubles, delays and turns round messages, with a peer
 * that freezes or starts anew. Then the wire is healed, and after a while both must agree about
 * every SA, one pair for each configured child, with nothing left over.
 *
 * IKEv1 goes through the same. There a delete is said once and may be lost, so all lifetimes end, and
 * when both rekey a child at once both new pairs may stay until the next time.
 *
 * BUMPWIRE_SEEDS: how many seeds (100); BUMPWIRE_SEED: the first (1); CK_RUN_CASE: "version 1" or
 * "version 2" alone. A failure names its seed; with BW_DUO_LOG=1 the story is told.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ike/v2/v2.h"
#include "ike_chaos.h"

static struct duo d;
static unsigned version;
static uint64_t state; /* of the schedule, apart from the engines' randomness */

static uint64_t pick(uint64_t n)
{
	state += 0x9e3779b97f4a7c15u;
	uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

/* The same without the last child, for reloads. */
static struct ike_conf *less[2];

static const char *const names[2][4] = { { "b", "b/net", "b/more", "b/third" },
					 { "a", "a/net", "a/more", "a/third" } };

/* A packet finds a trap. */
static void packet(struct duo_node *n, unsigned trap)
{
	uint8_t net = (uint8_t)(n->trap[trap].child[0] == 'n'   ? 1
				: n->trap[trap].child[0] == 'm' ? 3
								: 5);
	bool a = n == &d.a;
	struct flow_key k = { .src = { 10, (uint8_t)(a ? net : net + 1), 0, 1 },
			      .dst = { 10, (uint8_t)(a ? net + 1 : net), 0, 1 },
			      .proto = 17,
			      .ver = 4,
			      .sport = 5,
			      .dport = 6 };

	ike_acquire(n->ike, n->trap[trap].reqid, &k);
}

/* One thing that an administrator, a packet or the SAD may want. */
static void something(struct duo_node *n)
{
	const char *name = names[n == &d.b][pick(4)];
	const char *conn = names[n == &d.b][0];
	struct duo_child *c =
	    duo_children(n) ? duo_child(n, (unsigned)pick(duo_children(n))) : NULL;
	char why[256];
	uint64_t order;
	int rc = 0;

	switch (pick(13)) {
	case 0:
	case 1:
	case 2:
		rc = ike_rekey(n->ike, name, false, &order, why, sizeof(why));
		break;
	case 3:
		rc = ike_rekey(n->ike, conn, true, &order, why, sizeof(why));
		break;
	case 4:
	case 5:
		rc = ike_terminate(n->ike, name, &order, why, sizeof(why));
		break;
	case 6:
	case 7:
	case 8:
		rc = ike_initiate(n->ike, name, &order, why, sizeof(why));
		break;
	case 9:
		if (c)
			ike_child_expired(n->ike, c->up.reqid, c->up.spi_in, pick(4) == 0);
		break;
	case 10:
		if (c)
			c->in_ns = c->out_ns = d.now_ns;
		break;
	case 11:
		if (n->n_traps)
			packet(n, (unsigned)pick(n->n_traps));
		break;
	case 12: /* a configuration that means the same, or has one child more or less */
		ike_reload(n->ike, pick(2) ? n->conf : less[n == &d.b]);
		break;
	}
	ck_assert(rc <= 0); /* what cannot be is refused in words */
}

static void trouble(void)
{
	struct duo_node *n = pick(2) ? &d.a : &d.b;

	switch (pick(10)) {
	case 0:
	case 1:
		n->frozen = !n->frozen;
		break;
	case 2:
		if (!n->frozen)
			duo_restart(n);
		break;
	case 3:
		n->refuse_add = !n->refuse_add;
		break;
	case 4:
		d.busy = !d.busy;
		break;
	default:
		d.lose = (unsigned)pick(4) * 20;
		d.duplicate = (unsigned)pick(4) * 20;
		d.jitter_ns = pick(4) * NS_PER_S / 2;
		d.job_ns = pick(3) * NS_PER_MS * 7;
		d.job_jitter_ns = pick(3) * NS_PER_MS * 50;
	}
}

static void configure(struct duo_node *n, bool pfs, enum ike_unique unique)
{
	bool a = n == &d.a;
	struct ike_conn_conf *c = n->conn;

	duo_conf_child(c, "more", a ? "10.3.0.0/16" : "10.4.0.0/16",
		       a ? "10.4.0.0/16" : "10.3.0.0/16");
	duo_conf_child(c, "third", a ? "10.5.0.0/16" : "10.6.0.0/16",
		       a ? "10.6.0.0/16" : "10.5.0.0/16");
	for (unsigned i = 0; i < 3; i++) {
		struct ike_child_conf *k = &c->child[i];
		if (pfs)
			duo_proposals(&k->proposals, IKE_PROTO_ESP, "aes128gcm16-curve25519");
		k->start = (enum ike_start)pick(3);
		k->dpd_action = (enum ike_action)pick(3);
		k->close_action = (enum ike_action)pick(3);
		k->rekey_ns = pick(2) ? SECONDS(200 + pick(200)) : 0;
		k->life_ns = k->rekey_ns ? k->rekey_ns + SECONDS(100) : 0;
		k->rand_ns = SECONDS(20);
	}
	c->dpd_delay_ns = SECONDS(20 + pick(20));
	c->keyingtries = pick(2) ? 0 : 3;
	c->rekey_ns = pick(2) ? SECONDS(300 + pick(300)) : 0;
	c->reauth_ns = pick(4) == 0 ? SECONDS(500 + pick(300)) : 0;
	c->over_ns = SECONDS(120);
	c->rand_ns = SECONDS(20);
	c->unique = unique;
	if (pick(3) == 0) /* everything but the smallest messages is sent in fragments */
		c->fragment_size = 200;
}

/* Everything as it is now but for the last child. */
static struct ike_conf *without_last(const struct duo_node *n)
{
	struct duo_node t = { .name = n->name };

	duo_conf_default(&t);
	struct ike_conn_conf own = *t.conn;
	*t.conn = *n->conn; /* but nothing that is owned */
	t.conn->name = own.name;
	t.conn->local = own.local;
	t.conn->remote = own.remote;
	t.conn->auth = own.auth;
	t.conn->peer = own.peer;
	t.conn->child = own.child;
	t.conn->file = own.file;
	if (n->conn->n_vips) {
		t.conn->vips = malloc(n->conn->n_vips * sizeof(*t.conn->vips));
		memcpy(t.conn->vips, n->conn->vips, n->conn->n_vips * sizeof(*t.conn->vips));
	}
	if (n->conn->n_pools)
		t.conn->pools = calloc(n->conn->n_pools, sizeof(*t.conn->pools));
	for (unsigned i = 0; i < n->conn->n_pools; i++)
		t.conn->pools[i] = strdup(n->conn->pools[i]);
	t.conn->n_child = n->conn->n_child - 1;
	for (unsigned i = 0; i < t.conn->n_child; i++) {
		free(i < own.n_child ? own.child[i].name : NULL);
		own.child[i] = n->conn->child[i];
		own.child[i].name = strdup(n->conn->child[i].name);
	}
	return t.conf;
}

/* What is under way, for whoever reads a failure. */
static void describe(void)
{
	for (struct duo_node *n = &d.a;; n = &d.b) {
		list_for_each (l, &n->ike->sas) {
			const struct ike_sa *sa = list_entry(l, struct ike_sa, all);
			printf("# %c: ike %08x %s%s, %u children, task %s, %s, waiting:", n->name,
			       load_be32(ike_sa_spi(sa)), ike_state_name(sa->state),
			       sa->over ? " (over)" : "", sa->n_children,
			       sa->task ? v2_task_rows[sa->task->kind].name : "none",
			       sa->x ? "in a job" : "no job");
			list_for_each (k, &sa->tasks)
				printf(
				    " %s",
				    v2_task_rows[list_entry(k, struct v2_task, link)->kind].name);
			printf("\n");
			chaos_v1_describe(sa);
		}
		for (unsigned i = 0; i < DUO_CHILDREN; i++)
			if (n->child[i].used)
				printf("# %c: child %s %08x_i %08x_o reqid %u\n", n->name,
				       n->child[i].up.conf->name, n->child[i].up.spi_in,
				       n->child[i].up.spi_out, n->child[i].up.reqid);
		printf("# %c: drains: %s, %u SPIs\n", n->name,
		       list_empty(&n->ike->drains) ? "none" : "some", n->spis);
		if (n == &d.b)
			break;
	}
	printf("# wire %s, jobs %s\n", list_empty(&d.wire) ? "empty" : "busy",
	       list_empty(&d.jobs) ? "none" : "some");
	fflush(stdout);
}

/* ---- what must be true in the end */

struct found {
	unsigned n;
	struct {
		uint8_t spi_i[8], spi_r[8];
		bool initiator;
	} sa[64];
};

static void take_sa(const struct ike_sa_view *v, void *arg)
{
	struct found *f = arg;

	if (strcmp(v->state, "established") != 0)
		return;
	ck_assert_uint_lt(f->n, 64);
	memcpy(f->sa[f->n].spi_i, v->spi_i, 8);
	memcpy(f->sa[f->n].spi_r, v->spi_r, 8);
	f->sa[f->n++].initiator = v->initiator;
}

static void same_sas(void)
{
	struct found a = { 0 }, b = { 0 };
	unsigned same = 0;

	ike_each_sa(d.a.ike, take_sa, &a);
	ike_each_sa(d.b.ike, take_sa, &b);
	for (unsigned i = 0; i < a.n; i++)
		for (unsigned k = 0; k < b.n; k++)
			same += memcmp(a.sa[i].spi_i, b.sa[k].spi_i, 8) == 0 &&
				memcmp(a.sa[i].spi_r, b.sa[k].spi_r, 8) == 0 &&
				a.sa[i].initiator != b.sa[k].initiator;
	ck_assert_msg(a.n == same && b.n == same, "%u and %u IKE SAs, %u of them the same", a.n,
		      b.n, same);
}

/* No child of the configuration is there twice in an IKE SA, and with unique = replace not in two.
 * IKEv1: not more than twice. */
static void no_doubles(const struct duo_node *n)
{
	bool all = n->conn->unique == IKE_UNIQUE_REPLACE;
	unsigned most = version == 1 ? 2 : 1, seen[3] = { 0 };

	list_for_each (l, &n->ike->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		if (!all)
			memset(seen, 0, sizeof(seen));
		list_for_each (m, &sa->children) {
			struct ike_child *c = list_entry(m, struct ike_child, of_sa);
			unsigned k = ++seen[c->conf - n->conn->child];
			ck_assert_msg(k <= most, "%c has child %s %u times", n->name,
				      c->conf->name, k);
		}
	}
}

static void check_rest(void)
{
	struct ike_stats s;

	if (getenv("BW_DUO_LOG"))
		describe();
	same_sas();
	duo_agree(&d);
	for (struct duo_node *n = &d.a;; n = &d.b) {
		no_doubles(n);
		ike_stats(n->ike, &s);
		ck_assert_uint_eq(s.jobs, 0);
		ck_assert_uint_eq(s.half_open, 0);
		ck_assert_uint_eq(s.children, duo_children(n));
		ck_assert_uint_eq(n->spis, 0);
		if (n == &d.b)
			break;
	}
}

static void heal(void)
{
	d.lose = d.duplicate = 0;
	d.jitter_ns = 0;
	d.job_ns = d.job_jitter_ns = 0;
	d.busy = false;
	d.a.frozen = d.b.frozen = d.a.refuse_add = d.b.refuse_add = false;
}

/* Periodic things (rekeying, liveness) go on: a moment at which nothing is under way comes soon. */
static bool at_rest(void)
{
	for (struct duo_node *n = &d.a;; n = &d.b) {
		list_for_each (l, &n->ike->sas) {
			const struct ike_sa *sa = list_entry(l, struct ike_sa, all);
			if (sa->over)
				continue;
			if (sa->state != IKE_ST_UP || sa->replaced || sa->task || sa->x || !list_empty(&sa->tasks))
				return false;
			if (version == 1 && !chaos_v1_at_rest(sa))
				return false;
		}
		if (!list_empty(&n->ike->drains))
			return false;
		if (n == &d.b)
			return list_empty(&d.wire) && list_empty(&d.jobs);
	}
}

static bool child_there(const struct duo_node *n, unsigned i)
{
	for (unsigned k = 0; k < DUO_CHILDREN; k++)
		if (n->child[k].used && n->child[k].up.conf == &n->conn->child[i])
			return true;
	return false;
}

/* They still can do everything: all children come up, and all go by one order. */
static void still_works(void)
{
	char why[256];
	uint64_t order;

	for (unsigned i = 0; i < 3; i++) {
		/* a lifetime may end just now, so more than once */
		for (unsigned k = 0; k < 30 && !child_there(&d.a, i); k++) {
			if (ike_initiate(d.a.ike, names[0][i + 1], &order, why, sizeof(why)) == 0)
				duo_order(&d, &d.a, order);
			duo_run(&d, SECONDS(1));
		}
		ck_assert_msg(child_there(&d.a, i), "child %s does not come up any more",
			      names[0][i + 1]);
	}
	for (unsigned i = 0; i < 3; i++) /* so that nothing brings them up again */
		d.a.conn->child[i].close_action = d.b.conn->child[i].close_action =
		    IKE_ACTION_CLEAR;
	while (duo_sas(&d.a) && ike_terminate(d.a.ike, "b", &order, why, sizeof(why)) == 0)
		change_done(&d, &d.a, order);
	duo_run(&d, SECONDS(60));
	ck_assert_uint_eq(duo_children(&d.a) + duo_children(&d.b), 0);
}

static void run_seed(uint64_t seed)
{
	state = seed * 0x2545f4914f6cdd1du + 1;
	duo_init(&d, seed);
	bool pfs = pick(2);
	enum ike_unique unique = pick(2) ? IKE_UNIQUE_REPLACE : (enum ike_unique)pick(4);
	configure(&d.a, pfs, unique);
	configure(&d.b, pfs, unique);
	if (version == 1)
		chaos_v1_configure(&d, pick(1 << 20));
	if (pick(4) == 0) { /* a is behind a NAT: only it can begin */
		d.nat = true;
		d.b.conn->n_remote = 0;
	}
	less[0] = without_last(&d.a);
	less[1] = without_last(&d.b);
	duo_start(&d);
	unsigned rounds = 20 + (unsigned)pick(80);
	for (unsigned i = 0; i < rounds; i++) {
		unsigned n = (unsigned)pick(3);
		for (unsigned k = 0; k < n; k++) {
			struct duo_node *who = pick(2) ? &d.a : &d.b;
			if (!who->frozen)
				something(who);
		}
		if (pick(6) == 0)
			trouble();
		duo_run(&d, pick(4) ? pick(200) * NS_PER_MS : SECONDS(pick(40)));
	}
	heal();
	ike_reload(d.a.ike, d.a.conf);
	ike_reload(d.b.ike, d.b.conf);
	duo_run(&d, SECONDS(1500));
	for (unsigned i = 0; i < 2000 && !at_rest(); i++)
		duo_run(&d, NS_PER_S / 4);
	if (!at_rest())
		describe();
	ck_assert_msg(at_rest(), "there is always something under way");
	check_rest();
	still_works();
	duo_fini(&d);
	ike_conf_unref(&less[0]);
	ike_conf_unref(&less[1]);
}

static unsigned long number(const char *env, unsigned long otherwise)
{
	const char *s = getenv(env);

	return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

static void test(unsigned v, int i)
{
	uint64_t seed = number("BUMPWIRE_SEED", 1) + (uint64_t)i;

	version = v;
	printf("# version %u seed %llu\n", v, (unsigned long long)seed);
	fflush(stdout);
	run_seed(seed);
}

START_TEST(test_v1_seed)
{
	test(1, _i);
}
END_TEST

START_TEST(test_v2_seed)
{
	test(2, _i);
}
END_TEST

static void add_case(Suite *s, const char *name, const TTest *f)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, f, 0, (int)number("BUMPWIRE_SEEDS", 100));
	suite_add_tcase(s, t);
}

int main(void)
{
	Suite *s = suite_create("ike chaos");

	add_case(s, "version 2", test_v2_seed);
	add_case(s, "version 1", test_v1_seed);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
