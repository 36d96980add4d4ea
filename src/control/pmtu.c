/*
 * Path MTU from ICMP. A message "too big" that came unprotected is about one of our SAs when it quotes a packet of ours: protocol,
 * SPI, addresses and ports must all be those of an outbound SA. Then the SA's path MTU becomes smaller (ipsec/pmtu.h), which
 * watch.c turns into the size of inner packets; and the host that sent the packet hears of it, where the quote shows who that is.
 * Everything else is ignored: RFC 4301 6.1.1. Which types count, and which are told, says the configuration.
 *
 * Without these sockets (no CAP_NET_RAW) what the kernel has learned counts, which looks at addresses and ports only.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/keying.h"
#include "control/state.h"
#include "io/icmp.h"
#include "ipsec/pmtu.h"
#include "packet/icmp.h"
#include "packet/quote.h"

#define MESSAGES_PER_READ 32
#define MESSAGE_MAX 2048

/* Strangers send these, and each is compared with all SAs. */
static struct log_limit may_look = { .burst = 100, .every_ns = 10 * NS_PER_MS };
static struct log_limit tell_limit = { .burst = 10, .every_ns = NS_PER_S };

struct search {
	const struct icmp_quote_sa *q;
	uint16_t port;
	struct sa *found;
};

static void compare(struct sa *sa, void *arg)
{
	struct search *s = arg;
	const struct icmp_quote_sa *q = s->q;
	const struct sa_path *path = atomic_load(&sa->path);

	if (sa->dir != DIR_OUT || sa->spi != q->spi || sa->proto != q->proto || !path || !ip_addr_eq(&path->dst.addr, &q->dst))
		return;
	if (path->src.ver && !ip_addr_is_any(&path->src) && !ip_addr_eq(&path->src, &q->src))
		return;
	if ((sa->encap == SA_ENCAP_UDP) != q->udp || (q->udp && (q->sport != s->port || q->dport != path->dst.port)))
		return;
	s->found = sa;
}

static struct sa *find_sa(struct daemon *d, const struct icmp_quote_sa *q)
{
	struct search s = { .q = q, .port = d->cfg->port };

	for (unsigned i = 0; i < d->n_sas && !s.found; i++)
		compare(d->sas[i].sa, &s);
	if (!s.found)
		keying_each_sa(d->keying, compare, &s);
	return s.found;
}

static void tell(struct daemon *d, const struct sa *sa, const struct ip_addr *from)
{
	char who[IP_ADDR_STRLEN], spi[16];
	uint32_t swallowed;

	ip_addr_format(from, who);
	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	if (log_limit_pass(&tell_limit, &swallowed))
		log_info(LOG_SAD, "sa %s: %s says that packets larger than %u bytes do not fit the path: inner packets up to %u bytes now",
			 sa->conf->name, who, sa->pmtu, atomic_load(&sa->inner_mtu));
	daemon_event(d, "path_mtu", json_pack("{s:s, s:s, s:s, s:I, s:I}", "sa", sa->conf->name, "spi", spi, "from", who, "mtu",
					      (json_int_t)sa->pmtu, "inner_mtu", (json_int_t)atomic_load(&sa->inner_mtu)));
}

/* ---- the host that sent the packet ---------------------------------------------------------------- */

/* "Too big" about what there is of a packet, from where the plane's own come from. */
static void send_too_big(struct daemon *d, const struct icmp_quote *orig, uint32_t mtu)
{
	uint8_t out[TUN_VNET_LEN + ICMP_ERROR_MAX] = { 0 };
	struct pkt_info info;

	if (!icmp_quote_info(orig, &info) || !(info.flags & PKT_DF) || orig->len < info.l4_off + 8u || !icmp_may_answer(orig->ip, &info))
		return;
	struct ip_addr from = info.key.ver == 4 ? d->opened.icmp4 : d->opened.icmp6;
	if (from.ver == 0)
		from = flow_key_dst(&info.key);
	if (info.key.ver == 6 && mtu < PMTU_FLOOR_V6)
		mtu = PMTU_FLOOR_V6;
	if (orig->total <= mtu)
		return;
	uint32_t n = icmp_error(ICMP_KIND_TOO_BIG, orig->ip, &info, mtu, &from, out + TUN_VNET_LEN);
	if (write(d->tun.fd[0], out, TUN_VNET_LEN + n) < 0)
		log_debug(LOG_SAD, "\"packet too big\" was not sent on: %s", strerror(errno));
}

/*
 * Where the quote shows the packet that went into the SA, and into those before it, its sender is told at once (RFC 2401 6.1.2.1);
 * else its next packet brings it the answer.
 */
static void tell_sender(struct daemon *d, const struct sa *sa, const struct icmp_quote *q)
{
	uint32_t mtu = atomic_load(&sa->inner_mtu);
	uint8_t room[SA_BUNDLE_MAX][PMTU_ORIGINAL_MAX];
	struct icmp_quote quote = *q;
	struct icmp_quote_sa qs;

	for (unsigned k = 0; k < SA_BUNDLE_MAX && d->tun_open; k++) {
		struct icmp_quote orig;
		if (!pmtu_original(sa, &quote, room[k], &orig))
			return;
		quote = orig;
		sa = icmp_quote_sa(&quote, &qs) ? find_sa(d, &qs) : NULL;
		if (!sa) {
			send_too_big(d, &quote, mtu);
			return;
		}
		uint32_t before = sa_inner_mtu(sa, mtu, quote.ip[0] >> 4), own = atomic_load(&sa->inner_mtu);
		mtu = before < own ? before : own;
	}
}

/* ---- a message ------------------------------------------------------------------------------------ */

static struct sa *believe(struct daemon *d, const struct icmp_quote_sa *qs, struct pmtu_word *m, const struct ip_addr *from)
{
	struct sa *sa = find_sa(d, qs);

	m->route = sa ? watch_route_mtu(d, sa) : 0;
	m->age_ns = d->cfg->path_mtu_age_s * NS_PER_S;
	if (!m->route || !pmtu_learn(sa, m, clock_now_ns()))
		return NULL;
	watch_mtu_of(d, sa);
	tell(d, sa, from);
	return sa;
}

/* One message icmp[0..len) of this version. */
static void learn(struct daemon *d, int ver, const uint8_t *icmp, uint32_t len, const struct ip_addr *from)
{
	struct icmp_quote_sa qs;
	struct icmp_quote q;
	uint32_t unused;

	if (!icmp_quote_read(ver, icmp, len, &q) || !icmp_is_too_big(ver, &q) || !icmp_quote_sa(&q, &qs) ||
	    !log_limit_pass(&may_look, &unused))
		return;
	struct pmtu_word m = { .ver = ver, .mtu = q.mtu, .packet = q.total };
	struct sa *sa = believe(d, &qs, &m, from);
	if (sa)
		tell_sender(d, sa, &q);
}

/* Are ICMP errors of this kind to be believed? What has come out of an SA has been looked at there. */
static bool accepted(const struct daemon *d, unsigned kind, unsigned ifindex)
{
	bool out_of_sa = d->tun_open && ifindex == (unsigned)d->tun.ifindex;

	return out_of_sa || kind & d->cfg->icmp_unprotected;
}

static void log_it(struct daemon *d, int ver, const uint8_t *icmp, const struct icmp_from *from, bool refused)
{
	struct audit_event e = { .ns = clock_now_ns(), .id = AUDIT_ICMP_ERROR, .have = AUDIT_F_INNER | AUDIT_F_REASON,
				 .inner_proto = ver == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, .inner_src.addr = from->addr,
				 .inner_dst = { from->to, (uint16_t)(icmp[0] << 8 | icmp[1]) },
				 .reason = refused ? DROP_ICMP_TYPE : DROP_NONE };

	audit_tell(d, &e);
}

static void one_message(struct daemon *d, int ver, const uint8_t *icmp, uint32_t len, const struct icmp_from *from)
{
	unsigned kind = icmp_message_of(ver, icmp, len);
	bool ok = accepted(d, kind, from->ifindex);

	if (kind & d->cfg->icmp_log)
		log_it(d, ver, icmp, from, !ok);
	if (ok && d->cfg->path_mtu_discovery)
		learn(d, ver, icmp, len, &from->addr);
}

void pmtu_event(struct daemon *d, const struct ipsec_event *e)
{
	struct icmp_quote_sa qs = { .proto = e->proto, .spi = e->spi, .src = e->local.addr, .dst = e->peer.addr };
	struct pmtu_word m = { .ver = e->flow.ver, .mtu = e->mtu, .packet = e->packet };
	struct ip_addr from = flow_key_src(&e->flow);

	if (d->cfg && d->cfg->path_mtu_discovery)
		(void)believe(d, &qs, &m, &from);
}

static void on_icmp(struct ev_loop *loop, ev_io *w, int what)
{
	struct daemon *d = w->data;
	int ver = w == &d->icmp_io[0] ? 4 : 6;
	uint8_t buf[MESSAGE_MAX];
	struct icmp_from from;

	for (unsigned i = 0; i < MESSAGES_PER_READ; i++) {
		int n = icmp_take(ver, w->fd, buf, sizeof(buf), &from);
		if (n < 0)
			return;
		if (n > 0 && d->cfg)
			one_message(d, ver, buf, (uint32_t)n, &from);
	}
}

void pmtu_start(struct daemon *d)
{
	for (unsigned v = 0; v < 2; v++) {
		int rc = icmp_open(v ? 6 : 4, &d->icmp_fd[v]);
		if (rc) {
			d->icmp_fd[v] = -1;
			if (rc != -EAFNOSUPPORT)
				log_info(LOG_NET, "no ICMPv%u socket (%s): the path MTU is what the kernel knows", v ? 6 : 4, strerror(-rc));
			continue;
		}
		ev_io_init(&d->icmp_io[v], on_icmp, d->icmp_fd[v], EV_READ);
		d->icmp_io[v].data = d;
		ev_io_start(d->loop, &d->icmp_io[v]);
	}
	for (unsigned i = 0; i < 2 && d->icmp_fd[1] >= 0; i++)
		if (icmp_open_learner(i ? SA_AH : SA_ESP, d->mark, &d->learner_fd[i]))
			d->learner_fd[i] = -1;
}

void pmtu_stop(struct daemon *d)
{
	for (unsigned i = 0; i < 2; i++) {
		if (d->learner_fd[i] >= 0)
			close(d->learner_fd[i]);
		d->learner_fd[i] = -1;
	}
	for (unsigned v = 0; v < 2; v++) {
		if (d->icmp_fd[v] < 0)
			continue;
		ev_io_stop(d->loop, &d->icmp_io[v]);
		close(d->icmp_fd[v]);
		d->icmp_fd[v] = -1;
	}
}
