/*
 * Path MTU from ICMP. A message "too big" that came unprotected is about one of our SAs when it quotes a packet of ours: protocol,
 * SPI, addresses and ports must all be those of an outbound SA. Then the SA's path MTU becomes smaller (ipsec/pmtu.h), which
 * watch.c turns into the size of inner packets. Everything else is ignored: RFC 4301 6.1.1.
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

/* One message icmp[0..len) of this version. */
static void learn(struct daemon *d, int ver, const uint8_t *icmp, uint32_t len, const struct ip_addr *from)
{
	struct icmp_quote_sa qs;
	struct icmp_quote q;
	uint32_t unused;

	if (!icmp_quote_read(ver, icmp, len, &q) || !icmp_is_too_big(ver, &q) || !icmp_quote_sa(&q, &qs) ||
	    !log_limit_pass(&may_look, &unused))
		return;
	struct sa *sa = find_sa(d, &qs);
	uint32_t route = sa ? watch_route_mtu(d, sa) : 0;
	if (!route || !pmtu_learn(sa, ver, q.mtu, q.total, route, clock_now_ns()))
		return;
	watch_mtu_of(d, sa);
	tell(d, sa, from);
}

static void on_icmp(struct ev_loop *loop, ev_io *w, int what)
{
	struct daemon *d = w->data;
	int ver = w == &d->icmp_io[0] ? 4 : 6;
	uint8_t buf[MESSAGE_MAX];
	struct ip_addr from;

	for (unsigned i = 0; i < MESSAGES_PER_READ; i++) {
		int n = icmp_take(ver, w->fd, buf, sizeof(buf), &from);
		if (n < 0)
			return;
		if (n > 0 && d->cfg && d->cfg->path_mtu_discovery)
			learn(d, ver, buf, (uint32_t)n, &from);
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
