/* One plane for fuzz targets: no sockets, a device that swallows everything, SAs with known keys at both ends, policies of each kind. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "plane/internal.h"

#define FUZZ_SPI 0x1000u

static const struct {
	const char *suite;
	bool esn;
	enum sa_encap encap;
	enum sa_df df;
	enum sa_fragment fragment;
} fuzz_sas[] = {
	{ "aes128gcm16", false, SA_ENCAP_UDP, SA_DF_COPY, SA_FRAG_BEFORE },
	{ "null-sha1", false, SA_ENCAP_UDP, SA_DF_CLEAR, SA_FRAG_AFTER },
	{ "aes128-sha256", true, SA_ENCAP_UDP, SA_DF_SET, SA_FRAG_AFTER },
	{ "chacha20poly1305", true, SA_ENCAP_NONE, SA_DF_COPY, SA_FRAG_AFTER },
};
#define FUZZ_SAS ARRAY_LEN(fuzz_sas)

static const struct {
	enum policy_action action;
	const char *local, *remote;
	uint16_t proto, rport;
	int sa;
} fuzz_policies[] = {
	{ POLICY_DISCARD, "10.1.0.0/16", "10.2.0.0/16", IPPROTO_UDP, 81, 0 },
	{ POLICY_REJECT, "10.1.0.0/16", "10.2.0.0/16", IPPROTO_TCP, 81, 0 },
	{ POLICY_BYPASS, "10.1.0.0/16", "10.2.0.0/16", IPPROTO_UDP, 82, 0 },
	{ POLICY_PROTECT, "10.1.0.0/16", "10.2.0.0/16", IPPROTO_UDP, 83, -1 },
	{ POLICY_PROTECT, "10.1.0.0/16", "10.2.0.0/17", PROTO_ANY, 0, 0 },
	{ POLICY_PROTECT, "10.1.0.0/16", "10.2.128.0/17", PROTO_ANY, 0, 1 },
	{ POLICY_PROTECT, "2001::/17", "2001::/16", PROTO_ANY, 0, 2 },
	{ POLICY_PROTECT, "2001:8000::/17", "2001::/16", PROTO_ANY, 0, 3 },
};

static struct plane *fuzz_plane;
static struct worker *fuzz_worker;
static struct sa *fuzz_out[FUZZ_SAS], *fuzz_in[FUZZ_SAS];
static struct crypt_ctx *fuzz_crypt;

static void fuzz_check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "wrong: %s\n", what);
		abort();
	}
}

static struct sa *fuzz_sa(unsigned i, enum ipsec_dir dir)
{
	static const uint8_t key[64] = "known to everybody, so that inputs can be made that authenticate";
	struct sa_conf c = { .proto = SA_ESP, .mode = SA_TUNNEL, .dir = dir, .spi = FUZZ_SPI + i, .encap = fuzz_sas[i].encap,
			     .esn = fuzz_sas[i].esn, .ecn = true, .dscp = -1, .replay_window = 64, .path_mtu = 1500,
			     .df = fuzz_sas[i].df, .fragment = fuzz_sas[i].fragment };
	struct endpoint peer = { ip_addr_from_v4("\xc0\x00\x02\x01"), 4500 };
	struct ip_addr none = { 0 };
	char why[200] = "";
	struct sa *sa;

	c.name = malloc(8);
	snprintf(c.name, 8, "%s%u", dir == DIR_OUT ? "out" : "in", i);
	c.dst = peer.addr;
	fuzz_check(!esp_suite_parse(fuzz_sas[i].suite, NULL, &c.suite, why, sizeof(why)), why);
	fuzz_check(!secret_copy(&c.encr_key, span_of(key, c.suite.key_len + c.suite.encr->salt_len)), "memory");
	fuzz_check(!secret_copy(&c.integ_key, span_of(key, c.suite.integ ? c.suite.integ->key_len : 0)), "memory");
	fuzz_check(!sa_new(&c, 1, &sa, why, sizeof(why)), why);
	fuzz_check(!plane_set_path(fuzz_plane, sa, &none, &peer), "path");
	fuzz_check(!sad_install(plane_sad(fuzz_plane), sa), "install");
	return sa;
}

/* Each policy in both directions: the inner hosts of one side send, those of the other receive. */
static struct policy *fuzz_policy(unsigned i, bool in)
{
	struct policy *p = calloc(1, sizeof(*p));
	int sa = fuzz_policies[i].sa;
	struct port_range port = { fuzz_policies[i].rport ? PORT_RANGE : PORT_ANY, fuzz_policies[i].rport, fuzz_policies[i].rport };

	p->name = strdup("p");
	p->order = i * 2 + in;
	p->action = fuzz_policies[i].action;
	p->dirs = in ? POLICY_DIR_IN : POLICY_DIR_OUT;
	p->mss_clamp = true;
	p->sel = calloc(1, sizeof(*p->sel));
	p->n_sel = 1;
	fuzz_check(!ip_range_parse(fuzz_policies[i].local, in ? &p->sel->remote : &p->sel->local), "range");
	fuzz_check(!ip_range_parse(fuzz_policies[i].remote, in ? &p->sel->local : &p->sel->remote), "range");
	p->sel->proto = fuzz_policies[i].proto;
	p->sel->local_port = in ? port : (struct port_range) { PORT_ANY, 0, 0 };
	p->sel->remote_port = in ? (struct port_range) { PORT_ANY, 0, 0 } : port;
	if (p->action == POLICY_PROTECT && sa >= 0) {
		p->out = malloc(sizeof(*p->out));
		p->out[0] = sa_ref(fuzz_out[sa]);
		p->n_out = 1;
		p->in = malloc(sizeof(*p->in));
		p->in[0] = sa_ref(fuzz_in[sa]);
		p->n_in = 1;
	}
	return p;
}

static void fuzz_set_up(void)
{
	struct plane_opts o = { .workers = 1 };
	struct policy *p[2 * ARRAY_LEN(fuzz_policies)];
	struct spd *spd;
	char why[200] = "";

	if (fuzz_plane)
		return;
	__lsan_disable(); /* what hangs from an SA hangs from guarded memory, where nobody looks for pointers */
	fuzz_check(!secret_init() && !crypt_init(), "start");
	fuzz_check(!plane_new(&o, NULL, &fuzz_plane, why, sizeof(why)), why);
	fuzz_worker = fuzz_plane->worker[0];
	fuzz_worker->tun_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	fuzz_worker->tun_can = GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6;
	fuzz_crypt = crypt_ctx_new(0);
	fuzz_check(fuzz_crypt != NULL, "memory");
	for (unsigned i = 0; i < FUZZ_SAS; i++) {
		fuzz_out[i] = fuzz_sa(i, DIR_OUT);
		fuzz_in[i] = fuzz_sa(i, DIR_IN);
	}
	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		p[i] = fuzz_policy(i / 2, i % 2);
	fuzz_check(!spd_compile(p, ARRAY_LEN(p), &spd), "policies");
	fuzz_check(plane_set_spd(fuzz_plane, spd) == NULL, "no policies before");
	__lsan_enable();
}

static void fuzz_begin(void)
{
	struct worker *w = fuzz_worker;
	struct ipsec_event e[EVENT_RING_SIZE];

	while (plane_events(fuzz_plane, e, EVENT_RING_SIZE) == EVENT_RING_SIZE)
		;
	memset(&w->c, 0, sizeof(w->c));
	w->view = fuzz_plane->view;
	w->now_ns = clock_now_ns();
	w->batch++;
}

/* Forgets the fragments of inner packets: an input knows nothing of those before it. */
static void fuzz_forget(struct fragtab *t)
{
	fragtab_fini(t);
	fuzz_check(!fragtab_init(t, 1), "memory");
}

/* Fragments that wait for the first of their datagram. */
static unsigned fuzz_kept(const struct fragtab *t)
{
	return atomic_load_explicit(&t->n_kept, memory_order_relaxed);
}

/* Packets dropped since fuzz_begin(), without what is counted besides them. */
static uint64_t fuzz_drops(void)
{
	uint64_t n = 0;

	for (unsigned d = 1; d < DROP_REASONS; d++)
		if (d != DROP_RING_FULL && d != DROP_ICMP_LIMIT)
			n += fuzz_worker->c.drop.n[d];
	return n;
}
