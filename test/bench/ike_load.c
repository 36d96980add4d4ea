/*
 * Many initiators in one process: brings IKE SAs up against one responder as fast as it answers,
 * with so many under way at a time, and says how many a second, and what each costs as their number
 * grows. The initiators are the engine itself; their child SAs go nowhere.
 *
 *   ike_load --local ADDR --peer ADDR [--sas N] [--parallel N] [--childless] [--proposal WORDS]
 *            [--psk TEXT | --cert FILE --key FILE --ca FILE] [--timeout SECONDS]
 *
 * One line of JSON leaves. Meant for namespaces of its own: see ike-load.sh.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/crypt.h"
#include "ike/ike.h"

#define BLOCKS 10 /* parts of the run that are timed by themselves */

struct load {
	struct ip_addr local, peer;
	unsigned sas, parallel, timeout_s;
	bool childless;
	const char *proposal, *psk, *cert, *key, *ca;
	int fd[2]; /* ports 500 and 4500 */
	struct ike *ike;
	struct ike_conf conf;
	struct ike_job *jobs, **jobs_end;
	unsigned started, up, failed;
	uint64_t block_ns[BLOCKS]; /* when that part was reached */
	uint32_t last_spi;
	char first_error[512];
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "ike_load: %s: %s\n", what, why);
	exit(1);
}

/* ---- what the engine needs of the world ------------------------------------------------------ */

static int load_send(void *ctx, const struct endpoint *local, const struct endpoint *remote,
		     bool marker, struct span datagram)
{
	struct load *l = ctx;
	struct sockaddr_storage to;
	socklen_t len = endpoint_to_sockaddr(remote, &to);
	uint32_t zero = 0;
	struct iovec v[2] = { { &zero, marker ? 4 : 0 }, { (void *)datagram.p, datagram.len } };
	struct msghdr m = { .msg_name = &to, .msg_namelen = len, .msg_iov = v, .msg_iovlen = 2 };

	return sendmsg(l->fd[marker], &m, 0) < 0 ? -errno : 0;
}

static int load_source(void *ctx, const struct ip_addr *remote, struct ip_addr *local)
{
	*local = ((struct load *)ctx)->local;
	return 0;
}

static uint32_t load_spi(void *ctx, uint8_t proto)
{
	return 0xc0000000 + ++((struct load *)ctx)->last_spi;
}

static void load_spi_free(void *ctx, uint8_t proto, uint32_t spi)
{
}

static int load_child_add(void *ctx, struct ike_child_up *up, char *why, size_t whylen)
{
	secret_free(&up->encr_in);
	secret_free(&up->integ_in);
	secret_free(&up->encr_out);
	secret_free(&up->integ_out);
	return 0;
}

static void load_child(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi)
{
}

static int load_trap(void *ctx, uint32_t reqid, const struct ike_conn_conf *conn,
		     const struct ike_child_conf *child, char *why, size_t whylen)
{
	return 0;
}

static void load_reqid(void *ctx, uint32_t reqid)
{
}

static void load_move(void *ctx, uint32_t reqid, uint32_t spi, bool udp,
		      const struct endpoint *local, const struct endpoint *remote)
{
}

static uint64_t load_used(void *ctx, uint32_t reqid, uint32_t spi, bool in)
{
	return 0;
}

static void load_keepalive(void *ctx, const struct endpoint *local, const struct endpoint *remote)
{
}

/* Jobs run between datagrams, on the one thread there is: the responder is what is measured. */
static int load_submit(void *ctx, struct ike_job *job)
{
	struct load *l = ctx;

	job->next = NULL;
	*l->jobs_end = job;
	l->jobs_end = &job->next;
	return 0;
}

static void run_jobs(struct load *l)
{
	while (l->jobs) {
		struct ike_job *j = l->jobs;
		l->jobs = j->next;
		if (!l->jobs)
			l->jobs_end = &l->jobs;
		j->run(j);
		j->done(j);
	}
}

static void load_resolve(void *ctx, const char *name, struct ike_lookup *l)
{
	l->done(l, NULL, 0, "no names here");
}

static void load_event(void *ctx, const struct ike_event *e)
{
	struct load *l = ctx;

	if (!e->order)
		return;
	if (e->type == IKE_EV_FAILED) {
		l->failed++;
		if (!l->first_error[0] && e->text)
			snprintf(l->first_error, sizeof(l->first_error), "%s", e->text);
	}
	if (e->type == IKE_EV_DONE) {
		l->up++;
		for (unsigned b = 0; b < BLOCKS; b++)
			if (l->up == (uint64_t)l->sas * (b + 1) / BLOCKS)
				l->block_ns[b] = clock_now_ns();
	}
}

/* ---- a connection for each initiator --------------------------------------------------------- */

static void conf_conn(struct load *l, unsigned i, struct ike_conn_conf *c, struct cred *cred,
		      struct cred_cas *cas)
{
	char text[96], why[256];

	snprintf(text, sizeof(text), "load%u", i);
	*c = (struct ike_conn_conf){
		.name = strdup(text),
		.version = 2,
		.local_port = 500,
		.remote_port = 500,
		.fragmentation = IKE_FRAG_YES,
		.childless = l->childless,
		.send_cert = IKE_CERT_ALWAYS,
		.send_certreq = true,
		.keyingtries = 1,
		.allow_weak = false,
		.file = strdup("-"),
	};
	c->local = calloc(1, sizeof(*c->local));
	c->remote = calloc(1, sizeof(*c->remote));
	c->child = calloc(1, sizeof(*c->child));
	if (!c->name || !c->file || !c->local || !c->remote || !c->child)
		die("connections", "out of memory");
	c->local->range = (struct ip_range){ l->local, l->local };
	c->remote->range = (struct ip_range){ l->peer, l->peer };
	c->n_local = c->n_remote = 1;
	if (proposals_parse(IKE_PROTO_IKE, l->proposal, false, &c->proposals, why, sizeof(why)))
		die("--proposal", why);
	c->auth.method = c->peer.method = cred ? IKE_BY_PUBKEY : IKE_BY_PSK;
	if (cred) {
		c->auth.cred = calloc(1, sizeof(struct cred *));
		if (!c->auth.cred)
			die("connections", "out of memory");
		c->auth.cred[0] = cred_ref(cred);
		c->auth.n_cred = 1;
		c->peer.cas = cred_cas_ref(cas);
	} else {
		snprintf(text, sizeof(text), "fqdn:load%u.example", i);
		if (ident_parse(text, &c->auth.id, why, sizeof(why)))
			die(text, why);
	}
	if (l->childless)
		return;
	struct ike_child_conf *k = c->child;
	c->n_child = 1;
	*k = (struct ike_child_conf){ .name = strdup("net"),
				      .proto = IKE_CHILD_ESP,
				      .mode = SA_TUNNEL,
				      .replay_window = 64,
				      .dscp = -1 };
	proposals_default(IKE_PROTO_ESP, &k->proposals);
	snprintf(text, sizeof(text), "10.%u.%u.%u/32", 64 + i / 65536 % 64, i / 256 % 256, i % 256);
	if (!k->name || ts_parse(text, &k->local_ts.ts[0], why, sizeof(why)) ||
	    ts_parse("10.255.0.0/16", &k->remote_ts.ts[0], why, sizeof(why)))
		die(text, why);
	k->local_ts.n = k->remote_ts.n = 1;
}

static void conf_make(struct load *l)
{
	struct cred *cred = NULL;
	struct cred_cas *cas = NULL;
	char why[512];

	if (l->cert) {
		cas = cred_cas_new();
		if (cred_load(l->cert, l->key, NULL, &cred, why, sizeof(why)))
			die(l->cert, why);
		if (!cas || cred_cas_add(cas, l->ca, why, sizeof(why)) < 0)
			die(l->ca, why);
	}
	l->conf = (struct ike_conf){
		.conn = calloc(l->sas, sizeof(*l->conf.conn)),
		.n_conn = l->sas,
		.retransmit = { .timeout_ns = NS_PER_S, .base = 1.5, .tries = 5 },
		.half_open_ns = 30 * NS_PER_S,
		.refs = 1,
		.cas = cas,
	};
	l->conf.psks.psk = calloc(1, sizeof(*l->conf.psks.psk));
	if (!l->conf.conn || !l->conf.psks.psk)
		die("connections", "out of memory");
	l->conf.psks.n = 1;
	l->conf.psks.psk[0].name = strdup("all");
	if (secret_copy(&l->conf.psks.psk[0].key, span_of((const uint8_t *)l->psk, strlen(l->psk))))
		die("secret", "out of memory");
	for (unsigned i = 0; i < l->sas; i++)
		conf_conn(l, i, &l->conf.conn[i], cred, cas);
}

/* ---- the run --------------------------------------------------------------------------------- */

static int open_port(const struct ip_addr *local, uint16_t port)
{
	struct endpoint e = { *local, port };
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&e, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 8 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len))
		die("socket", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static void receive(struct load *l, bool marker)
{
	static uint8_t buf[65536];
	struct sockaddr_storage from;

	for (unsigned i = 0; i < 64; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(l->fd[marker], buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		struct endpoint local = { l->local, marker ? 4500 : 500 }, remote;
		if (n < 0)
			return;
		if (endpoint_from_sockaddr((struct sockaddr *)&from, &remote) || (marker && n < 4))
			continue;
		ike_receive(l->ike, &local, &remote, marker, buf + (marker ? 4 : 0),
			    (size_t)n - (marker ? 4 : 0));
		run_jobs(l);
	}
}

static void start_more(struct load *l)
{
	while (l->started < l->sas && l->started - l->up - l->failed < l->parallel) {
		char name[32], why[256];
		uint64_t order;
		snprintf(name, sizeof(name), l->childless ? "load%u" : "load%u/net", l->started++);
		if (ike_initiate(l->ike, name, &order, why, sizeof(why)))
			die(name, why);
		run_jobs(l);
	}
}

static void run(struct load *l)
{
	uint64_t end = clock_now_ns() + l->timeout_s * NS_PER_S;
	struct pollfd p[2] = { { .fd = l->fd[0], .events = POLLIN }, { .fd = l->fd[1], .events = POLLIN } };

	while (l->up + l->failed < l->sas && clock_now_ns() < end) {
		start_more(l);
		uint64_t now = clock_now_ns(), next = ike_next_ns(l->ike);
		uint64_t wait_ms = next <= now ? 0 : (next - now) / NS_PER_MS + 1;
		if (poll(p, 2, wait_ms > 100 ? 100 : (int)wait_ms) > 0)
			for (unsigned i = 0; i < 2; i++)
				if (p[i].revents)
					receive(l, i);
		ike_tick(l->ike);
		run_jobs(l);
	}
}

static void report(const struct load *l, uint64_t start)
{
	struct ike_stats st;
	struct rusage ru;
	uint64_t last = 0;

	ike_stats(l->ike, &st);
	getrusage(RUSAGE_SELF, &ru);
	for (unsigned b = 0; b < BLOCKS; b++)
		last = l->block_ns[b] ? l->block_ns[b] : last;
	double s = last > start ? (double)(last - start) / 1e9 : 0;
	printf("{\"up\": %u, \"failed\": %u, \"of\": %u, \"seconds\": %.3f, \"per_second\": %.1f, "
	       "\"retransmitted\": %llu, \"bytes_per_sa\": %.0f, \"own_cpu_s\": %.3f, \"block_us\": [",
	       l->up, l->failed, l->sas, s, s > 0 ? l->up / s : 0, (unsigned long long)st.retransmitted,
	       st.established ? (double)st.memory / st.established : 0,
	       (double)ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
		   (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	for (unsigned b = 0; b < BLOCKS && l->block_ns[b]; b++) {
		uint64_t from = b ? l->block_ns[b - 1] : start;
		unsigned n = (unsigned)((uint64_t)l->sas * (b + 1) / BLOCKS - (uint64_t)l->sas * b / BLOCKS);
		printf("%s%.1f", b ? ", " : "", (double)(l->block_ns[b] - from) / 1e3 / n);
	}
	printf("], \"first_error\": \"");
	for (const char *c = l->first_error; *c; c++)
		putchar(*c == '"' || *c == '\\' || *c < ' ' ? '\'' : *c);
	printf("\"}\n");
}

static void options(struct load *l, int argc, char **argv)
{
	static const struct option o[] = {
		{ "local", 1, NULL, 'l' }, { "peer", 1, NULL, 'p' }, { "sas", 1, NULL, 'n' },
		{ "parallel", 1, NULL, 'j' }, { "childless", 0, NULL, 'c' }, { "proposal", 1, NULL, 'a' },
		{ "psk", 1, NULL, 's' }, { "cert", 1, NULL, 'C' }, { "key", 1, NULL, 'K' },
		{ "ca", 1, NULL, 'A' }, { "timeout", 1, NULL, 't' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", o, NULL)) != -1) {
		bool ok = true;
		switch (c) {
		case 'l': ok = ip_addr_parse(optarg, &l->local) == 0; break;
		case 'p': ok = ip_addr_parse(optarg, &l->peer) == 0; break;
		case 'n': l->sas = (unsigned)atoi(optarg); ok = l->sas > 0; break;
		case 'j': l->parallel = (unsigned)atoi(optarg); ok = l->parallel > 0; break;
		case 'c': l->childless = true; break;
		case 'a': l->proposal = optarg; break;
		case 's': l->psk = optarg; break;
		case 'C': l->cert = optarg; break;
		case 'K': l->key = optarg; break;
		case 'A': l->ca = optarg; break;
		case 't': l->timeout_s = (unsigned)atoi(optarg); break;
		default: exit(2);
		}
		if (!ok)
			die(optarg, "not usable");
	}
	if (!l->local.ver || !l->peer.ver || (l->cert && !(l->key && l->ca)))
		die("usage", "--local and --peer are needed; --cert with --key and --ca");
}

int main(int argc, char **argv)
{
	static struct load l = { .sas = 100, .parallel = 32, .timeout_s = 60,
				 .proposal = "aes128gcm16-prfsha256-curve25519", .psk = "load" };
	struct ike_env env = {
		.ctx = &l, .send = load_send, .source = load_source, .spi_alloc = load_spi,
		.spi_free = load_spi_free, .child_add = load_child_add, .child_switch = load_child,
		.child_del = load_child, .trap_add = load_trap, .trap_del = load_reqid,
		.acquire_failed = load_reqid, .child_move = load_move, .child_last_used = load_used,
		.keepalive = load_keepalive, .submit = load_submit, .resolve = load_resolve,
		.event = load_event,
	};
	char why[512];

	options(&l, argc, argv);
	l.jobs_end = &l.jobs;
	for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++)
		log_set_level(i, LOG_LVL_ERROR);
	log_set_output(stderr, false);
	if (secret_init() || crypt_init())
		die("libraries", "not usable");
	conf_make(&l);
	l.fd[0] = open_port(&l.local, 500);
	l.fd[1] = open_port(&l.local, 4500);
	if (ike_new(&env, &l.conf, &l.ike, why, sizeof(why)))
		die("engine", why);
	uint64_t start = clock_now_ns();
	run(&l);
	report(&l, start);
	return l.up == l.sas ? 0 : 1;
}
