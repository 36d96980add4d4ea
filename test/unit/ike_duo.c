/*
 * See ike_duo.h: the wire, jobs, time and orders. What the engines install is in ike_duo_sad.c,
 * their configurations come from ike_duo_conf.c.
 */
#include "ike_duo.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/crypt.h"
#include "ike_duo_sad.h"

static struct duo *current; /* of the sources of time and chance */

static uint64_t next_random(struct duo *d)
{
	/* splitmix64 */
	uint64_t z = d->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill_random(void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(next_random(current) >> 24);
}

static uint64_t fake_now(void)
{
	return current->now_ns;
}

static uint64_t fake_wall(void)
{
	return current->wall_ns + current->now_ns;
}

static uint64_t chance(struct duo *d, uint64_t n)
{
	return n ? next_random(d) % n : 0;
}

/* ---- the wire */

static struct duo_node *node_at(struct duo *d, const struct ip_addr *a)
{
	if (d->nat && ip_addr_eq(a, &d->nat_addr))
		return &d->a;
	if (ip_addr_eq(a, &d->a.addr))
		return d->nat ? NULL : &d->a;
	return ip_addr_eq(a, &d->b.addr) ? &d->b : NULL;
}

/* What the NAT in front of a makes of a datagram. */
static void translate(struct duo *d, struct duo_msg *m)
{
	if (!d->nat)
		return;
	if (m->from == &d->a) {
		m->src.addr = d->nat_addr;
		m->src.port = (uint16_t)(m->src.port + d->nat_base);
	} else if (m->to == &d->a) {
		m->dst.addr = d->a.addr;
		m->dst.port = (uint16_t)(m->dst.port - d->nat_base);
	}
}

static void put_on_wire(struct duo *d, const struct duo_msg *m)
{
	struct duo_msg *c = malloc(sizeof(*c));

	*c = *m;
	c->p = malloc(m->len + 1);
	memcpy(c->p, m->p, m->len);
	c->due_ns = d->now_ns + d->delay_ns + chance(d, d->jitter_ns);
	list_push_back(&d->wire, &c->link);
}

static int env_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		    bool marker, struct span datagram)
{
	struct duo_node *n = ctx;
	struct duo *d = n->d;
	uint8_t copy[65536];
	struct duo_msg m = { .from = n,
			     .src = *local,
			     .dst = *remote,
			     .marker = marker,
			     .len = datagram.len,
			     .p = copy };

	ck_assert_uint_le(datagram.len, sizeof(copy));
	memcpy(copy, datagram.p, datagram.len);
	n->sent++;
	if (n->send_rc)
		return n->send_rc;
	m.to = node_at(d, &remote->addr);
	translate(d, &m);
	if (d->verbose)
		fprintf(stderr, "%12.6f %c -> %c  %zu bytes exchange %u flags %02x id %u%s\n",
			(double)d->now_ns / 1e9, n->name, m.to ? m.to->name : '-', m.len, copy[18],
			copy[19], load_be32(copy + 20), marker ? " (marker)" : "");
	if (d->hook && !d->hook(d, &m))
		return 0;
	if (!m.to || chance(d, 100) < d->lose)
		return 0;
	put_on_wire(d, &m);
	if (d->duplicate && chance(d, 100) < d->duplicate)
		put_on_wire(d, &m);
	return 0;
}

static void deliver(struct duo *d, struct duo_msg *m)
{
	list_del(&m->link);
	d->delivered++;
	if (m->to && m->to->ike && !m->to->frozen)
		ike_receive(m->to->ike, &m->dst, &m->src, m->marker, m->p, m->len);
	free(m->p);
	free(m);
}

static struct duo_msg *next_msg(const struct duo *d)
{
	struct duo_msg *first = NULL;

	list_for_each (l, &d->wire) {
		struct duo_msg *m = list_entry(l, struct duo_msg, link);
		if (!first || m->due_ns < first->due_ns)
			first = m;
	}
	return first;
}

/* ---- jobs and names */

struct job {
	struct list link;
	uint64_t due_ns;
	struct ike_job *job;
	struct duo_node *node;
};

static int env_submit(void *ctx, struct ike_job *job)
{
	struct duo_node *n = ctx;
	struct duo *d = n->d;

	if (d->busy)
		return -EAGAIN;
	if (!d->job_ns && !d->job_jitter_ns) {
		job->run(job);
		job->done(job);
		return 0;
	}
	struct job *j = malloc(sizeof(*j));
	*j = (struct job){ .job = job, .node = n };
	j->due_ns = d->now_ns + d->job_ns + chance(d, d->job_jitter_ns);
	list_push_back(&d->jobs, &j->link);
	d->n_jobs++;
	return 0;
}

static struct job *next_job(const struct duo *d)
{
	struct job *first = NULL;

	list_for_each (l, &d->jobs) {
		struct job *j = list_entry(l, struct job, link);
		if (!first || j->due_ns < first->due_ns)
			first = j;
	}
	return first;
}

static void do_job(struct duo *d, struct job *j)
{
	struct ike_job *job = j->job;

	list_del(&j->link);
	d->n_jobs--;
	free(j);
	job->run(job);
	job->done(job);
}

struct lookup {
	struct list link;
	struct ike_lookup *l;
	bool found;
};

static void env_resolve(void *ctx, const char *name, struct ike_lookup *l)
{
	struct duo_node *n = ctx;
	struct lookup *k = malloc(sizeof(*k));

	*k = (struct lookup){ .l = l };
	k->found = n->d->known_name && strcmp(n->d->known_name, name) == 0;
	list_push_back(&n->d->lookups, &k->link);
}

static void do_lookup(struct duo *d)
{
	struct lookup *k = list_entry(d->lookups.next, struct lookup, link);
	struct ike_lookup *l = k->l;
	bool found = k->found;

	list_del(&k->link);
	free(k);
	l->done(l, found ? &d->known_addr : NULL, found, found ? NULL : "no such name");
}

/* ---- what it tells */

static void env_keepalive(void *ctx, const struct endpoint *local, const struct endpoint *remote)
{
	struct duo_node *n = ctx;

	n->keepalives++;
}

static int env_source(void *ctx, const struct ip_addr *remote, struct ip_addr *local)
{
	struct duo_node *n = ctx;

	*local = n->addr;
	return 0;
}

static void env_event(void *ctx, const struct ike_event *e)
{
	struct duo_node *n = ctx;
	struct duo_event *v = &n->event[n->n_events++ % DUO_EVENTS];

	n->count[e->type]++;
	*v = (struct duo_event){ .type = e->type,
				 .sa_id = e->sa_id,
				 .child_id = e->child_id,
				 .order = e->order,
				 .at_ns = n->d->now_ns };
	snprintf(v->conn, sizeof(v->conn), "%s", e->conn ? e->conn : "");
	snprintf(v->child, sizeof(v->child), "%s", e->child ? e->child : "");
	snprintf(v->text, sizeof(v->text), "%s", e->text ? e->text : "");
	if (n->d->verbose)
		fprintf(stderr, "%12.6f %c event %d order %llu %s/%s: %s\n",
			(double)n->d->now_ns / 1e9, n->name, e->type, (unsigned long long)e->order,
			v->conn, v->child, v->text);
}

static void env_audit(void *ctx, const struct audit_event *e)
{
	struct duo_node *n = ctx;

	ck_assert_uint_gt(e->id, AUDIT_NONE);
	ck_assert_uint_lt(e->id, AUDIT_EVENTS);
	/* what its row promises, and to whom it happened */
	ck_assert_uint_eq(audit_info(e->id)->of, AUDIT_OF_IKE);
	ck_assert_uint_eq(e->have, audit_info(e->id)->fields);
	ck_assert_uint_ne(e->src.addr.ver, 0);
	ck_assert_uint_ne(e->dst.addr.ver, 0);
	ck_assert(e->text && e->text[0]);
	n->audited[e->id]++;
	n->audit = *e;
	snprintf(n->audit_text, sizeof(n->audit_text), "%s", e->text);
	n->audit.text = n->audit_text;
	log_info(LOG_AUDIT, "audit: %s: %s", audit_info(e->id)->what, e->text);
}

/* ---- life */

void duo_init(struct duo *d, uint64_t seed)
{
	memset(d, 0, sizeof(*d));
	d->seed = seed;
	d->now_ns = 1000 * NS_PER_S;
	d->wall_ns = 1700000000 * NS_PER_S;
	d->delay_ns = 10 * NS_PER_MS;
	list_init(&d->wire);
	list_init(&d->jobs);
	list_init(&d->lookups);
	d->verbose = getenv("BW_DUO_LOG") != NULL;
	log_set_level_all(d->verbose ? LOG_LVL_DEBUG : LOG_LVL_ERROR);
	ck_assert_int_eq(secret_init(), 0);
	ck_assert_int_eq(crypt_init(), 0);
	current = d;
	clock_set_source(fake_now, fake_wall);
	random_set_source(fill_random);
	d->a.d = d->b.d = d;
	d->a.name = 'a';
	d->b.name = 'b';
	d->a.last_spi = 0xa0000000;
	d->b.last_spi = 0xb0000000;
	ck_assert_int_eq(ip_addr_parse("198.51.100.7", &d->nat_addr), 0);
	d->nat_base = 20000;
	duo_conf_default(&d->a);
	duo_conf_default(&d->b);
}

static void start(struct duo_node *n)
{
	struct ike_env env = { .ctx = n,
			       .send = env_send,
			       .source = env_source,
			       .keepalive = env_keepalive,
			       .submit = env_submit,
			       .resolve = env_resolve,
			       .event = env_event,
			       .audit = env_audit };
	char why[256] = "";

	duo_sad_env(&env);
	if (ike_new(&env, n->conf, &n->ike, why, sizeof(why)))
		ck_abort_msg("ike_new: %s", why);
	ike_start(n->ike);
}

void duo_start(struct duo *d)
{
	start(&d->b);
	start(&d->a);
}

/* Jobs must have come back before ike_free(). */
static void finish_jobs(struct duo *d)
{
	struct job *j;

	while ((j = next_job(d)))
		do_job(d, j);
	while (!list_empty(&d->lookups))
		do_lookup(d);
}

void duo_restart(struct duo_node *n)
{
	finish_jobs(n->d);
	/* what it still says goes nowhere */
	bool (*hook)(struct duo *, struct duo_msg *) = n->d->hook;
	n->d->hook = NULL;
	ike_free(&n->ike);
	n->d->hook = hook;
	n->n_events = 0; /* orders are counted from one again */
	start(n);
}

static void node_fini(struct duo_node *n)
{
	ike_free(&n->ike);
	ike_conf_unref(&n->conf);
	ck_assert_uint_eq(duo_children(n), 0);
	ck_assert_uint_eq(n->n_traps, 0);
	ck_assert_uint_eq(n->spis, 0);
}

void duo_fini(struct duo *d)
{
	finish_jobs(d);
	node_fini(&d->a);
	node_fini(&d->b);
	list_for_each_safe (l, &d->wire) {
		struct duo_msg *m = list_entry(l, struct duo_msg, link);
		list_del(&m->link);
		free(m->p);
		free(m);
	}
	ck_assert(list_empty(&d->jobs));
	clock_set_source(NULL, NULL);
	random_set_source(NULL);
	current = NULL;
}

/* ---- time */

bool duo_one(struct duo *d)
{
	struct duo_msg *m = next_msg(d);
	struct job *j = next_job(d);

	if (!list_empty(&d->lookups)) {
		do_lookup(d);
	} else if (j && (!m || j->due_ns <= m->due_ns)) {
		if (j->due_ns > d->now_ns)
			d->now_ns = j->due_ns;
		do_job(d, j);
	} else if (m) {
		if (m->due_ns > d->now_ns)
			d->now_ns = m->due_ns;
		deliver(d, m);
	} else {
		return false;
	}
	return true;
}

static uint64_t timer_of(const struct duo_node *n)
{
	return n->ike && !n->frozen ? ike_next_ns(n->ike) : UINT64_MAX;
}

bool duo_step(struct duo *d, uint64_t until_ns)
{
	struct duo_msg *m = next_msg(d);
	struct job *j = next_job(d);
	uint64_t ta = timer_of(&d->a), tb = timer_of(&d->b);
	uint64_t t = ta < tb ? ta : tb, w = UINT64_MAX;

	if (m)
		w = m->due_ns;
	if (j && j->due_ns < w)
		w = j->due_ns;
	if (!list_empty(&d->lookups))
		w = d->now_ns;
	if ((t < w ? t : w) > until_ns)
		return false;
	if (w <= t)
		return duo_one(d);
	if (t > d->now_ns)
		d->now_ns = t;
	ike_tick(ta <= tb ? d->a.ike : d->b.ike);
	return true;
}

void duo_settle(struct duo *d)
{
	unsigned n = 0;

	while (duo_one(d))
		ck_assert_msg(++n < 10000, "the engines do not come to rest");
}

void duo_run(struct duo *d, uint64_t ns)
{
	uint64_t until = d->now_ns + ns;
	unsigned n = 0;

	while (duo_step(d, until))
		ck_assert_msg(++n < 1000000, "the engines do not come to rest");
	d->now_ns = until;
}

/* ---- orders */

static const struct duo_event *find_end(const struct duo_node *n, uint64_t order)
{
	for (unsigned i = 0; i < DUO_EVENTS && i < n->n_events; i++) {
		const struct duo_event *e = &n->event[i];
		if (e->order == order && (e->type == IKE_EV_DONE || e->type == IKE_EV_FAILED))
			return e;
	}
	return NULL;
}

const struct duo_event *duo_order(struct duo *d, struct duo_node *n, uint64_t order)
{
	uint64_t until = d->now_ns + 1000 * NS_PER_S;
	const struct duo_event *e;

	while (!(e = find_end(n, order)))
		if (!duo_step(d, until))
			ck_abort_msg("order %llu of %c never ends", (unsigned long long)order,
				     n->name);
	duo_settle(d);
	return e;
}

void duo_up(struct duo *d, struct duo_node *n, const char *name)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_initiate(n->ike, name, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	const struct duo_event *e = duo_order(d, n, order);
	ck_assert_msg(e->type == IKE_EV_DONE, "%s", e->text);
}

void duo_up_fails(struct duo *d, struct duo_node *n, const char *name, const char *words)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_initiate(n->ike, name, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	const struct duo_event *e = duo_order(d, n, order);
	ck_assert_msg(e->type == IKE_EV_FAILED, "it was done");
	ck_assert_msg(strstr(e->text, words) != NULL, "\"%s\" is not in: %s", words, e->text);
}

void duo_down(struct duo *d, struct duo_node *n, const char *name)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_terminate(n->ike, name, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	const struct duo_event *e = duo_order(d, n, order);
	ck_assert_msg(e->type == IKE_EV_DONE, "%s", e->text);
}

const struct duo_event *duo_last(const struct duo_node *n, enum ike_event_type type)
{
	for (unsigned i = n->n_events; i > 0 && i + DUO_EVENTS > n->n_events; i--)
		if (n->event[(i - 1) % DUO_EVENTS].type == type)
			return &n->event[(i - 1) % DUO_EVENTS];
	return NULL;
}

/* ---- what is there */

static void count_sa(const struct ike_sa_view *v, void *arg)
{
	++*(unsigned *)arg;
}

unsigned duo_sas(const struct duo_node *n)
{
	unsigned k = 0;

	ike_each_sa(n->ike, count_sa, &k);
	return k;
}
