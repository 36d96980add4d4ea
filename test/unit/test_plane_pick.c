/*
 * Policies that look at every packet: parallel SAs by DSCP (RFC 4301 4.1) and by sensitivity label (RFC 2401 8.5), and what
 * labels may pass where (RFC 2401 8.2, 8.4).
 */
#include <stdlib.h>
#include <string.h>

#include "packet/csum.h"
#include "packet/ecn.h"
#include "plane_rig.h"

#define MORE 3

static struct rig rig;
static uint8_t pkt[2000], esp[2100];
static struct sa *out[MORE], *in[MORE];

/* What the policies of both sides are about; labels of SA 0 are those of the rig's own. */
struct setup {
	const char *label[MORE + 1], *device, *range, *unlabelled;
	uint64_t dscp[MORE + 1];
	enum policy_action action;
	bool ah;           /* the parallel ones */
	unsigned more;     /* how many */
	bool no_first;     /* only they are in the policy */
};

static struct label_range *label(const char *text)
{
	struct label_range *r = NULL;
	char why[160];

	if (text) {
		r = malloc(sizeof(*r));
		ck_assert_msg(label_range_parse(text, r, why, sizeof(why)) == 0, "%s: %s", text, why);
	}
	return r;
}

static void mark(struct sa *sa, const struct setup *s, unsigned i)
{
	free(sa->conf->label);
	sa->conf->label = label(s->label[i]);
	sa->conf->match_dscp = s->dscp[i];
}

static void policy_of(struct plane *p, const struct setup *s, enum ipsec_dir dir)
{
	struct policy *list[2];
	struct label_range *device = label(s->device), *range = label(s->range), *un = label(s->unlabelled);
	struct spd *spd;

	for (unsigned v = 0; v < 2; v++) {
		struct policy *pol = list[v] = calloc(1, sizeof(*pol));
		pol->name = strdup("pick");
		pol->action = s->action;
		pol->dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
		pol->sel = calloc(1, sizeof(*pol->sel));
		pol->n_sel = 1;
		pol->sel[0] = (struct selector) { .local = ip_range_all(v ? 6 : 4), .remote = ip_range_all(v ? 6 : 4), .proto = PROTO_ANY };
		pol->out = calloc(1, sizeof(*pol->out));
		pol->in = calloc(1, sizeof(*pol->in));
		pol->also = calloc(MORE, sizeof(*pol->also));
		if (s->action == POLICY_PROTECT && !s->no_first)
			*(dir == DIR_OUT ? pol->out : pol->in) = sa_ref(dir == DIR_OUT ? rig.out : rig.in);
		pol->n_out = s->action == POLICY_PROTECT && !s->no_first && dir == DIR_OUT;
		pol->n_in = s->action == POLICY_PROTECT && !s->no_first && dir == DIR_IN;
		for (unsigned i = 0; i < s->more; i++)
			pol->also[pol->n_also++] = sa_ref(dir == DIR_OUT ? out[i] : in[i]);
		ck_assert_int_eq(policy_set_labels(pol, device, range, un), 0);
	}
	ck_assert_int_eq(spd_compile(list, 2, &spd), 0);
	struct spd *was = plane_set_spd(p, spd);
	spd_free(&was);
	free(device);
	free(range);
	free(un);
}

static void start(const struct setup *s)
{
	struct rig_opts o = { .raw = s->ah };

	rig_new(&rig, &o);
	rig.o.ah = s->ah;
	if (s->ah)
		rig.o.suite = "null-sha256";
	for (unsigned i = 0; i < s->more; i++) {
		out[i] = rig_sa(&rig, DIR_OUT, 0x3000 + i, 0);
		in[i] = rig_sa(&rig, DIR_IN, 0x3000 + i, 0);
		mark(out[i], s, i + 1);
		mark(in[i], s, i + 1);
		in[i]->conf->match_dscp = 0;
	}
	mark(rig.out, s, 0);
	mark(rig.in, s, 0);
	rig.in->conf->match_dscp = 0;
	policy_of(rig.pa, s, DIR_OUT);
	policy_of(rig.pb, s, DIR_IN);
}

static void finish(const struct setup *s)
{
	for (unsigned i = 0; i < s->more; i++) {
		sa_unref(&out[i]);
		sa_unref(&in[i]);
	}
	rig_free(&rig);
}

/* A packet with these options, a multiple of 4 bytes. */
static uint32_t with_options(const void *opt, unsigned opt_len)
{
	uint32_t n = rig_udp(4, 1, 100, pkt);

	memmove(pkt + 20 + opt_len, pkt + 20, n - 20);
	memcpy(pkt + 20, opt, opt_len);
	pkt[0] = (uint8_t)(0x45 + opt_len / 4);
	store_be16(pkt + 2, (uint16_t)(n + opt_len));
	csum_ip4_set(pkt);
	return n + opt_len;
}

/* DOI 1, categories 0..7 as bits; level below 0: no label. */
static uint32_t labelled(int level, uint8_t cats)
{
	uint8_t opt[12] = { 134, 11, 0, 0, 0, 1, 1, 5, 0, (uint8_t)level, cats, 0 };

	return level < 0 ? rig_udp(4, 1, 100, pkt) : with_options(opt, sizeof(opt));
}

static void set_tos(uint8_t tos)
{
	ip_set_tos(pkt, tos);
}

/* Sends it; by the SA of this SPI, or dropped for `why`. */
static void goes(uint32_t n, uint32_t spi, enum drop why)
{
	rig_wire_clear(&rig);
	rig_send(&rig, pkt, n);
	if (spi) {
		ck_assert_uint_eq(rig.n_wire, 1);
		const uint8_t *p = rig.wire[0].p;
		ck_assert_uint_eq(load_be32(rig.o.ah && spi != RIG_SPI ? p + 24 : p), spi);
		rig_dropped(rig.a, DROP_NONE, 0);
	} else {
		ck_assert_uint_eq(rig.n_wire, 0);
		rig_dropped(rig.a, why, 1);
	}
}

/* ---- DSCP */

/* Each DSCP by its own SA, packets of one flow too; the rest by that of `out`. All are taken in. */
START_TEST(test_dscp)
{
	const struct setup s = { .more = 2, .dscp = { 0, 1ull << 46, 0xffull << 8 | 1ull << 63 } };

	start(&s);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned dscp = 0; dscp < 64; dscp++) {
			uint32_t n = rig_udp(4, 1, 64, pkt);
			set_tos((uint8_t)(dscp << 2 | 1));
			goes(n, dscp == 46				    ? 0x3000
				: (dscp >= 8 && dscp < 16) || dscp == 63 ? 0x3001
									    : RIG_SPI, DROP_NONE);
			rig_got_clear(&rig);
			rig_in_all(&rig);
			rig_got_is(&rig, 0, pkt, n);
		}
	ck_assert_uint_eq(out[0]->packets, 3);
	ck_assert_uint_eq(in[1]->packets, 27);
	rig_dropped(rig.b, DROP_NONE, 0);
	finish(&s);
}
END_TEST

START_TEST(test_dscp_ipv6)
{
	const struct setup s = { .more = 1, .dscp = { 0, 1ull << 46 } };

	start(&s);
	uint32_t n = rig_udp(6, 1, 64, pkt);
	goes(n, RIG_SPI, DROP_NONE);
	set_tos(46 << 2);
	goes(n, 0x3000, DROP_NONE);
	finish(&s);
}
END_TEST

/* In one batch, with others between. */
START_TEST(test_dscp_batch)
{
	const struct setup s = { .more = 1, .dscp = { 0, 1ull << 46 } };

	start(&s);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t n = rig_udp(4, 1, 64, pkt);
		set_tos(i % 3 ? 46 << 2 : 0);
		rig_put(&rig, NULL, pkt, n);
	}
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 20);
	ck_assert_uint_eq(out[0]->packets, 13);
	ck_assert_uint_eq(rig.out->packets, 7);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 20);
	finish(&s);
}
END_TEST

/* The SA of `out` may be for some only as well: then there is none for the others. */
START_TEST(test_dscp_none)
{
	const struct setup s = { .more = 1, .dscp = { 1, 1ull << 46 } }, t = { .more = 1, .dscp = { 0, 1ull << 46 }, .no_first = true };
	uint32_t n = rig_udp(4, 1, 64, pkt);

	start(&s);
	goes(n, RIG_SPI, DROP_NONE);
	set_tos(46 << 2);
	goes(n, 0x3000, DROP_NONE);
	set_tos(10 << 2);
	goes(n, 0, DROP_NO_SA);
	finish(&s);
	start(&t);
	goes(n, 0, DROP_NO_SA);
	set_tos(46 << 2);
	goes(n, 0x3000, DROP_NONE);
	rig_in_all(&rig);
	rig_got_is(&rig, 0, pkt, n);
	finish(&t);
}
END_TEST

/* Parallel ones that go through wrap.c and nest.c. */
START_TEST(test_dscp_ah)
{
	const struct setup s = { .more = 1, .dscp = { 0, 1ull << 46 }, .ah = true };
	uint32_t n = rig_udp(4, 1, 64, pkt);

	start(&s);
	set_tos(46 << 2);
	goes(n, 0x3000, DROP_NONE);
	rig_in_ah(&rig, rig.wire[0].p, rig.wire[0].len);
	rig_got_is(&rig, 0, pkt, n);
	rig_dropped(rig.b, DROP_NONE, 0);
	finish(&s);
}
END_TEST

/* ---- labels, out */

/* RFC 2401 8.5: the sensitivity chooses the SA; those without a label carry what has none. */
START_TEST(test_label_chooses)
{
	const struct setup s = { .more = 2, .label = { NULL, "doi 1 level 3 categories 1", "doi 1 level 4 to level 6 categories 0-7" } };

	start(&s);
	goes(labelled(-1, 0), RIG_SPI, DROP_NONE);
	goes(labelled(3, 0x40), 0x3000, DROP_NONE);
	goes(labelled(4, 0), 0x3001, DROP_NONE);
	goes(labelled(6, 0xff), 0x3001, DROP_NONE);
	goes(labelled(3, 0), 0, DROP_LABEL);
	goes(labelled(7, 0), 0, DROP_LABEL);
	rig_got_clear(&rig);
	goes(labelled(4, 1), 0x3001, DROP_NONE);
	rig_in_all(&rig);
	ck_assert_uint_eq(rig.n_got, 1);
	finish(&s);
}
END_TEST

/* Both: the label first. */
START_TEST(test_label_and_dscp)
{
	const struct setup s = { .more = 3,
				 .label = { NULL, "doi 1 level 3", "doi 1 level 3", "doi 1 level 4" },
				 .dscp = { 0, 1ull << 46, 0, 1ull << 46 } };
	uint32_t n;

	start(&s);
	n = labelled(3, 0);
	goes(n, 0x3001, DROP_NONE);
	set_tos(46 << 2);
	goes(n, 0x3000, DROP_NONE);
	n = labelled(4, 0);
	goes(n, 0, DROP_NO_SA);
	set_tos(46 << 2);
	goes(n, 0x3002, DROP_NONE);
	finish(&s);
}
END_TEST

/* RFC 2401 8.2, 8.6: interface and addresses have a range; packets without label may have that of their network. */
START_TEST(test_label_ranges)
{
	const struct setup s = { .device = "doi 1 level 1 to level 5 categories 0-7", .range = "doi 1 level 2 to level 9" },
			   t = { .device = "doi 1 level 1 to level 5", .unlabelled = "doi 1 level 2" },
			   u = { .label = { "doi 1 level 2" }, .unlabelled = "doi 1 level 2" },
			   v = { .label = { "doi 1 level 2" } };

	start(&s);
	goes(labelled(2, 0), RIG_SPI, DROP_NONE);
	goes(labelled(5, 0), RIG_SPI, DROP_NONE);
	goes(labelled(1, 0), 0, DROP_LABEL);
	goes(labelled(6, 0), 0, DROP_LABEL);
	goes(labelled(2, 1), 0, DROP_LABEL);
	goes(labelled(-1, 0), 0, DROP_LABEL);
	finish(&s);
	start(&t);
	goes(labelled(-1, 0), RIG_SPI, DROP_NONE);
	goes(labelled(6, 0), 0, DROP_LABEL);
	finish(&t);
	start(&u);
	goes(labelled(-1, 0), RIG_SPI, DROP_NONE);
	goes(labelled(1, 0), 0, DROP_LABEL);
	finish(&u);
	start(&v);
	goes(labelled(-1, 0), 0, DROP_LABEL);
	finish(&v);
}
END_TEST

START_TEST(test_label_malformed)
{
	const struct setup s = { .label = { "doi 1 level 2" } }, none = { .more = 0 };
	static const uint8_t bad[12] = { 134, 11, 0, 0, 0, 1, 1, 5, 7, 2, 0, 0 };

	start(&s);
	goes(with_options(bad, sizeof(bad)), 0, DROP_LABEL_FORMAT);
	finish(&s);
	start(&none); /* nobody looks */
	goes(with_options(bad, sizeof(bad)), RIG_SPI, DROP_NONE);
	finish(&none);
}
END_TEST

/* A policy that lets pass checks as well; one that discards needs not. */
START_TEST(test_label_bypass)
{
	const struct setup s = { .device = "doi 1 level 2", .action = POLICY_BYPASS },
			   t = { .device = "doi 1 level 2", .action = POLICY_DISCARD };

	start(&s);
	rig_send(&rig, pkt, labelled(3, 0));
	rig_dropped(rig.a, DROP_LABEL, 1);
	rig_send(&rig, pkt, labelled(2, 0)); /* there is no socket */
	rig_dropped(rig.a, DROP_BYPASS, 1);
	finish(&s);
	start(&t);
	rig_send(&rig, pkt, labelled(3, 0));
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 1);
	finish(&t);
}
END_TEST

/* ---- labels, in */

static uint64_t seq;

/* B gets it by its own SA. */
static void comes(uint32_t n, enum drop why)
{
	rig_got_clear(&rig);
	rig_in(&rig, esp, rig_seal_packet(&rig, ++seq, pkt, n, 0, 4, esp), 0);
	if (why == DROP_NONE)
		rig_got_is(&rig, 0, pkt, n);
	else
		ck_assert_uint_eq(rig.n_got, 0);
	rig_dropped(rig.b, why, why != DROP_NONE);
}

START_TEST(test_label_in)
{
	const struct setup s = { .label = { "doi 1 level 2 to level 4" } },
			   t = { .label = { "doi 1 level 2 to level 4" }, .device = "doi 1 level 3 to level 9" },
			   u = { .label = { "doi 1 level 4 to level 5" }, .device = "doi 1 level 3 to level 9", .range = "doi 1 level 0 to level 5" },
			   v = { .device = "doi 1 level 3" },
			   x = { .more = 1, .label = { NULL, "doi 1 level 3" } };
	static const uint8_t bad[12] = { 134, 11, 0, 0, 0, 1, 1, 5, 7, 2, 0, 0 };

	seq = 0;
	start(&s);
	comes(labelled(2, 0), DROP_NONE);
	comes(labelled(4, 0), DROP_NONE);
	comes(labelled(5, 0), DROP_LABEL);
	comes(labelled(-1, 0), DROP_NONE); /* it is what its SA is */
	comes(with_options(bad, sizeof(bad)), DROP_LABEL_FORMAT);
	comes(labelled(2, 0), DROP_NONE); /* after one that passed, each is still looked at */
	comes(labelled(1, 0), DROP_LABEL);
	finish(&s);
	start(&t);
	comes(labelled(3, 0), DROP_NONE);
	comes(labelled(2, 0), DROP_LABEL);
	comes(labelled(-1, 0), DROP_LABEL); /* it may be 2 */
	finish(&t);
	start(&u);
	comes(labelled(-1, 0), DROP_NONE);
	comes(labelled(5, 0), DROP_NONE);
	finish(&u);
	start(&v);
	comes(labelled(3, 0), DROP_NONE);
	comes(labelled(-1, 0), DROP_LABEL);
	finish(&v);
	start(&x); /* by the SA for what has no label */
	comes(labelled(-1, 0), DROP_NONE);
	comes(labelled(3, 0), DROP_LABEL);
	finish(&x);
}
END_TEST

/* RFC 2401 7: it is audited, with what it was. */
START_TEST(test_label_audit)
{
	const struct setup s = { .label = { "doi 1 level 2" } };
	struct audit_event e[2];

	seq = 0;
	start(&s);
	comes(labelled(3, 0), DROP_LABEL);
	ck_assert_uint_eq(plane_audit(rig.pb, e, 2), 1);
	ck_assert_uint_eq(e[0].id, AUDIT_SA_LABEL);
	ck_assert_uint_eq(e[0].reason, DROP_LABEL);
	ck_assert_uint_eq(e[0].spi, RIG_SPI);
	ck_assert_uint_eq(e[0].seq, 1);
	ck_assert_uint_ne(e[0].have & AUDIT_F_INNER, 0);
	goes(labelled(3, 0), 0, DROP_LABEL);
	ck_assert_uint_eq(plane_audit(rig.pa, e, 2), 1);
	ck_assert_uint_eq(e[0].id, AUDIT_LABEL);
	ck_assert(e[0].out);
	ck_assert_uint_ne(e[0].have & AUDIT_F_INNER, 0);
	finish(&s);
}
END_TEST

TCase *tcase_plane_pick(void)
{
	TCase *t = tcase_create("pick");

	tcase_add_test(t, test_dscp);
	tcase_add_test(t, test_dscp_ipv6);
	tcase_add_test(t, test_dscp_batch);
	tcase_add_test(t, test_dscp_none);
	tcase_add_test(t, test_dscp_ah);
	tcase_add_test(t, test_label_chooses);
	tcase_add_test(t, test_label_and_dscp);
	tcase_add_test(t, test_label_ranges);
	tcase_add_test(t, test_label_malformed);
	tcase_add_test(t, test_label_bypass);
	tcase_add_test(t, test_label_in);
	tcase_add_test(t, test_label_audit);
	return t;
}
