/*
 * From one running state to the next. Everything is built aside first (draft.c), network additions
 * are made, and only then it is switched, in this order, so that traffic which did not change never
 * stops:
 *
 *   1. SAs in the way of new ones (same name or same inbound SPI) leave the SAD; policies still
 * hold them, so that they go on sending
 *   2. new SAs take over sequence numbers and replay windows where SPI and key are the same (from
 * the state directory, when they ran in an earlier process), and enter the SAD
 *   3. the new SPD is published: one pointer
 *   4. SAs that nobody wants any more leave the SAD; addresses, routes and rules that nobody wants
 * are removed
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/carry.h"
#include "control/draft.h"
#include "control/group.h"
#include "control/keying.h"
#include "control/policies.h"
#include "control/privilege.h"
#include "ike/conf.h"
#include "control/state.h"
#include "packet/quote.h"

#define LINE 512

/* ---- sockets a configuration needs ------------------------------------------------------------
 */

static bool kernel_has_v6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

void model_plane_opts(const struct config *c, struct plane_opts *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned workers = c->workers ? c->workers : cpus > 0 ? (unsigned)cpus : 1;
	bool v6 = kernel_has_v6();

	*o = (struct plane_opts){
		.workers = workers > PLANE_MAX_WORKERS ? PLANE_MAX_WORKERS : workers,
		.port = c->port,
		.port_ike = c->port_ike,
		.bind4 = c->bind4,
		.bind6 = c->bind6,
		.gso = c->gso,
		.gro = c->gro,
		.zero_csum = !c->udp_checksum,
		.rcvbuf = c->rcvbuf,
		.sndbuf = c->sndbuf,
		.busy_poll_us = c->busy_poll_us,
	};
	o->bump = c->bridge && c->bridge->host;
	for (unsigned i = 0; i < c->n_sa && !o->bump; i++) {
		const struct sa_conf *s = &c->sa[i].conf;
		int ver = s->dst.ver ? s->dst.ver : s->src.ver;
		bool udp = s->encap == SA_ENCAP_UDP, v4 = ver != 6, ah = s->proto == SA_AH;
		bool any6 = ver == 6 || (ver == 0 && v6);
		/* A peer that is anywhere may come by either version. */
		o->udp4 |= udp && v4;
		o->udp6 |= udp && any6;
		o->raw4 |= !udp && !ah && v4;
		o->raw6 |= !udp && !ah && any6;
		o->ah4 |= ah && v4;
		o->ah6 |= ah && any6;
		o->whole |= ah || s->preserve || (s->mode == SA_TRANSPORT && !udp);
	}
	/* Which way a connection goes shows when it is negotiated, and a reload may bring others. */
	o->ike = c->ike;
	if (c->ike && !o->bump) {
		o->udp4 = true;
		o->udp6 |= v6;
		o->raw4 |= privilege_has_net_raw();
		o->raw6 |= v6 && privilege_has_net_raw();
		o->ah4 |= privilege_has_net_raw();
		o->ah6 |= v6 && privilege_has_net_raw();
		o->whole |= privilege_has_net_raw();
	}
	for (unsigned i = 0; c->tun && i < c->n_policy; i++)
		o->bypass |=
		    c->policy[i].action == POLICY_BYPASS && (c->policy[i].dirs & POLICY_DIR_OUT);
	/* IPv4 alone takes a packet from a device for forged when its source is an address of this
	 * host: such an error comes from the packet's own destination instead. */
	for (unsigned i = 0; c->tun && i < c->tun->n_address; i++) {
		const struct ip_addr *a = &c->tun->address[i].addr;
		if (a->ver == 6 && !o->icmp6.ver)
			o->icmp6 = *a;
	}
}

/* ---- the switch -------------------------------------------------------------------------------
 */

static int first_path(struct plane *p, struct sa *sa)
{
	static const struct ip_addr none;
	const struct sa_conf *c = sa->conf;

	if (sa->dir == DIR_OUT) {
		struct endpoint dst = { .addr = c->dst, .port = c->dst_port };
		return c->dst.ver ? plane_set_path(p, sa, &c->src, &dst) : 0;
	}
	struct endpoint src = { .addr = c->src, .port = c->src_port };
	return c->src.ver ? plane_set_path(p, sa, &none, &src) : 0;
}

/* A peer that was followed somewhere else is still there, unless the file now says where it is. */
static int carry_path(struct plane *p, const struct sa *old, struct sa *sa)
{
	const struct sa_conf *a = old->conf, *b = sa->conf;
	const struct sa_path *path = atomic_load(&old->path);
	bool same = a->encap == b->encap && ip_addr_eq(&a->src, &b->src) &&
		    ip_addr_eq(&a->dst, &b->dst) && a->src_port == b->src_port &&
		    a->dst_port == b->dst_port;

	if (same && path && path->dst.addr.ver)
		return plane_set_path(p, sa, &path->src, &path->dst);
	return first_path(p, sa);
}

/* Takes the old SAs of one kind out of the SAD, with one grace period for all. */
static void leave(struct draft *f, enum plan_old kind)
{
	struct daemon *d = f->d;
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_sas; i++)
		n += f->plan.old_op[i] == kind;
	if (n == 0)
		return;
	struct sa **v = calloc(n, sizeof(*v));
	if (!v) { /* one at a time needs no memory */
		for (unsigned i = 0; i < d->n_sas; i++)
			if (f->plan.old_op[i] == kind)
				sad_remove(plane_sad(d->plane), d->sas[i].sa);
		return;
	}
	n = 0;
	for (unsigned i = 0; i < d->n_sas; i++)
		if (f->plan.old_op[i] == kind)
			v[n++] = d->sas[i].sa;
	sad_remove_many(plane_sad(d->plane), v, n);
	free(v);
}

static void enter(struct draft *f)
{
	struct daemon *d = f->d;

	for (unsigned i = 0; i < f->plan.n_new; i++) {
		struct sa *sa = f->sas[i].sa;
		int rc;
		if (f->plan.new_op[i] == PLAN_KEEP)
			continue;
		if (d->seqs && sa->dir == DIR_OUT) {
			if (f->plan.new_op[i] == PLAN_CARRY)
				seqstore_release(d->seqs, d->sas[f->plan.source[i]].sa);
			if (seqstore_adopt(d->seqs, sa))
				log_error(LOG_SAD,
					  "sa %s: out of memory: its sequence numbers are not kept",
					  sa->conf->name);
		}
		group_interface_of(d, sa);
		if (f->plan.new_op[i] == PLAN_CARRY) {
			const struct sa *old = d->sas[f->plan.source[i]].sa;
			watch_lifetime(d, sa, carry_over(old, sa), "bytes or packets");
			rc = carry_path(d->plane, old, sa);
		} else {
			rc = first_path(d->plane, sa);
		}
		if (rc == 0)
			rc = sad_install(plane_sad(d->plane), sa);
		if (rc) /* memory ran out in the middle: the SA is not used, everything else is */
			log_error(LOG_SAD, "sa %s: cannot be installed: %s", sa->conf->name,
				  strerror(-rc));
	}
}

static void commit(struct draft *f)
{
	struct daemon *d = f->d;
	struct managed_sa *old = d->sas;
	unsigned n_old = d->n_sas;

	leave(f, PLAN_LEAVES_FIRST);
	enter(f);
	watch_seqs(d); /* numbers are reserved before the first packet */
	policies_publish(d, f->spd);
	f->spd = NULL;
	leave(f, PLAN_LEAVES_LAST);
	for (unsigned i = 0; d->seqs && i < n_old; i++)
		if (f->plan.old_op[i] != PLAN_STAYS)
			seqstore_release(d->seqs, old[i].sa);

	d->sas = f->sas;
	d->n_sas = f->plan.n_new;
	f->sas = NULL;
	/* Events about SAs that left may still wait; workers raise no more of them, so after this
	 * nobody has their address. */
	watch_events(d);
	for (unsigned i = 0; i < n_old; i++)
		sa_unref(&old[i].sa);
	free(old);
}

static void switch_net(struct draft *f)
{
	struct daemon *d = f->d;

	if (f->c->bridge) {
		struct bridge_rules r;
		memcpy(r.of, f->c->bridge->rule, sizeof(r.of));
		plane_set_mtu(d->plane, d->bridge.mtu);
		plane_set_rules(d->plane, &r);
	}
	if (d->plane) {
		struct icmp_rules r = { (uint8_t)(f->c->icmp_protected & ICMP_OF_ALL), (uint8_t)(f->c->icmp_unprotected & ICMP_OF_ALL),
					(uint8_t)(f->c->icmp_log & ICMP_OF_ALL) };
		plane_set_icmp(d->plane, &r);
	}
	if (!d->tun_open)
		return;

	if (f->net.mtu != d->net.mtu && netlink_link_mtu(d->nl, d->tun.ifindex, f->net.mtu))
		log_error(LOG_NET, "tun %s: mtu %u: %s", d->tun.name, f->net.mtu,
			  netlink_why(d->nl));
	netcfg_drop(d->nl, d->tun.ifindex, &d->net, &f->net);
	netcfg_fini(&d->net);
	d->net = f->net;
	f->net = (struct netcfg){ .mtu = 0 };
}

static void set_log_levels(const struct config *was, const struct config *now)
{
	for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++) {
		int old =
		    was ? (was->log_subsys[i] >= 0 ? was->log_subsys[i] : (int)was->log_level) : -1;
		int new = now->log_subsys[i] >= 0 ? now->log_subsys[i] : (int)now->log_level;
		if (old != new) /* a level set by `bumpwire log` outlives a reload that does not
				   touch it */
			log_set_level(i, (enum log_level) new);
	}
}

int model_apply(struct daemon *d, struct config **cfg, FILE *err, FILE *warn)
{
	struct draft f;
	char why[LINE];
	int rc = -EINVAL;

	crypt_force_backend((enum crypt_backend)(*cfg)->crypto_backend);
	draft_build(&f, d, *cfg, err, warn);
	if (!f.failed && d->plane) {
		rc = netcfg_add(d->nl, d->tun.ifindex, &d->net, &f.net, why, sizeof(why));
		if (rc)
			draft_fail(&f, "tun %s: %s", d->tun.name, why);
	}
	if (f.failed) {
		if (d->cfg)
			crypt_force_backend((enum crypt_backend)d->cfg->crypto_backend);
		draft_fini(&f);
		return rc;
	}
	log_info(LOG_CONFIG, "%u SAs kept, %u changed, %u new, %u gone; %u policies", f.plan.kept,
		 f.plan.carried, f.plan.fresh, f.plan.leaving - f.plan.carried, (*cfg)->n_policy);
	if (d->plane) {
		commit(&f);
		switch_net(&f);
	}
	set_log_levels(d->cfg, *cfg);
	config_free(&d->cfg);
	d->cfg = *cfg;
	*cfg = NULL;
	draft_fini(&f);
	if (d->keying)
		keying_reload(d->keying);
	group_look(d);
	if (d->plane)
		watch_mtu(d);
	return 0;
}

unsigned model_connections(const struct daemon *d)
{
	return d->cfg->ike ? d->cfg->ike->n_conn : 0;
}

/* ---- reload -----------------------------------------------------------------------------------
 */

/* The lines of a text as an array of strings. */
static json_t *lines_of(const char *text)
{
	json_t *v = json_array();

	while (text && *text) {
		size_t len = strcspn(text, "\n");
		json_t *line = len ? json_stringn(text, len) : NULL;
		if (len && !line) /* bytes of the file that are not UTF-8 */
			line = json_string("(the message is not UTF-8; run bumpwire check)");
		if (line)
			json_array_append_new(v, line);
		text += len + (text[len] == '\n');
	}
	return v;
}

static void log_lines(const json_t *lines, enum log_level l)
{
	size_t i;
	json_t *line;

	json_array_foreach(lines, i, line)
	    log_msg(LOG_CONFIG, l, "reload: %s", json_string_value(line));
}

/* Loads and applies with errors and warnings as text. */
static int load_and_apply(struct daemon *d, FILE *load, FILE *err, FILE *warn)
{
	struct config *cfg = NULL;
	int rc = config_load(d->conf_path, load, &cfg);

	if (rc == 0)
		rc = model_apply(d, &cfg, err, warn);
	config_free(&cfg);
	return rc;
}

static void tell_result(struct daemon *d, int rc, json_t *errors, json_t *warnings)
{
	log_lines(warnings, LOG_LVL_WARN);
	if (rc == 0) {
		d->reloaded_wall_ns = clock_wall_ns();
		log_notice(LOG_CONFIG, "reloaded %s", d->conf_path);
	} else {
		log_warn(LOG_CONFIG, "reload failed, nothing was changed:");
	}
	log_lines(
	    errors,
	    LOG_LVL_ERROR); /* last, so that `status` shows a reason and not that there is one */
	notify_send(&d->notify, "READY=1\nSTATUS=%s%u connections, %u manual SAs, %u policies",
		    rc ? "last reload failed; " : "", model_connections(d), d->n_sas,
		    d->cfg->n_policy);
	if (rc)
		daemon_event(d, "reload_failed", json_pack("{s:O}", "errors", errors));
	else
		daemon_event(d, "reloaded", json_pack("{s:O}", "warnings", warnings));
}

int model_reload(struct daemon *d, json_t **errors, json_t **warnings)
{
	struct {
		FILE *f;
		char *text;
		size_t len;
	} t[3] = {}; /* of the file, of applying it, warnings of applying it */
	int rc = 0;

	notify_send(&d->notify, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading %s",
		    (unsigned long long)(clock_now_ns() / NS_PER_US), d->conf_path);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		if (!(t[i].f = open_memstream(&t[i].text, &t[i].len)))
			rc = -ENOMEM;
	if (rc == 0)
		rc = load_and_apply(d, t[0].f, t[1].f, t[2].f);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		if (t[i].f)
			fclose(t[i].f);
	/* A file that was read in spite of what was said of it: those were warnings. */
	bool loaded = rc == 0 || t[1].len > 0;
	*errors = lines_of(loaded ? t[1].text : t[0].text);
	*warnings = lines_of(t[2].text);
	if (loaded) {
		json_t *more = lines_of(t[0].text);
		json_array_extend(*warnings, more);
		json_decref(more);
	}
	if (rc && json_array_size(*errors) == 0)
		json_array_append_new(*errors, json_string(strerror(-rc)));
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		free(t[i].text);
	tell_result(d, rc, *errors, *warnings);
	return rc;
}

void model_peers_changed(struct daemon *d)
{
	struct ip_addr *peers = calloc(d->n_sas + 1, sizeof(*peers));
	struct netcfg want;
	unsigned n = 0;
	char why[LINE];

	for (unsigned i = 0; peers && i < d->n_sas; i++) {
		const struct sa_path *path = atomic_load(&d->sas[i].sa->path);
		if (d->sas[i].sa->dir == DIR_OUT && path && path->dst.addr.ver)
			peers[n++] = path->dst.addr;
	}
	int rc = peers ? netcfg_plan(d->cfg, peers, n, keying_routes(d->keying), d->mark, &want) : -ENOMEM;
	free(peers);
	if (rc)
		return;
	rc = netcfg_add(d->nl, d->tun.ifindex, &d->net, &want, why, sizeof(why));
	if (rc) {
		log_error(LOG_NET, "tun %s: %s", d->tun.name, why);
	} else {
		netcfg_drop(d->nl, d->tun.ifindex, &d->net, &want);
		struct netcfg old = d->net;
		d->net = want;
		want = old;
	}
	netcfg_fini(&want);
}

int model_find(const struct daemon *d, const struct sa *sa)
{
	for (unsigned i = 0; i < d->n_sas; i++)
		if (d->sas[i].sa == sa)
			return (int)i;
	return -1;
}

void model_release(struct daemon *d)
{
	if (d->nl && d->tun_open && !(d->cfg && d->cfg->tun && d->cfg->tun->persist))
		netcfg_drop(d->nl, d->tun.ifindex, &d->net, NULL);
	netcfg_fini(&d->net);
	for (unsigned i = 0; i < d->n_sas; i++)
		sa_unref(&d->sas[i].sa);
	free(d->sas);
	group_fini(d);
	d->sas = NULL;
	d->n_sas = 0;
}
