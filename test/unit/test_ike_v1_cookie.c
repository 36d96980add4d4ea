/*
 * Anti-clogging cookies (RFC 2408 2.5.3): what they are made of, and that the responder knows its
 * own again before the message that brings one back costs it anything.
 */
#include "ike/v1/v1.h"
#include "test_ike_v1_duo.h"

static bool told; /* INVALID-COOKIE, by b, in the clear */

static void note(const struct duo_msg *m)
{
	static struct ike_msg msg;
	struct ike_bad bad;

	if (m->p[18] != IKE1_X_INFO || (m->p[19] & IKE1_FLAG_E))
		return;
	ck_assert_int_eq(ike_msg_parse(&msg, span_of(m->p, m->len), &bad), 0);
	const struct ike_payload *n = ike_msg_find(&msg, IKE1_N, NULL);
	if (n && n->notify.type == IKE1_INVALID_COOKIE)
		told = true;
}

static struct gate *gate_of(uint8_t first)
{
	struct gate *g = gate_new(&(struct gate_limits){ .half_open_max = first });

	ck_assert_ptr_nonnull(g);
	return g;
}

static uint64_t cookie_of(const struct gate *g, const char *local, const char *remote, uint16_t port,
			  struct gate_salt salt)
{
	struct endpoint l = { .port = 500 }, r = { .port = port };
	uint8_t c[GATE_COOKIE1_LEN];

	ck_assert_int_eq(ip_addr_parse(local, &l.addr), 0);
	ck_assert_int_eq(ip_addr_parse(remote, &r.addr), 0);
	gate_cookie1(g, &l, &r, &salt, c);
	return load_be64(c);
}

/* 1. it depends on the parties, 2. on what only the issuer has, and on time and chance */
START_TEST(test_2_5_3_depends_on_parties_secret_and_time)
{
	struct gate *g = gate_of(1), *other = gate_of(2);
	struct gate_salt salt = { 1000, { 1, 2, 3 } }, later = { 1001, { 1, 2, 3 } },
			 chance = { 1000, { 1, 2, 4 } };
	uint64_t v[] = {
		cookie_of(g, "192.0.2.2", "192.0.2.1", 500, salt),
		cookie_of(g, "192.0.2.2", "192.0.2.3", 500, salt),
		cookie_of(g, "192.0.2.4", "192.0.2.1", 500, salt),
		cookie_of(g, "192.0.2.2", "192.0.2.1", 501, salt),
		cookie_of(g, "192.0.2.2", "2001:db8::1", 500, salt),
		cookie_of(g, "192.0.2.1", "192.0.2.2", 500, salt),
		cookie_of(other, "192.0.2.2", "192.0.2.1", 500, salt),
		cookie_of(g, "192.0.2.2", "192.0.2.1", 500, later),
		cookie_of(g, "192.0.2.2", "192.0.2.1", 500, chance),
	};

	ck_assert_uint_eq(v[0], cookie_of(g, "192.0.2.2", "192.0.2.1", 500, salt));
	for (unsigned i = 0; i < ARRAY_LEN(v); i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_msg(v[i] != v[k], "%u and %u are the same", i, k);
	gate_free(&g);
	gate_free(&other);
}
END_TEST

/* Both sides' cookies are such, and each SA has another one. */
START_TEST(test_2_5_3_cookies_are_made_so)
{
	uint8_t was[8];

	duo_start(&d);
	ck_assert_int_eq(ike_initiate(d.a.ike, "b", &(uint64_t){ 0 }, why, sizeof(why)), 0);
	ck_assert(duo_one(&d)); /* message 1 */
	struct duo_node *n[] = { &d.a, &d.b };
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_sa *sa = list_entry(n[i]->ike->sas.next, struct ike_sa, all);
		uint8_t c[8];
		gate_cookie1(n[i]->ike->gate, &sa->local, &sa->remote, &sa->v1->ph->salt, c);
		ck_assert_mem_eq(c, ike_sa_spi(sa), 8);
		ck_assert_uint_lt(clock_wall_ns() - sa->v1->ph->salt.wall_ns, NS_PER_S);
		memcpy(was, c, 8);
	}
	duo_settle(&d);
	duo_down(&d, &d.a, "b");
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	const struct ike_sa *sa = list_entry(d.b.ike->sas.next, struct ike_sa, all);
	ck_assert_mem_ne(was, ike_sa_spi(sa), 8);
}
END_TEST

/* The third message once more, before the right one: from another address or port. */
static struct endpoint stray_from, stray_to;
static enum ike1_exchange stray_exchange;
static unsigned third, jobs;

static bool stray_first(struct duo *duo, struct duo_msg *m)
{
	uint8_t copy[4096];

	if (m->from == &duo->b) {
		note(m);
		return true;
	}
	if (m->p[18] != stray_exchange || load_be64(m->p + 8) == 0 || third++)
		return true;
	ck_assert_uint_le(m->len, sizeof(copy));
	memcpy(copy, m->p, m->len);
	jobs = duo->n_jobs;
	ike_receive(duo->b.ike, &stray_to, &stray_from, false, copy, m->len);
	jobs = duo->n_jobs - jobs;
	return true;
}

static void stray(const char *from, uint16_t port, uint16_t to)
{
	third = 0;
	told = false;
	stray_from = (struct endpoint){ d.a.addr, port };
	stray_to = (struct endpoint){ d.b.addr, to };
	if (from)
		ck_assert_int_eq(ip_addr_parse(from, &stray_from.addr), 0);
	d.job_ns = NS_PER_MS;
	duo_start(&d);
	d.hook = stray_first;
	duo_up(&d, &d.a, "b");
	ck_assert_uint_ge(third, 1);
	duo_settle(&d);
	duo_agree(&d);
}

/* No key exchange is computed for it, the event is told, and the right one goes on. */
START_TEST(test_2_5_3_cookie_from_another_address)
{
	static const enum ike1_exchange way[] = { IKE1_X_MAIN, IKE1_X_AGGRESSIVE, IKE1_X_BASE };
	struct duo_node *n[] = { &d.a, &d.b };

	stray_exchange = way[_i];
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->aggressive = stray_exchange == IKE1_X_AGGRESSIVE;
		n[i]->conn->exchange = stray_exchange == IKE1_X_BASE ? IKE_EXCHANGE_BASE : IKE_EXCHANGE_MAIN;
	}
	stray("198.51.100.7", 500, 500);
	ck_assert_uint_eq(jobs, 0);
	ck_assert_uint_eq(d.b.audited[AUDIT_COOKIE], 1);
	ck_assert(told);
}
END_TEST

/* Our port of NAT traversal is not for the third message of Main Mode. */
START_TEST(test_2_5_3_cookie_at_another_port_of_ours)
{
	stray_exchange = IKE1_X_MAIN;
	stray(NULL, 500, 4500);
	ck_assert_uint_eq(jobs, 0);
	ck_assert_uint_eq(d.b.audited[AUDIT_COOKIE], 1);
}
END_TEST

/* Where there is no NAT traversal the port is a part of it, too. */
START_TEST(test_2_5_3_cookie_from_another_port)
{
	struct duo_node *n[] = { &d.a, &d.b };

	stray_exchange = IKE1_X_AUTH_ONLY;
	for (unsigned i = 0; i < 2; i++) {
		n[i]->conn->exchange = IKE_EXCHANGE_AUTH;
		duo_conf_childless(n[i]->conn);
	}
	stray(NULL, 40000, 500);
	ck_assert_uint_eq(jobs, 0);
	ck_assert_uint_eq(d.b.audited[AUDIT_COOKIE], 1);
}
END_TEST

static bool bind_anew(struct duo *duo, struct duo_msg *m)
{
	if (m->from == &duo->a && load_be64(m->p + 8) != 0 && !third++) {
		duo->nat_base += 100;
		m->src.port += 100;
	}
	return true;
}

/* A NAT may give the peer another port at any time. */
START_TEST(test_2_5_3_cookie_behind_a_nat_that_binds_anew)
{
	struct ip_addr any = { .ver = 0 };

	d.a.conn->aggressive = d.b.conn->aggressive = _i;
	third = 0;
	d.nat = true;
	duo_start(&d);
	d.b.conn->remote[0].range = (struct ip_range){ any, any };
	d.hook = bind_anew;
	duo_up(&d, &d.a, "b");
	duo_settle(&d);
	ck_assert_uint_ge(third, 1);
	ck_assert_uint_eq(d.b.audited[AUDIT_COOKIE], 0);
	ck_assert(duo_child(&d.b, 0)->up.udp);
	duo_agree(&d);
}
END_TEST

TCase *v1duo_cookie_case(void)
{
	TCase *t = v1duo_case("RFC 2408 2.5.3");

	tcase_add_test(t, test_2_5_3_depends_on_parties_secret_and_time);
	tcase_add_test(t, test_2_5_3_cookies_are_made_so);
	tcase_add_loop_test(t, test_2_5_3_cookie_from_another_address, 0, 3);
	tcase_add_test(t, test_2_5_3_cookie_at_another_port_of_ours);
	tcase_add_test(t, test_2_5_3_cookie_from_another_port);
	tcase_add_loop_test(t, test_2_5_3_cookie_behind_a_nat_that_binds_anew, 0, 2);
	return t;
}
