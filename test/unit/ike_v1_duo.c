/* See test_ike_v1_duo.h. */
#include <stdio.h>

#include "test_ike_v1_duo.h"

struct duo d;
char why[256];

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
	duo_fini(&d);
}

TCase *v1duo_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	return t;
}

void v1duo_aggressive(void)
{
	d.a.conn->aggressive = d.b.conn->aggressive = true;
}

void v1duo_esp(const char *text)
{
	duo_proposals(&d.a.conn->child[0].proposals, IKE_PROTO_ESP, text);
	duo_proposals(&d.b.conn->child[0].proposals, IKE_PROTO_ESP, text);
}

void v1duo_up(void)
{
	duo_start(&d);
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_eq(duo_children(&d.a), d.a.conn->n_child);
	duo_agree(&d);
	ck_assert_uint_eq(duo_sas(&d.a), 1);
	ck_assert_uint_eq(duo_sas(&d.b), 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.b.count[IKE_EV_SA_UP], 1);
	ck_assert_uint_eq(d.a.count[IKE_EV_KEYS], 1);
	ck_assert(duo_child(&d.a, 0)->out);
	ck_assert(duo_child(&d.b, 0)->out);
}

struct ike_stats v1duo_stats(struct duo_node *n)
{
	struct ike_stats s;

	ike_stats(n->ike, &s);
	return s;
}

void v1duo_rekey(struct duo_node *n, const char *name, bool reauth)
{
	uint64_t order;

	ck_assert_msg(ike_rekey(n->ike, name, reauth, &order, why, sizeof(why)) == 0, "%s", why);
	ck_assert_int_eq(duo_order(&d, n, order)->type, IKE_EV_DONE);
}

struct ike_sa *v1duo_sa(struct duo_node *n)
{
	return list_entry(n->ike->sas.next, struct ike_sa, all);
}

/* ---- the log */

char v1duo_heard[4096];
static const char *listen_for;

static void take_line(enum log_subsys s, enum log_level l, const char *line)
{
	(void)s;
	(void)l;
	if (strstr(line, listen_for))
		snprintf(v1duo_heard + strlen(v1duo_heard), sizeof(v1duo_heard) - strlen(v1duo_heard),
			 "%s\n", line);
}

void v1duo_listen(const char *words)
{
	static FILE *nowhere;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	listen_for = words;
	v1duo_heard[0] = '\0';
	log_set_output(nowhere, false);
	log_set_level_all(LOG_LVL_INFO);
	log_set_hook(take_line);
}

void v1duo_listen_end(void)
{
	log_set_hook(NULL);
	log_set_level_all(LOG_LVL_ERROR);
	log_set_output(stderr, false);
}
