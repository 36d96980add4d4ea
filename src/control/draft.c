/* From struct config to SAs and policies, using what runs already for what did not change. */
#include "control/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/keying.h"
#include "control/policies.h"
#include "ipsec/spd.h"

#define LINE 512

void draft_fail(struct draft *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(f->err, fmt, ap);
	va_end(ap);
	fputc('\n', f->err);
	f->failed = true;
}

/* ---- what needs a restart ---------------------------------------------------------------------
 */

static bool same_port(const struct config *was, const struct config *now, enum bridge_side s)
{
	const struct config_bridge *a = was->bridge, *b = now->bridge;

	return !a || !b || (a->port[s].tap == b->port[s].tap && strcmp(a->port[s].name, b->port[s].name) == 0);
}

void draft_restart_keys(const struct config *was, const struct config *now, FILE *warn)
{
	static const struct config_tun no_tun;
	const struct config_tun *tw = was->tun ? was->tun : &no_tun,
				*tn = now->tun ? now->tun : &no_tun;
	const struct {
		const char *key;
		bool same;
	} row[] = {
		{ "workers", was->workers == now->workers },
		{ "port_nat_t", was->port == now->port },
		{ "port_ike", was->port_ike == now->port_ike },
		{ "ike_threads", was->ike_threads == now->ike_threads },
		{ "listen",
		  ip_addr_eq(&was->bind4, &now->bind4) && ip_addr_eq(&was->bind6, &now->bind6) },
		{ "gso", was->gso == now->gso },
		{ "gro", was->gro == now->gro },
		{ "udp_checksum", was->udp_checksum == now->udp_checksum },
		{ "rcvbuf", was->rcvbuf == now->rcvbuf },
		{ "sndbuf", was->sndbuf == now->sndbuf },
		{ "busy_poll", was->busy_poll_us == now->busy_poll_us },
		{ "fwmark", was->fwmark == now->fwmark },
		{ "seccomp", was->seccomp == now->seccomp },
		{ "run_dir",
		  strcmp(was->run_dir ? was->run_dir : "", now->run_dir ? now->run_dir : "") == 0 },
		{ "state_dir", strcmp(was->state_dir ? was->state_dir : "",
				      now->state_dir ? now->state_dir : "") == 0 },
		{ "resolv_conf", strcmp(was->resolv_conf ? was->resolv_conf : "none",
					now->resolv_conf ? now->resolv_conf : "none") == 0 },
		{ "bridge protected", same_port(was, now, BRIDGE_PROTECTED) },
		{ "bridge open", same_port(was, now, BRIDGE_OPEN) },
		{ "tun name", strcmp(tw->name ? tw->name : "", tn->name ? tn->name : "") == 0 },
		{ "tun offload", tw->offload == tn->offload },
		{ "tun persist", tw->persist == tn->persist },
	};

	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		if (!row[i].same)
			fprintf(
			    warn,
			    "%s cannot change while running: restart bumpwire for the new value\n",
			    row[i].key);
	if (was->crypto_backend != now->crypto_backend)
		fprintf(warn,
			"crypto_backend: SAs that did not change keep the backend they have\n");
}

bool draft_has_socket(const struct plane_opts *o, const struct sa_conf *c)
{
	int ver = c->dst.ver ? c->dst.ver : c->src.ver;
	bool udp = c->encap == SA_ENCAP_UDP, ah = c->proto == SA_AH;
	bool v4 = udp ? o->udp4 : ah ? o->ah4 : o->raw4, v6 = udp ? o->udp6 : ah ? o->ah6 : o->raw6;

	if ((ah || c->preserve || (c->mode == SA_TRANSPORT && !udp)) && !o->whole)
		return false;
	return ver == 4 ? v4 : ver == 6 ? v6 : v4 || v6;
}

static void check_running(struct draft *f)
{
	const struct daemon *d = f->d;
	const struct config *c = f->c;

	if (d->cfg)
		draft_restart_keys(d->cfg, c, f->warn);
	if (d->tun_open != !!c->tun && d->cfg) {
		draft_fail(f, "%s: the tun section %s: restart bumpwire for that", c->path,
			   c->tun ? "is new" : "is gone");
		return;
	}
	if (d->bridge.open != !!c->bridge && d->cfg) {
		draft_fail(f, "%s: the bridge section %s: restart bumpwire for that", c->path,
			   c->bridge ? "is new" : "is gone");
		return;
	}
	if (d->opened.ports && c->bridge && c->bridge->host != d->opened.bump) {
		draft_fail(f, "%s:%d: bridge %s: another mode: restart bumpwire for that", c->bridge->file, c->bridge->line,
			   c->bridge->name);
		return;
	}
	if (d->cfg && c->ike && !d->keying)
		draft_fail(f,
			   "%s: connections are new: restart bumpwire, which opens sockets for IKE "
			   "only where there are any at the start",
			   c->path);
	for (unsigned i = 0; i < c->n_sa; i++) {
		const struct sa_conf *sc = &c->sa[i].conf;
		if (!d->opened.bump && !draft_has_socket(&d->opened, sc))
			draft_fail(f,
				   "%s:%d: sa %s: no socket for %s of this IP version was opened "
				   "at the start: restart bumpwire",
				   c->sa[i].file ? c->sa[i].file : c->path, c->sa[i].line, sc->name,
				   sc->encap == SA_ENCAP_UDP ? "ESP in UDP"
				   : sc->proto == SA_AH      ? "AH"
				   : sc->mode == SA_TUNNEL   ? "raw ESP"
							     : "ESP in transport mode");
	}
	for (unsigned i = 0; i < c->n_policy; i++)
		if (c->policy[i].action == POLICY_BYPASS && !d->opened.bypass && !d->opened.ports)
			draft_fail(f,
				   "%s:%d: policy %s: no socket for bypassed packets was opened at "
				   "the start: restart bumpwire",
				   c->policy[i].file ? c->policy[i].file : c->path,
				   c->policy[i].line, c->policy[i].name);
}

/* ---- SAs --------------------------------------------------------------------------------------
 */

static int make_plan(struct draft *f)
{
	const struct daemon *d = f->d;
	const struct sa_conf **old = calloc(d->n_sas + 1, sizeof(*old)),
			     **new = calloc(f->c->n_sa + 1, sizeof(*new));
	int rc = -ENOMEM;

	if (old && new) {
		for (unsigned i = 0; i < d->n_sas; i++)
			old[i] = d->sas[i].sa->conf;
		for (unsigned i = 0; i < f->c->n_sa; i++) {
			sa_conf_set_key_id(&f->c->sa[i].conf);
			new[i] = &f->c->sa[i].conf;
		}
		rc = plan_make(old, d->n_sas, new, f->c->n_sa, &f->plan);
	}
	free(old);
	free(new);
	return rc;
}

static int make_sas(struct draft *f)
{
	char why[LINE];

	f->sas = calloc(f->c->n_sa + 1, sizeof(*f->sas));
	if (!f->sas)
		return -ENOMEM;
	for (unsigned i = 0; i < f->c->n_sa; i++) {
		struct config_sa *cs = &f->c->sa[i];
		if (f->plan.new_op[i] == PLAN_KEEP) {
			f->sas[i] = f->d->sas[f->plan.source[i]];
			sa_ref(f->sas[i].sa);
			secret_free(&cs->conf.encr_key); /* the running SA has its own */
			secret_free(&cs->conf.integ_key);
			continue;
		}
		/* The configuration moves into the SA; on failure it stays, with its name. */
		if (sa_new(&cs->conf, f->d->opened.workers, &f->sas[i].sa, why, sizeof(why)))
			draft_fail(f, "%s:%d: sa %s: %s", cs->file ? cs->file : f->c->path,
				   cs->line, cs->conf.name, why);
	}
	return 0;
}

/* ---- network ----------------------------------------------------------------------------------
 */

static int make_net(struct draft *f)
{
	struct ip_addr *peers = calloc(f->c->n_sa + 1, sizeof(*peers));
	unsigned n = 0;

	if (!peers)
		return -ENOMEM;
	for (unsigned i = 0; i < f->c->n_sa; i++) {
		const struct sa *sa = f->sas[i].sa;
		const struct sa_path *path = atomic_load(&sa->path);
		if (sa->dir == DIR_OUT && !sa->group && path && path->dst.addr.ver)
			peers[n++] = path->dst.addr; /* kept SAs: where the peer is now */
	}
	int rc = netcfg_plan(f->c, peers, n, keying_routes(f->d->keying), f->d->mark, &f->net);
	free(peers);
	return rc;
}

void draft_build(struct draft *f, struct daemon *d, struct config *c, FILE *err, FILE *warn)
{
	*f = (struct draft){ .d = d, .c = c, .err = err, .warn = warn };
	check_running(f);
	if (f->failed)
		return;
	int rc = make_plan(f);
	if (rc == 0)
		rc = make_sas(f);
	if (rc == 0 && !f->failed)
		rc = policies_build(d, c, f->sas, c->n_sa, &f->spd);
	if (rc == 0 && !f->failed)
		rc = make_net(f);
	if (rc)
		draft_fail(f, "%s: %s", c->path, strerror(-rc));
}

void draft_fini(struct draft *f)
{
	spd_free(&f->spd);
	for (unsigned i = 0; f->sas && i < f->plan.n_new; i++)
		if (f->sas[i].sa)
			sa_unref(&f->sas[i].sa);
	free(f->sas);
	f->sas = NULL;
	netcfg_fini(&f->net);
	plan_fini(&f->plan);
}
