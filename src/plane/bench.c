/*
 * Memory to memory. One plane without device or sockets; each worker's thread fills the outbound
 * batch itself and, in place of sending, receives what was sealed:
 *
 *   fill -> outbound_batch() -> [flush: frames become datagrams -> inbound_datagrams() -> deliver:
 *   counted]
 *
 * The packets are UDP from 10.1.w.1 to 172.16/12; the destination chooses policy and SA. They are
 * the same 256 packets in the same memory for any number of SAs, with another destination written
 * into them each time: making them costs the same.
 */
#include "plane/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/random.h"
#include "plane/internal.h"

#define RAW_OPS 256
#define FAR 1009u
#define RAW_STRIDE(size) (((size) + 128 + 63) & ~63u)

static const uint8_t peer_v4[4] = { 192, 0, 2, 1 };

struct bench {
	const struct bench_opts *o;
	struct plane *plane;
	struct sa **out, **in;
};

struct bench_thread {
	struct bench *b;
	struct worker *w;
	bool both;            /* out and in; else out alone */
	uint64_t packets;     /* that reached the end */
	uint64_t elapsed_ns;
	uint32_t own;         /* SAs of this thread: every o->workers'th */
	uint32_t next;        /* of them, the next packet's */
	uint32_t
	    step; /* from one to the next: far, so that no neighbour in memory is the next one */
	pthread_t thread;
};

static int new_sa(const struct bench *b, unsigned i, enum ipsec_dir dir, struct span encr,
		  struct span integ, struct sa **out, char *why, size_t whylen)
{
	struct sa_conf c = { .proto = SA_ESP,
			     .mode = SA_TUNNEL,
			     .dir = dir,
			     .spi = 0x10000 + i,
			     .encap = SA_ENCAP_UDP,
			     .suite = b->o->suite,
			     .replay_window = REPLAY_WINDOW_DEFAULT,
			     .esn = true,
			     .dscp = -1,
			     .ecn = true,
			     .path_mtu = 65535 };
	struct endpoint peer = { ip_addr_from_v4(peer_v4), 4500 };
	struct ip_addr none = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "%s-%u", dir == DIR_OUT ? "out" : "in", i);
	c.name = strdup(name);
	int rc = secret_copy(&c.encr_key, encr);
	if (rc == 0)
		rc = secret_copy(&c.integ_key, integ);
	if (rc == 0)
		rc = sa_new(&c, b->o->workers, out, why, whylen);
	sa_conf_fini(&c);
	if (rc)
		return rc;
	rc = plane_set_path(b->plane, *out, &none, &peer);
	return rc ? rc : sad_install(plane_sad(b->plane), *out);
}

static struct ip_range host(uint32_t v4)
{
	uint8_t b[4];
	store_be32(b, v4);
	struct ip_addr a = ip_addr_from_v4(b);
	return (struct ip_range) { a, a };
}

static struct ip_range net(const char *text)
{
	struct ip_range r;
	if (ip_range_parse(text, &r))
		abort(); /* our own constants */
	return r;
}

static struct policy *new_policy(unsigned order, unsigned dirs, struct ip_range local,
				 struct ip_range remote, struct sa *out, struct sa *in)
{
	struct policy *p = calloc(1, sizeof(*p));
	char name[32];

	if (!p)
		return NULL;
	snprintf(name, sizeof(name), "p%u", order);
	p->name = strdup(name);
	p->order = order;
	p->dirs = dirs;
	p->action = POLICY_PROTECT;
	p->sel = calloc(1, sizeof(*p->sel));
	p->n_sel = 1;
	p->sel[0] = (struct selector) { .local = local, .remote = remote, .proto = PROTO_ANY };
	if (out) {
		p->out = malloc(sizeof(*p->out));
		p->out[0] = sa_ref(out);
		p->n_out = 1;
	}
	if (in) {
		p->in = malloc(sizeof(*p->in));
		p->in[0] = sa_ref(in);
		p->n_in = 1;
	}
	return p;
}

static uint32_t sa_address(unsigned i)
{
	return 0xac100000u + i; /* 172.16.0.0/12 */
}

/* First the policies that do not match (other sources), then a pair for each SA. */
static int make_spd(struct bench *b, struct spd **out, double *seconds)
{
	unsigned n = b->o->policies + 2 * b->o->sas, k = 0;
	struct policy **p = calloc(n, sizeof(*p));
	int rc = p ? 0 : -ENOMEM;

	for (unsigned i = 0; p && i < b->o->policies; i++, k++)
		p[k] = new_policy(k, POLICY_DIR_OUT, net("10.9.0.0/16"), host(sa_address(i)), NULL,
				  NULL);
	for (unsigned i = 0; p && i < b->o->sas; i++) {
		p[k] = new_policy(k, POLICY_DIR_OUT, net("10.1.0.0/16"), host(sa_address(i)),
				  b->out[i], NULL);
		k++;
		p[k] = new_policy(k, POLICY_DIR_IN, host(sa_address(i)), net("10.1.0.0/16"), NULL,
				  b->in[i]);
		k++;
	}
	uint64_t t = clock_now_ns();
	if (p)
		rc = spd_compile(p, n, out);
	*seconds = (double)(clock_now_ns() - t) / 1e9;
	free(p);
	return rc;
}

/* One packet per place of the batch, laid out as outbound_read() does. */
static void make_packets(struct worker *w, uint32_t size)
{
	uint32_t stride =
	    (CACHE_LINE + size + ESP_TAIL_MAX + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1);
	unsigned n = READ_ARENA / stride < BATCH_PKTS ? READ_ARENA / stride : BATCH_PKTS;

	w->n_out = n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *ip = w->read_arena + i * stride + CACHE_LINE;
		memset(ip, 0, size);
		random_bytes(ip + 28, size - 28);
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)size);
		ip[6] = 0x40; /* DF */
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		store_be32(ip + 12, 0x0a010001u + (w->number << 8));
		store_be16(ip + 20, 1024);
		store_be16(ip + 22, 9);
		store_be16(ip + 24, (uint16_t)(size - 20));
		w->out[i].ip = ip;
	}
}

/* Each thread has SAs of its own, as flows of different peers would: two threads on one SA get in
 * each other's replay window when one of them is put to sleep. */
static void fill(struct bench_thread *t, unsigned n)
{
	struct worker *w = t->w;
	const struct bench_opts *o = t->b->o;
	uint32_t size = o->size;

	for (unsigned i = 0; i < n; i++) {
		struct out_pkt *p = &w->out[i];
		p->vnet = (struct virtio_net_hdr) { 0 };
		p->info.len = size;
		if (o->sas > 1) {
			store_be32(p->ip + 16, sa_address(t->next * o->workers + w->number));
			t->next = (t->next + t->step) % t->own;
		} else {
			store_be32(p->ip + 16, sa_address(0));
		}
		if (o->new_flows) {
			uint32_t ports = load_be32(p->ip + 20) + 0x9e3779b1u;
			store_be32(p->ip + 20, ports);
		}
	}
}

static __thread struct bench_thread *running;

static void count_in(struct worker *w)
{
	running->packets += w->n_in;
}

static void count_out(struct worker *w)
{
	running->packets += w->n_frame;
}

/* What was sealed comes back: runs of frames of one size as datagrams with many packets, as UDP_GRO
 * brings them. */
static void loop_back(struct worker *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_frame;) {
		struct sock_rx *rx = &w->rx[n++];
		rx->data = w->frame[i].esp;
		rx->seg = w->frame[i].len;
		rx->len = 0;
		for (unsigned k = 0; k < 64 && i < w->n_frame; k++, i++)
			rx->len += w->frame[i].len;
		rx->truncated = false;
		rx->tos = 0;
		if (n == SOCK_RX_MAX) {
			inbound_datagrams(w, n, true, count_in);
			n = 0;
		}
	}
	inbound_datagrams(w, n, true, count_in);
}

static void one_batch(struct bench_thread *t, unsigned n, uint64_t now)
{
	struct worker *w = t->w;

	w->view = rcu_dereference(w->plane->view);
	w->now_ns = now;
	w->batch++;
	fill(t, n);
	w->n_out = n;
	outbound_batch(w, t->both ? loop_back : count_out);
	urcu_qsbr_quiescent_state();
}

/*
 * Before the clock starts, the flows go round until the flow tables have found their size and know
 * them: what a new flow costs is another question (new_flows). A few keep pushing each other out.
 */
static void settle(struct bench_thread *t, unsigned n)
{
	enum { ROUNDS_MAX = 16 };
	const struct flow_table *out = &t->w->out_flows, *in = &t->w->in_flows;
	unsigned flows = t->b->o->sas / t->b->o->workers + 1;

	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		uint64_t before = out->misses + in->misses;
		for (unsigned done = 0; done < flows; done += n)
			one_batch(t, n, clock_now_ns());
		if (out->misses + in->misses - before <= flows / 100)
			break;
	}
	t->packets = 0;
}

static void *pipeline_thread(void *arg)
{
	struct bench_thread *t = arg;
	struct worker *w = t->w;
	struct endpoint peer = { ip_addr_from_v4(peer_v4), 4500 };

	running = t;
	urcu_qsbr_register_thread();
	make_packets(w, t->b->o->size);
	unsigned n = w->n_out;
	for (unsigned i = 0; i < SOCK_RX_MAX; i++)
		endpoint_to_sockaddr(&peer, &w->rx[i].from);
	t->own = (t->b->o->sas - w->number + t->b->o->workers - 1) / t->b->o->workers;
	t->step = t->own % FAR ? FAR : FAR + 4; /* both are primes: all have their turn */
	if (!t->b->o->new_flows)
		settle(t, n);
	uint64_t start = clock_now_ns(), now = start, end = start + t->b->o->millis * NS_PER_MS;
	while (now < end) {
		one_batch(t, n, now);
		now = clock_now_ns();
	}
	t->elapsed_ns = now - start;
	urcu_qsbr_unregister_thread();
	return NULL;
}

static int measure_pipeline(struct bench *b, unsigned workers, bool both, struct bench_rate *r,
			    char *why, size_t whylen)
{
	struct bench_thread t[PLANE_MAX_WORKERS] = { 0 };
	uint64_t dropped = 0;

	for (unsigned i = 0; i < workers; i++) {
		t[i] = (struct bench_thread) { .b = b, .w = b->plane->worker[i], .both = both };
		if (pthread_create(&t[i].thread, NULL, pipeline_thread, &t[i])) {
			snprintf(why, whylen, "cannot start a thread");
			return -EAGAIN;
		}
	}
	*r = (struct bench_rate) { 0 };
	for (unsigned i = 0; i < workers; i++) {
		pthread_join(t[i].thread, NULL);
		r->mpps += (double)t[i].packets * 1e3 / (double)t[i].elapsed_ns;
	}
	r->gbps = r->mpps * b->o->size * 8 / 1e3;
	struct plane_stats s;
	plane_stats(b->plane, &s);
	for (unsigned d = 0; d < DROP_REASONS; d++) {
		if (s.drop.n[d])
			snprintf(why, whylen, "%llu packets dropped: %s",
				 (unsigned long long)s.drop.n[d], drop_info(d)->why);
		dropped += s.drop.n[d];
	}
	return dropped ? -EIO : 0;
}

struct cipher_thread {
	struct bench *b;
	unsigned number;
	struct bench_rate seal, open;
	int rc;
	pthread_t thread;
};

static void cipher_op(struct crypt_op *op, bool seal, const struct sa *sa, uint8_t *mem,
		      uint32_t stride, uint32_t text, uint64_t seq)
{
	uint8_t *esp = mem + stride;

	if (seal) {
		esp_seal_op(sa, seq, esp, mem, text, op);
		return;
	}
	op->key = &sa->key;
	op->esp = esp;
	op->src = esp + esp_text_off(sa);
	op->dst = mem;
}

/* The cipher alone: one key, a batch of packets of the same size, over and over. */
static int run_cipher(struct cipher_thread *t, struct crypt_op *op, uint8_t *mem, uint32_t stride)
{
	struct bench *b = t->b;
	struct crypt_ctx *ctx = b->plane->worker[t->number]->crypt;
	uint32_t text = esp_text_len(b->out[t->number], b->o->size);

	for (int pass = 0; pass < 2; pass++) {
		bool seal = pass == 0;
		const struct sa *sa = (seal ? b->out : b->in)[t->number];
		uint64_t start = clock_now_ns(), now = start, n = 0;
		while (now - start < b->o->millis * NS_PER_MS) {
			for (unsigned i = 0; i < RAW_OPS; i++)
				cipher_op(&op[i], seal, sa, mem + (size_t)stride * 2 * i, stride,
					  text, n + i + 1);
			(seal ? crypt_seal : crypt_open)(ctx, op, RAW_OPS);
			n += RAW_OPS;
			now = clock_now_ns();
		}
		for (unsigned i = 0; i < RAW_OPS; i++)
			if (!op[i].ok)
				return -EIO;
		struct bench_rate *r = seal ? &t->seal : &t->open;
		r->mpps = (double)n * 1e3 / (double)(now - start);
		r->gbps = r->mpps * b->o->size * 8 / 1e3;
	}
	return 0;
}

static void *cipher_thread(void *arg)
{
	struct cipher_thread *t = arg;
	uint32_t stride = RAW_STRIDE(esp_text_len(t->b->out[t->number], t->b->o->size));
	uint8_t *mem = aligned_alloc(64, (size_t)stride * RAW_OPS * 2);
	struct crypt_op *op = calloc(RAW_OPS, sizeof(*op));

	t->rc = mem && op ? run_cipher(t, op, mem, stride) : -ENOMEM;
	free(mem);
	free(op);
	return NULL;
}

static void rate_add(struct bench_rate *sum, const struct bench_rate *r)
{
	sum->mpps += r->mpps;
	sum->gbps += r->gbps;
}

/* On so many threads at once, each with a key of its own. */
static int measure_cipher(struct bench *b, unsigned threads, struct bench_rates *r)
{
	struct cipher_thread t[PLANE_MAX_WORKERS] = { 0 };
	unsigned n;
	int rc = 0;

	for (n = 0; n < threads && rc == 0; n++) {
		t[n] = (struct cipher_thread) { .b = b, .number = n };
		if (pthread_create(&t[n].thread, NULL, cipher_thread, &t[n]))
			rc = -EAGAIN;
	}
	if (rc)
		n--; /* the one that did not start */
	for (unsigned i = 0; i < n; i++) {
		pthread_join(t[i].thread, NULL);
		rate_add(&r->seal, &t[i].seal);
		rate_add(&r->open, &t[i].open);
		rc = rc ? rc : t[i].rc;
	}
	return rc;
}

/* The four figures, in the order of the fields. */
static int measure(struct bench *b, unsigned workers, struct bench_rates *r,
		   void (*progress)(const char *what), char *why, size_t whylen)
{
	char what[64];

	snprintf(what, sizeof(what), "ciphers alone, threads: %u", workers);
	progress(what);
	int rc = measure_cipher(b, workers, r);
	snprintf(what, sizeof(what), "pipeline out, workers: %u", workers);
	progress(what);
	if (rc == 0)
		rc = measure_pipeline(b, workers, false, &r->out, why, whylen);
	snprintf(what, sizeof(what), "pipeline out and in, workers: %u", workers);
	progress(what);
	if (rc == 0)
		rc = measure_pipeline(b, workers, true, &r->out_in, why, whylen);
	return rc;
}

static void no_progress(const char *what)
{
	(void)what;
}

static int set_up(struct bench *b, struct bench_result *r, char *why, size_t whylen)
{
	const struct bench_opts *o = b->o;
	struct plane_opts po = { .workers = o->workers };
	uint8_t encr[64], integ[64];
	struct spd *spd = NULL;
	int rc = plane_new(&po, NULL, &b->plane, why, whylen);

	if (rc)
		return rc;
	b->out = calloc(o->sas, sizeof(*b->out));
	b->in = calloc(o->sas, sizeof(*b->in));
	if (!b->out || !b->in)
		return -ENOMEM;
	for (unsigned i = 0; i < o->sas && rc == 0; i++) {
		struct span e = span_of(encr, o->suite.key_len + o->suite.encr->salt_len);
		struct span a = span_of(integ, o->suite.integ ? o->suite.integ->key_len : 0);
		random_bytes(encr, sizeof(encr));
		random_bytes(integ, sizeof(integ));
		rc = new_sa(b, i, DIR_OUT, e, a, &b->out[i], why, whylen);
		if (rc == 0)
			rc = new_sa(b, i, DIR_IN, e, a, &b->in[i], why, whylen);
	}
	wipe(encr, sizeof(encr));
	wipe(integ, sizeof(integ));
	if (rc)
		return rc;
	r->sa_bytes = ((double)sa_bytes(b->out[0]) + (double)sa_bytes(b->in[0])) / 2;
	r->key_bytes = (double)crypt_key_bytes(&b->out[0]->key);
	r->backend = crypt_backend_name(crypt_key_backend(&b->out[0]->key));
	rc = make_spd(b, &spd, &r->spd_load_s);
	if (rc) {
		snprintf(why, whylen, "out of memory for the policies");
		return rc;
	}
	r->spd_bytes = spd_bytes(spd);
	spd = plane_set_spd(b->plane, spd);
	spd_free(&spd);
	return 0;
}

static void tear_down(struct bench *b)
{
	for (unsigned i = 0; b->plane && i < b->o->sas; i++) {
		if (b->out && b->out[i])
			sa_unref(&b->out[i]);
		if (b->in && b->in[i])
			sa_unref(&b->in[i]);
	}
	free(b->out);
	free(b->in);
	plane_free(&b->plane);
}

int bench_run(const struct bench_opts *opts, struct bench_result *r,
	      void (*progress)(const char *what), char *why, size_t whylen)
{
	struct bench_opts own = *opts, *o = &own;
	struct bench b = { .o = o };

	*r = (struct bench_result) { 0 };
	snprintf(why, whylen, "out of memory");
	if (o->size < 28 || o->size > 16384 || o->sas == 0 || o->sas > 0x100000 ||
	    o->workers == 0 || o->workers > PLANE_MAX_WORKERS || o->policies > 0x100000) {
		snprintf(why, whylen,
			 "sizes are 28 to 16384 bytes, SAs 1 to 1048576, policies up to 1048576, "
			 "workers 1 to %d",
			 PLANE_MAX_WORKERS);
		return -EINVAL;
	}
	if (own.sas < own.workers)
		own.sas = own.workers;
	if (progress)
		progress("setting up");
	int rc = set_up(&b, r, why, whylen);
	if (!progress)
		progress = no_progress;
	if (rc == 0)
		rc = measure(&b, o->workers, &r->all, progress, why, whylen);
	r->one = r->all;
	if (rc == 0 && o->workers > 1) {
		r->one = (struct bench_rates) { 0 };
		rc = measure(&b, 1, &r->one, progress, why, whylen);
	}
	tear_down(&b);
	return rc;
}
