/* See test_ike_change.h. */
#include "must.h"
#include "test_ike_change.h"

void change_start(struct duo *d)
{
	duo_start(d);
	duo_up(d, &d->a, "b/net");
	duo_agree(d);
}

void change_esp(struct duo *d, const char *a, const char *b)
{
	duo_proposals(&d->a.conn->child[0].proposals, IKE_PROTO_ESP, a);
	duo_proposals(&d->b.conn->child[0].proposals, IKE_PROTO_ESP, b);
}

void change_more(struct duo *d)
{
	duo_conf_child(d->a.conn, "more", "10.3.0.0/16", "10.4.0.0/16");
	duo_conf_child(d->b.conn, "more", "10.4.0.0/16", "10.3.0.0/16");
}

uint64_t change_rekey(struct duo_node *n, const char *name, bool reauth)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_rekey(n->ike, name, reauth, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	return order;
}

uint64_t change_down(struct duo_node *n, const char *name)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_terminate(n->ike, name, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	return order;
}

uint64_t change_up(struct duo_node *n, const char *name)
{
	char why[256] = "";
	uint64_t order = 0;

	if (ike_initiate(n->ike, name, &order, why, sizeof(why)))
		ck_abort_msg("%s", why);
	return order;
}

void change_done(struct duo *d, struct duo_node *n, uint64_t order)
{
	const struct duo_event *e = duo_order(d, n, order);

	ck_assert_msg(e->type == IKE_EV_DONE, "%s", e->text);
}

void change_failed(struct duo *d, struct duo_node *n, uint64_t order, const char *words)
{
	const struct duo_event *e = duo_order(d, n, order);

	ck_assert_msg(e->type == IKE_EV_FAILED, "it was done: %s", e->text);
	ck_assert_msg(strstr(e->text, words) != NULL, "\"%s\" is not in: %s", words, e->text);
}

void change_rest(struct duo *d, unsigned sas, unsigned children)
{
	duo_run(d, SECONDS(60));
	ck_assert_uint_eq(duo_sas(&d->a), sas);
	ck_assert_uint_eq(duo_sas(&d->b), sas);
	ck_assert_uint_eq(duo_children(&d->a), children);
	ck_assert_uint_eq(duo_children(&d->b), children);
	duo_agree(d);
}

struct ike_sa *change_sa(const struct duo_node *n)
{
	list_for_each (l, &n->ike->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		if (sa->state == IKE_ST_UP && !sa->over)
			return sa;
	}
	return NULL;
}

struct ike_child *change_child(const struct duo_node *n)
{
	list_for_each (l, &n->ike->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		list_for_each (k, &sa->children) {
			struct ike_child *c = list_entry(k, struct ike_child, of_sa);
			if (c->state == IKE_CHILD_UP)
				return c;
		}
	}
	return NULL;
}

/* ---- the stream */

void stream_init(struct stream *s, struct duo *d)
{
	memset(s, 0, sizeof(*s));
	s->d = d;
	s->every_ns = NS_PER_MS;
	s->delay_ns = 10 * NS_PER_MS;
	s->jitter_ns = 30 * NS_PER_MS;
	s->chance = 88172645463325252u;
}

static uint64_t chance(struct stream *s, uint64_t n)
{
	s->chance ^= s->chance << 13; /* xorshift: the engine's own source stays as it is */
	s->chance ^= s->chance >> 7;
	s->chance ^= s->chance << 17;
	return n ? s->chance % n : 0;
}

static void send_from(struct stream *s, struct duo_node *from, struct duo_node *to)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++) {
		struct duo_child *c = &from->child[i];
		if (!c->used || !c->out)
			continue;
		must_uint_lt(s->n, STREAM_MAX);
		s->packet[s->n].to = to;
		s->packet[s->n].spi = c->up.spi_out;
		s->packet[s->n].due_ns = s->d->now_ns + s->delay_ns + chance(s, s->jitter_ns);
		s->n++;
		s->sent++;
		c->out_ns = s->d->now_ns;
	}
}

static void arrive(struct stream *s, struct duo_node *to, uint32_t spi)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		if (to->child[i].used && to->child[i].up.spi_in == spi) {
			to->child[i].in_ns = s->d->now_ns;
			s->came++;
			return;
		}
	s->lost++;
}

static void deliver_due(struct stream *s)
{
	for (unsigned i = 0; i < s->n;) {
		if (s->packet[i].due_ns > s->d->now_ns) {
			i++;
			continue;
		}
		arrive(s, s->packet[i].to, s->packet[i].spi);
		s->packet[i] = s->packet[--s->n];
	}
}

void stream_run(struct stream *s, uint64_t ns)
{
	uint64_t until = s->d->now_ns + ns;

	while (s->d->now_ns < until || s->n) {
		if (s->d->now_ns < until) {
			send_from(s, &s->d->a, &s->d->b);
			send_from(s, &s->d->b, &s->d->a);
		}
		duo_run(s->d, s->every_ns);
		deliver_due(s);
	}
}
