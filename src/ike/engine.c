/*
 * The engine's frame: made and freed, datagrams and time let in, what leaves told. A datagram's
 * header is read here; the version it names decides who goes on with it.
 */
#include "ike/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "ike/v1/v1.h"
#include "ike/v2/v2.h"
#include "ike/version.h"

#define STRANGER_BURST 20
#define SPI_BURST      10 /* answers to what we do not know, a second */

static struct gate_limits limits_of(const struct ike_conf *c)
{
	return (struct gate_limits){ .cookie_threshold = c->cookie_threshold,
				     .block_threshold = c->block_threshold,
				     .half_open_max = c->half_open_max };
}

static int make_tables(struct ike *ike)
{
	struct ike_table *t[] = { &ike->by_spi,  &ike->by_id,    &ike->by_init,
				  &ike->by_peer, &ike->by_reqid, &ike->by_what, &ike->by_far };
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_LEN(t) && rc == 0; i++)
		rc = ike_table_init(t[i]);
	return rc;
}

int ike_new(const struct ike_env *env, struct ike_conf *conf, struct ike **out, char *why,
	    size_t whylen)
{
	*out = NULL;
	int rc = v2_table_check(why, whylen);
	if (rc == 0)
		rc = v1_table_check(why, whylen);
	if (rc)
		return rc;
	struct ike *ike = calloc(1, sizeof(*ike));
	if (!ike)
		return -ENOMEM;
	ike->env = *env;
	list_init(&ike->conns);
	list_init(&ike->sas);
	list_init(&ike->orders);
	list_init(&ike->v1_hooks);
	list_init(&ike->dead);
	list_init(&ike->drains);
	ike->stranger_log = (struct log_limit){ .burst = STRANGER_BURST, .every_ns = NS_PER_S };
	ike->spi_limit = (struct log_limit){ .burst = SPI_BURST, .every_ns = NS_PER_S / SPI_BURST };
	ike->strange_max = IKE_STRANGE_MAX;
	ike->conf = ike_conf_ref(conf);
	struct gate_limits l = limits_of(conf);
	ike->gate = gate_new(&l);
	ike->in = malloc(sizeof(*ike->in));
	ike->out = malloc(sizeof(*ike->out));
	ike->arena = malloc(IKE_ARENA);
	ike->leases = ike_leases_new();
	rc = make_tables(ike);
	if (!ike->gate || !ike->in || !ike->out || !ike->arena || !ike->leases)
		rc = -ENOMEM;
	for (unsigned i = 0; i < conf->n_conn && rc == 0; i++)
		rc = ike_conns_add(ike, conf, &conf->conn[i]);
	if (rc) {
		snprintf(why, whylen, "out of memory");
		ike_free(&ike);
		return rc;
	}
	*out = ike;
	return 0;
}

void ike_free(struct ike **ikep)
{
	struct ike *ike = *ikep;

	*ikep = NULL;
	if (!ike)
		return;
	ike->closing = true;
	ike_enter(ike);
	list_for_each_safe (l, &ike->sas)
		ike_sa_kill(list_entry(l, struct ike_sa, all), IKE_END_EXIT, NULL);
	list_for_each_safe (l, &ike->conns)
		ike_conn_close(list_entry(l, struct ike_conn, link));
	ike_leave(ike);
	ike_drains_end(ike, 0);
	ike_orders_fini(ike);
	ike_table_fini(&ike->by_spi);
	ike_table_fini(&ike->by_id);
	ike_table_fini(&ike->by_init);
	ike_table_fini(&ike->by_peer);
	ike_table_fini(&ike->by_reqid);
	ike_table_fini(&ike->by_what);
	ike_table_fini(&ike->by_far);
	ike_timers_fini(&ike->timers);
	gate_free(&ike->gate);
	ike_conf_unref(&ike->conf);
	free(ike->in);
	free(ike->out);
	free(ike->arena);
	ike_leases_free(&ike->leases);
	free(ike);
}

void ike_start(struct ike *ike)
{
	ike_enter(ike);
	list_for_each (l, &ike->conns)
		ike_conn_start_actions(list_entry(l, struct ike_conn, link));
	ike_leave(ike);
}

void ike_enter(struct ike *ike)
{
	ike->depth++;
}

void ike_leave(struct ike *ike)
{
	if (--ike->depth)
		return;
	while (!list_empty(&ike->dead)) {
		struct ike_sa *sa = list_entry(ike->dead.next, struct ike_sa, all);
		list_del(&sa->all);
		ike_sa_free(sa);
	}
}

void *ike_arena(struct ike *ike, size_t len)
{
	size_t at = (ike->arena_used + 15) & ~(size_t)15;

	if (at > IKE_ARENA || len > IKE_ARENA - at)
		return NULL;
	ike->arena_used = at + len;
	return ike->arena + at;
}

struct span ike_arena_copy(struct ike *ike, struct span s)
{
	uint8_t *p = ike_arena(ike, s.len);

	if (!p)
		return span_of(NULL, 0);
	if (s.len)
		memcpy(p, s.p, s.len);
	return span_of(p, s.len);
}

void ike_tell(struct ike *ike, enum ike_event_type type, const struct ike_conn *conn,
	      const struct ike_sa *sa, const struct ike_child *c, uint64_t order, const char *fmt,
	      ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!conn && sa)
		conn = sa->conn;
	struct ike_event e = { .type = type,
			       .conn = conn ? conn->conf->name : NULL,
			       .child = c ? c->conf->name : NULL,
			       .sa_id = sa ? sa->id : 0,
			       .child_id = c ? c->id : 0,
			       .order = order,
			       .text = text };
	ike->env.event(ike->env.ctx, &e);
}

void ike_sa_log(const struct ike_sa *sa, enum log_level l, const char *fmt, ...)
{
	char text[768], peer[ENDPOINT_STRLEN];
	va_list ap;

	if (!log_enabled(LOG_IKE, l))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(LOG_IKE, l, "ike %08x conn %s peer %s: %s", load_be32(ike_sa_spi(sa)),
		sa->conn ? sa->conn->conf->name : "(not chosen yet)",
		endpoint_format(&sa->remote, peer), text);
}

void ike_audit(struct ike *ike, enum audit id, const struct ike_sa *sa,
	       const struct endpoint *remote, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!ike->env.audit)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct audit_event e = { .ns = clock_now_ns(),
				 .id = (uint16_t)id,
				 .have = AUDIT_F_ADDRS | AUDIT_F_IKE_SPIS | AUDIT_F_TEXT,
				 .src = remote ? *remote : sa->remote,
				 .dst = sa ? sa->local : ike->heard.local,
				 .conn = sa && sa->conn ? sa->conn->conf->name : NULL,
				 .text = text };
	memcpy(e.spi_i, sa ? sa->spi_i : ike->heard.spi_i, sizeof(e.spi_i));
	memcpy(e.spi_r, sa ? sa->spi_r : ike->heard.spi_r, sizeof(e.spi_r));
	ike->env.audit(ike->env.ctx, &e);
}

bool ike_stranger_log(struct ike *ike, const struct endpoint *remote, const char *fmt, ...)
{
	char text[512], peer[ENDPOINT_STRLEN];
	uint32_t more = 0;
	va_list ap;

	if (!log_limit_pass(&ike->stranger_log, &more))
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info(LOG_IKE, "peer %s: %s", endpoint_format(remote, peer), text);
	if (more)
		log_info(LOG_IKE, "%u more lines of this kind were left out", more);
	return true;
}

int ike_send(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
	     bool marker, struct span datagram)
{
	ike->stats.sent++;
	return ike->env.send(ike->env.ctx, local, remote, marker, datagram);
}

uint64_t ike_jitter(uint64_t t, uint64_t jitter)
{
	if (jitter > t / 2)
		jitter = t / 2;
	return jitter ? t - random_u64() % (jitter + 1) : t;
}

/* A version that nobody here speaks: say so, without keeping anything (RFC 7296 2.5). */
static void refuse_version(struct ike *ike, const struct endpoint *local,
			   const struct endpoint *remote, bool marker, const struct ike_hdr *h)
{
	uint32_t more;
	uint8_t buf[64];

	if ((h->flags & IKE2_FLAG_R) || !log_limit_pass(&ike->spi_limit, &more))
		return;
	struct ike_msg *m = ike->out;
	ike_msg_init(m, 0x20, h->spi_i, h->spi_r, h->exchange, IKE2_FLAG_R, h->id);
	struct wr w = wr_of(buf, sizeof(buf));
	if (v2_add_notify(m, IKE2_INVALID_MAJOR_VERSION, span_of(NULL, 0)) &&
	    ike_msg_write(m, &w) == 0)
		(void)ike_send(ike, local, remote, marker, wr_view(&w));
}

void ike_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		 bool marker, uint8_t *p, size_t len)
{
	struct ike_hdr h;
	struct ike_bad bad;

	ike->stats.received++;
	int rc = ike_hdr_parse(&h, span_of(p, len), &bad);
	ike->heard.local = *local;
	memset(ike->heard.spi_i, 0, sizeof(ike->heard.spi_i));
	memset(ike->heard.spi_r, 0, sizeof(ike->heard.spi_r));
	if (len >= IKE_HDR_LEN) {
		memcpy(ike->heard.spi_i, p, 8);
		memcpy(ike->heard.spi_r, p + 8, 8);
	}
	if (rc) {
		if (ike_hdr_major(&h) == 1 && len >= IKE_HDR_LEN) {
			v1_bad_header(ike, local, remote, marker, &h, &bad);
			return;
		}
		ike->stats.malformed++;
		ike_stranger_log(ike, remote, "a datagram is no IKE message: %s", bad.why);
		ike_audit(ike,
			  bad.notify == IKE2_INVALID_MAJOR_VERSION ? AUDIT_VERSION : AUDIT_MESSAGE,
			  NULL, remote, "%s", bad.why);
		if (bad.notify == IKE2_INVALID_MAJOR_VERSION && ike_hdr_major(&h) > 2)
			refuse_version(ike, local, remote, marker, &h);
		return;
	}
	ike_enter(ike);
	if (ike_hdr_major(&h) == 2) {
		v2_receive(ike, local, remote, marker, p, len, &h);
	} else {
		v1_receive(ike, local, remote, marker, p, len, &h);
	}
	ike_leave(ike);
}

uint64_t ike_next_ns(const struct ike *ike)
{
	return ike_timers_next(&ike->timers);
}

void ike_tick(struct ike *ike)
{
	ike_enter(ike);
	ike_timers_run(&ike->timers, clock_now_ns());
	ike_leave(ike);
}

void ike_close_all(struct ike *ike)
{
	ike_enter(ike);
	ike->closing = true;
	list_for_each_safe (l, &ike->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		if (sa->state == IKE_ST_UP)
			ike_version(sa)->sa_delete(sa, IKE_END_ORDER, 0);
		else if (sa->state != IKE_ST_DELETING && sa->state != IKE_ST_DEAD)
			ike_sa_kill(sa, IKE_END_ORDER, NULL);
	}
	ike_leave(ike);
}

void ike_set_limits(struct ike *ike)
{
	struct gate_limits l = limits_of(ike->conf);

	gate_set_limits(ike->gate, &l);
}
