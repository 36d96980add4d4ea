/* See plane_rig.h. */
#include "must.h"
#include "plane_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto_util.h"

uint64_t rig_now_ns = 1000 * NS_PER_S;
static struct rig *current; /* for callbacks, which know only their worker */

static uint64_t now(void)
{
	return rig_now_ns;
}

static uint64_t wall(void)
{
	return 1700000000ull * NS_PER_S + rig_now_ns;
}

bool rig_global_init(void)
{
	clock_set_source(now, wall);
	return secret_init() == 0 && crypt_init() == 0;
}

/* ---- making ------------------------------------------------------------------------------------ */

static struct sa *make_sa(struct rig *r, enum ipsec_dir dir, uint32_t spi, uint32_t reqid)
{
	const struct rig_opts *o = &r->o;
	struct sa_conf c = { .proto = o->ah ? SA_AH : SA_ESP, .mode = SA_TUNNEL, .dir = dir, .spi = spi, .reqid = reqid };
	uint8_t key[64];
	char why[200], name[32];
	struct sa *sa;

	snprintf(name, sizeof(name), spi == RIG_SPI ? "%s" : "%s-%u", dir == DIR_OUT ? "out" : "in", spi);
	c.name = strdup(name);
	c.encap = o->raw ? SA_ENCAP_NONE : SA_ENCAP_UDP;
	c.suite = o->suite_made ? *o->suite_made : suite_of(o->suite ? o->suite : "aes128gcm16");
	c.esn = o->esn;
	c.ecn = !o->no_ecn;
	c.replay_window = o->no_window ? 0 : o->window ? o->window : REPLAY_WINDOW_DEFAULT;
	c.life = dir == DIR_OUT ? o->life_out : o->life_in;
	c.df = o->df;
	c.fragment = o->fragment;
	c.dscp = o->dscp - 1;
	c.path_mtu = o->path_mtu ? o->path_mtu : 1500;
	ck_assert_int_eq(ip_addr_parse(o->src ? o->src : o->outer_ver == 6 ? "2001:db8::1" : "192.0.2.1", &c.src), 0);
	ck_assert_int_eq(ip_addr_parse(o->dst ? o->dst : o->outer_ver == 6 ? "2001:db8::2" : "192.0.2.2", &c.dst), 0);
	c.mode = o->transport ? SA_TRANSPORT : SA_TUNNEL;
	if (ip_addr_is_multicast(&c.dst))
		c.interface = strdup("lo");
	c.preserve = o->preserve;
	if (dir == DIR_OUT) {
		c.sender_id = o->sender_id;
		c.sender_bits = o->sender_bits;
	} else if (o->from_any) {
		c.src.ver = 0;
		c.replay_window = 0;
	}
	if (dir == DIR_IN && o->oa_src) {
		ck_assert_int_eq(ip_addr_parse(o->oa_src, &c.oa_src), 0);
		ck_assert_int_eq(ip_addr_parse(o->oa_dst, &c.oa_dst), 0);
	}
	if (dir == DIR_IN && o->sel_in) {
		c.sel = malloc(sizeof(*c.sel));
		*c.sel = *o->sel_in;
		c.n_sel = 1;
	}
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7 + 1);
	ck_assert_int_eq(secret_copy(&c.encr_key, span_of(key, c.suite.key_len + c.suite.encr->salt_len)), 0);
	ck_assert_int_eq(secret_copy(&c.integ_key, span_of(key, c.suite.integ ? c.suite.integ->key_len : 0)), 0);
	ck_assert_msg(sa_new(&c, o->workers ? o->workers : 1, &sa, why, sizeof(why)) == 0, "%s", why);
	return sa;
}

static void enter(struct rig *r, struct sa *sa)
{
	struct plane *p = sa->dir == DIR_OUT ? r->pa : r->pb;
	struct endpoint peer_b = { .addr = sa->conf->dst, .port = sa->encap == SA_ENCAP_UDP ? r->peer_a.port : 0 };
	struct ip_addr none = { 0 };

	sa->ifindex = sa->group;
	const struct ip_addr *src = sa->dir == DIR_OUT && (r->o.transport || r->o.ah || r->o.src) ? &sa->conf->src : &none;
	if (sa->dir == DIR_IN || !r->o.no_peer)
		ck_assert_int_eq(plane_set_path(p, sa, src, sa->dir == DIR_OUT ? &peer_b : &r->peer_a), 0);
	ck_assert_int_eq(sad_install(plane_sad(p), sa), 0);
}

struct sa *rig_sa(struct rig *r, enum ipsec_dir dir, uint32_t spi, uint32_t reqid)
{
	struct sa *sa = make_sa(r, dir, spi, reqid);

	enter(r, sa);
	return sa;
}

static struct port_range ports(uint16_t port)
{
	return port ? (struct port_range) { PORT_RANGE, port, port } : (struct port_range) { PORT_ANY, 0, 0 };
}

static struct policy *make_policy(struct rig *r, const struct rig_policy *s, unsigned order, bool side_b)
{
	struct policy *p = calloc(1, sizeof(*p));
	struct selector *sel = calloc(1, sizeof(*sel));
	const char *mine = s->local ? s->local : "10.1.0.0/16", *theirs = s->remote ? s->remote : "10.2.0.0/16";
	char name[16];

	snprintf(name, sizeof(name), "p%u", order);
	p->name = strdup(name);
	p->order = order;
	p->action = s->action;
	p->dirs = POLICY_DIR_OUT | POLICY_DIR_IN;
	p->mss_clamp = !s->no_clamp;
	p->sel = sel;
	p->n_sel = 1;
	ck_assert_int_eq(ip_range_parse(side_b ? theirs : mine, &sel->local), 0);
	ck_assert_int_eq(ip_range_parse(side_b ? mine : theirs, &sel->remote), 0);
	sel->proto = s->proto ? s->proto : PROTO_ANY;
	sel->local_port = ports(side_b ? s->rport : s->lport);
	sel->remote_port = ports(side_b ? s->lport : s->rport);
	p->reqid = s->reqid;
	p->each = s->each;
	if (s->action == POLICY_PROTECT && !s->no_sa && !s->reqid) {
		struct sa ***list = side_b ? &p->in : &p->out;
		*list = malloc(sizeof(**list));
		(*list)[0] = sa_ref(side_b ? r->in : r->out);
		if (side_b)
			p->n_in = 1;
		else
			p->n_out = 1;
	}
	return p;
}

struct spd *rig_spd(struct rig *r, const struct rig_policy *p, unsigned n, bool side_b)
{
	struct policy *list[RIG_POLICIES];
	struct spd *spd;

	for (unsigned i = 0; i < n; i++)
		list[i] = make_policy(r, &p[i], i, side_b);
	ck_assert_int_eq(spd_compile(list, n, &spd), 0);
	return spd;
}

static void make_tun(struct worker *w, int *ours, unsigned can)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	w->tun_fd = fd[0];
	w->tun_can = can;
	*ours = fd[1];
}

static struct plane *make_plane(const struct rig_opts *o, unsigned workers, struct port *ports)
{
	struct plane_opts po = { .workers = workers, .port = 4500, .ike = o->ike, .ports = ports, .bump = o->bump };
	struct plane *p;
	char why[200];

	ck_assert_msg(plane_new(&po, NULL, &p, why, sizeof(why)) == 0, "%s", why);
	return p;
}

void rig_new(struct rig *r, const struct rig_opts *o)
{
	static const struct rig_policy both[] = {
		{ .action = POLICY_PROTECT },
		{ .action = POLICY_PROTECT, .local = "2001::/16", .remote = "2001::/16" },
	};
	unsigned workers;

	memset(r, 0, sizeof(*r));
	if (o)
		r->o = *o;
	workers = r->o.workers ? r->o.workers : 1;
	if (r->o.n_policy == 0) {
		memcpy(r->o.policy, both, sizeof(both));
		r->o.n_policy = 2;
	}
	current = r;
	r->pa = make_plane(&r->o, workers, r->o.ports_a);
	r->pb = make_plane(&r->o, workers, r->o.ports_b);
	r->a = r->pa->worker[0];
	r->b = r->pb->worker[0];
	make_tun(r->a, &r->tun_a, r->o.dev_can);
	make_tun(r->b, &r->tun_b, r->o.dev_can);
	r->peer_a.port = r->o.raw ? 0 : 4500;
	ck_assert_int_eq(ip_addr_parse(r->o.outer_ver == 6 ? "2001:db8::1" : "192.0.2.1", &r->peer_a.addr), 0);
	r->out = rig_sa(r, DIR_OUT, RIG_SPI, r->o.reqid);
	r->in = rig_sa(r, DIR_IN, RIG_SPI, r->o.reqid);
	ck_assert_ptr_null(plane_set_spd(r->pa, rig_spd(r, r->o.policy, r->o.n_policy, false)));
	ck_assert_ptr_null(plane_set_spd(r->pb, rig_spd(r, r->o.policy, r->o.n_policy, true)));
}

void rig_wire_clear(struct rig *r)
{
	for (unsigned i = 0; i < r->n_wire; i++)
		free(r->wire[i].p);
	r->n_wire = 0;
}

void rig_got_clear(struct rig *r)
{
	for (unsigned i = 0; i < r->n_got; i++)
		free(r->got[i].p);
	r->n_got = 0;
}

void rig_free(struct rig *r)
{
	rig_wire_clear(r);
	rig_got_clear(r);
	close(r->tun_a);
	close(r->tun_b);
	if (r->a->tun_fd >= 0)
		close(r->a->tun_fd);
	if (r->b->tun_fd >= 0)
		close(r->b->tun_fd);
	sa_unref(&r->out);
	sa_unref(&r->in);
	plane_free(&r->pa);
	plane_free(&r->pb);
}

/* ---- out --------------------------------------------------------------------------------------- */

void rig_begin(struct worker *w)
{
	w->view = w->plane->view;
	w->now_ns = clock_now_ns();
	w->batch++;
}

void rig_put(struct rig *r, const struct virtio_net_hdr *vnet, const void *ip, uint32_t len)
{
	struct worker *w = r->a;

	if (w->n_out == 0)
		r->put_at = 0;
	must_uint_lt(w->n_out, BATCH_PKTS);
	must_uint_le(r->put_at + CACHE_LINE + len + ESP_TAIL_MAX, READ_ARENA);
	struct out_pkt *p = &w->out[w->n_out++];
	p->vnet = vnet ? *vnet : (struct virtio_net_hdr) { 0 };
	p->ip = w->read_arena + r->put_at + CACHE_LINE;
	p->info.len = len;
	if (len)
		memcpy(p->ip, ip, len);
	r->put_at += (CACHE_LINE + len + ESP_TAIL_MAX + CACHE_LINE - 1) & ~(uint32_t)(CACHE_LINE - 1);
}

static struct rig_frame copy_of(const void *p, uint32_t len)
{
	struct rig_frame f = { .p = malloc(len ? len : 1), .len = len };

	must(f.p);
	if (len)
		memcpy(f.p, p, len);
	return f;
}

void rig_flush(struct worker *w)
{
	struct rig *r = current;
	const uint8_t *end = w->frame_arena;

	for (unsigned i = 0; i < w->n_frame; i++) {
		const struct out_frame *f = &w->frame[i];
		must_uint_lt(r->n_wire, RIG_WIRE_MAX);
		must(f->whole || (f->esp >= end && f->esp + f->len <= w->frame_arena + FRAME_ARENA));
		end = f->whole ? end : f->esp + f->len;
		struct rig_frame *c = &r->wire[r->n_wire++];
		*c = copy_of(f->esp, f->len);
		c->tos = f->tos;
		c->df = f->df;
	}
}

void rig_out(struct rig *r)
{
	rig_begin(r->a);
	outbound_batch(r->a, rig_flush);
	r->a->n_out = 0;
}

void rig_held(struct rig *r)
{
	rig_begin(r->a);
	if (hold_take(r->a) > 0)
		outbound_batch(r->a, rig_flush);
	r->a->n_out = 0;
}

void rig_send(struct rig *r, const void *ip, uint32_t len)
{
	rig_put(r, NULL, ip, len);
	rig_out(r);
}

int (*rig_sendmmsg)(int fd, struct mmsghdr *m, unsigned n);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags); /* the linker puts it in place of sendmmsg() */

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	if (rig_sendmmsg)
		return rig_sendmmsg(fd, m, n);
	errno = EPERM;
	return -1;
}

/* ---- in ---------------------------------------------------------------------------------------- */

static void accept_copy(struct worker *w)
{
	struct rig *r = current;

	for (unsigned i = 0; i < w->n_in; i++) {
		ck_assert_uint_lt(r->n_got, RIG_WIRE_MAX);
		r->got[r->n_got++] = copy_of(w->in[i].ip, w->in[i].info.len);
	}
}

void rig_in_from(struct rig *r, const void *p, uint32_t len, uint32_t seg, uint8_t tos, const struct endpoint *from)
{
	struct rig_frame c = copy_of(p, len); /* a block of its own: reading on is seen */
	struct sock_rx *rx = &r->b->rx[0];

	*rx = (struct sock_rx) { .data = c.p, .len = len, .seg = seg, .tos = tos };
	endpoint_to_sockaddr(from, &rx->from);
	rx->to = r->in->conf->dst;
	rig_begin(r->b);
	inbound_datagrams(r->b, 1, !r->o.raw, accept_copy);
	free(c.p);
}

void rig_early(struct rig *r)
{
	void (*deliver)(struct worker *w) = r->b->deliver;

	r->b->deliver = accept_copy;
	rig_begin(r->b);
	early_take(r->b);
	r->b->deliver = deliver;
}

void rig_in_ah(struct rig *r, const void *ip, uint32_t len)
{
	struct rig_frame c = copy_of(ip, len);
	struct sock_rx *rx = &r->b->rx[0];
	uint32_t off = c.p[0] >> 4 == 4 ? (c.p[0] & 15u) * 4 : 40;
	struct endpoint from = { .addr = off == 40 && c.p[0] >> 4 == 6 ? ip_addr_from_v6(c.p + 8) : ip_addr_from_v4(c.p + 12) };

	*rx = (struct sock_rx) { .hdr_len = c.p[0] >> 4 == 4 ? (uint8_t)off : 0, .tos = (uint8_t)(c.p[0] << 4 | c.p[1] >> 4) };
	if (c.p[0] >> 4 == 4) {
		rx->to = ip_addr_from_v4(c.p + 16);
	} else {
		rx->to = ip_addr_from_v6(c.p + 24);
		for (uint8_t kind = c.p[6]; kind != IPPROTO_AH; kind = rx->ext[rx->n_ext++].p[0], off += rx->ext[rx->n_ext - 1].len)
			rx->ext[rx->n_ext] = (struct sock_ext) { c.p + off, (uint16_t)((c.p[off + 1] + 1u) * 8), kind };
	}
	rx->data = c.p + off;
	rx->len = rx->seg = len - off;
	endpoint_to_sockaddr(&from, &rx->from);
	rig_begin(r->b);
	nest_datagrams(r->b, 1, accept_copy);
	free(c.p);
}

void rig_in(struct rig *r, const void *p, uint32_t len, uint8_t tos)
{
	rig_in_from(r, p, len, len, tos, &r->peer_a);
}

void rig_in_wire(struct rig *r, unsigned i)
{
	ck_assert_uint_lt(i, r->n_wire);
	rig_in(r, r->wire[i].p, r->wire[i].len, r->wire[i].tos);
}

void rig_in_all(struct rig *r)
{
	for (unsigned i = 0; i < r->n_wire; i++)
		rig_in_wire(r, i);
	rig_wire_clear(r);
}

void rig_got_is(const struct rig *r, unsigned i, const void *ip, uint32_t len)
{
	ck_assert_uint_lt(i, r->n_got);
	check_bytes("inner packet", span_of(r->got[i].p, r->got[i].len), span_of(ip, len));
}

uint32_t rig_seal(struct rig *r, uint64_t seq, const void *text, uint32_t text_len, uint8_t *out)
{
	struct crypt_ctx *c = crypt_ctx_new(0);
	struct crypt_op op;
	uint32_t off = esp_text_off(r->out);

	memcpy(out + off, text, text_len);
	esp_seal_op(r->out, seq, out, out + off, text_len, &op);
	crypt_seal(c, &op, 1);
	ck_assert(op.ok);
	crypt_ctx_free(&c);
	return off + text_len + r->out->icv_len;
}

uint32_t rig_seal_packet(struct rig *r, uint64_t seq, const void *ip, uint32_t len, uint32_t tfc, uint8_t next_header,
			 uint8_t *out)
{
	uint8_t *text = calloc(1, len + tfc + ESP_TAIL_MAX);

	ck_assert_ptr_nonnull(text);
	if (len)
		memcpy(text, ip, len);
	memset(text + len, 0xee, tfc);
	uint32_t n = rig_seal(r, seq, text, esp_finish_text(r->out, text, len + tfc, next_header), out);
	free(text);
	return n;
}

/* ---- looking ----------------------------------------------------------------------------------- */

uint32_t rig_tun_read(int tun, struct virtio_net_hdr *vnet, uint8_t *out, uint32_t max)
{
	struct iovec iov[2] = { { vnet, TUN_VNET_LEN }, { out, max } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(tun, &m, 0);

	if (n < 0) {
		ck_assert_int_eq(errno, EAGAIN);
		return 0;
	}
	ck_assert_int_ge(n, TUN_VNET_LEN);
	return (uint32_t)n - TUN_VNET_LEN;
}

void rig_dropped(struct worker *w, enum drop why, uint64_t n)
{
	for (unsigned d = 1; d < DROP_REASONS; d++) {
		uint64_t want = d == why ? n : 0;
		ck_assert_msg(w->c.drop.n[d] == want, "%s: %llu, expected %llu", drop_info((enum drop)d)->metric,
			      (unsigned long long)w->c.drop.n[d], (unsigned long long)want);
	}
	memset(&w->c.drop, 0, sizeof(w->c.drop));
}

struct ipsec_event rig_event(struct plane *p, int type)
{
	struct ipsec_event e = { 0 };
	unsigned n = plane_events(p, &e, 1);

	if (type < 0) {
		ck_assert_msg(n == 0, "event %d, expected none", (int)e.type);
	} else {
		ck_assert_msg(n == 1, "no event, expected %d", type);
		ck_assert_int_eq(e.type, type);
	}
	return e;
}

uint32_t rig_udp(int ver, unsigned n, uint32_t len, uint8_t *out)
{
	uint8_t *data = malloc(len ? len : 1);
	struct pkt_spec s = { .ver = ver, .proto = IPPROTO_UDP, .id = (uint16_t)n, .sport = (uint16_t)(1000 + n % 50),
			      .data = data, .len = len };

	must(data);
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(n + i * 31);
	uint32_t total = pkt_make(&s, out);
	free(data);
	return total;
}
