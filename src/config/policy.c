/*
 * A policy section to a struct config_policy. Its lists become selectors: every local with every remote of
 * the same IP version, every protocol, every local with every remote port (RFC 4301 4.4.1.2: a
 * selector set each).
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define POLICY_SELECTORS_MAX 65536

static const struct port_range any_port = { PORT_ANY, 0, 0 };

static bool has_ports(unsigned proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP ||
	       proto == IPPROTO_UDPLITE;
}

static bool is_icmp(unsigned proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static bool is_mh(unsigned proto)
{
	return proto == IPPROTO_MH;
}

/* Is there a number among the ranges, which only some protocols have? */
static bool has_numbers(const struct vec *v, bool opaque_too)
{
	const struct port_range *r = v->p;

	for (unsigned i = 0; i < v->n; i++)
		if (r[i].match == PORT_RANGE || (opaque_too && r[i].match == PORT_OPAQUE))
			return true;
	return false;
}

/* Every protocol of the policy must have the field that the key is about. */
static void check_field(struct loader *ld, const struct item *it, const struct policy_draft *d, const char *key,
			const struct vec *v, bool opaque_too, bool (*has)(unsigned proto), const char *expected)
{
	const uint16_t *p = d->proto.p;

	if (!has_numbers(v, opaque_too))
		return;
	for (unsigned i = 0; i < d->proto.n; i++)
		if (!has(p[i])) {
			report_value(ld, key_value(it, key), "%s with a protocol that has none; expected protocol = %s",
				     key, expected);
			return;
		}
}

static void check_fields(struct loader *ld, const struct item *it, const struct policy_draft *d)
{
	const struct port_range *t = d->icmp_type.p;

	check_field(ld, it, d, "local_port", &d->local_port, false, has_ports, "tcp, udp, sctp, dccp or udplite");
	check_field(ld, it, d, "remote_port", &d->remote_port, false, has_ports, "tcp, udp, sctp, dccp or udplite");
	check_field(ld, it, d, "icmp_type", &d->icmp_type, true, is_icmp, "icmp or ipv6-icmp");
	check_field(ld, it, d, "mh_type", &d->mh_type, true, is_mh, "mh");
	if (d->icmp_code.match == PORT_RANGE)
		for (unsigned i = 0; i < d->icmp_type.n; i++)
			if (t[i].match != PORT_RANGE || t[i].lo != t[i].hi) {
				report_value(ld, key_value(it, "icmp_code"),
					     "icmp_code without a single icmp_type; expected icmp_type = NUMBER beside it");
				return;
			}
}

/* A type and code, or MH type, as the packet's "port" carries it. */
static struct port_range typed_port(const struct port_range *type, const struct port_range *code)
{
	struct port_range r = *type;

	if (r.match == PORT_RANGE) {
		r.lo = (uint16_t)(type->lo << 8 | (code->match == PORT_RANGE ? code->lo : 0));
		r.hi = (uint16_t)(type->hi << 8 | (code->match == PORT_RANGE ? code->hi : 0xff));
	}
	return r;
}

/* ICMP belongs to IPv4, ICMPv6 to IPv6: the other way round nothing would ever match. */
static bool proto_fits(unsigned proto, unsigned ver)
{
	return !(proto == IPPROTO_ICMP && ver == 6) && !(proto == IPPROTO_ICMPV6 && ver == 4);
}

/* All selectors for one pair of addresses and one protocol. */
static bool push_ports(struct loader *ld, const struct policy_draft *d, struct selector *s, struct vec *out)
{
	const struct vec *remote = is_icmp(s->proto)                              ? &d->icmp_type
				   : is_mh(s->proto)                              ? &d->mh_type
										  : &d->remote_port;
	bool typed = remote != &d->remote_port;
	const struct port_range *l = d->local_port.p, *r = remote->p;

	for (unsigned i = 0; i < d->local_port.n; i++)
		for (unsigned k = 0; k < remote->n; k++) {
			s->local_port = l[i];
			s->remote_port = typed ? typed_port(&r[k], is_icmp(s->proto) ? &d->icmp_code : &any_port) : r[k];
			if (out->n >= POLICY_SELECTORS_MAX || !vec_push(ld, out, s, sizeof(*s)))
				return false;
		}
	return true;
}

static bool cross(struct loader *ld, const struct policy_draft *d, struct vec *out)
{
	const struct ip_range *l = d->local.p, *r = d->remote.p;
	const uint16_t *proto = d->proto.p;

	for (unsigned i = 0; i < d->local.n; i++)
		for (unsigned k = 0; k < d->remote.n; k++)
			for (unsigned m = 0; m < d->proto.n; m++) {
				struct selector s = { .local = l[i], .remote = r[k], .proto = proto[m] };
				if (l[i].lo.ver != r[k].lo.ver || !proto_fits(proto[m], l[i].lo.ver))
					continue;
				if (!push_ports(ld, d, &s, out))
					return false;
			}
	return true;
}

static void make_selectors(struct loader *ld, const struct item *it, const struct policy_draft *d,
			   struct config_policy *out)
{
	struct vec v = { 0 };

	if (!cross(ld, d, &v)) {
		if (!ld->no_memory)
			report_item(ld, it, "policy %s: its lists make more than %d selectors; expected several policies",
				    it->name, POLICY_SELECTORS_MAX);
	} else if (v.n == 0) {
		report_item(ld, it,
			    "policy %s: nothing can match; expected local, remote and protocol (icmp is IPv4's, ipv6-icmp "
			    "IPv6's) of one IP version",
			    it->name);
	}
	out->sel = v.p;
	out->n_sel = v.n;
}

/* The names in a list of SAs. */
static void read_names(struct loader *ld, const struct item *it, const char *key, char ***names, unsigned *n)
{
	struct vec v = { 0 };

	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		if (!e->v || strcmp(e->row->doc.key, key) != 0)
			continue;
		char *name = strdup(e->v->text);
		if (!have_memory(ld, name) || !vec_push(ld, &v, &name, sizeof(name))) {
			free(name);
			break;
		}
	}
	*names = v.p;
	*n = v.n;
}

#define EITHER (POLICY_DIR_OUT | POLICY_DIR_IN)

static void check_list(struct loader *ld, const struct item *it, const struct config_policy *p, const char *key,
		       unsigned n, unsigned dir)
{
	const struct value *v = key_value(it, key);

	if (!v)
		return;
	if (p->action != POLICY_PROTECT)
		report_value(ld, v, "%s names an SA, but nothing is protected here; expected action = protect, or no %s",
			     key, key);
	else if (dir != EITHER && !(p->dirs & dir))
		report_value(ld, v, "%s names an SA, but the policy is for the other direction; expected direction = both",
			     key);
	else if (n > SA_BUNDLE_MAX && dir != EITHER)
		report_value(ld, v, "%s names %u SAs; expected at most %d", key, n, SA_BUNDLE_MAX);
}

static void check_names(struct loader *ld, const struct item *it, const struct config_policy *p)
{
	check_list(ld, it, p, "out", p->n_out, POLICY_DIR_OUT);
	check_list(ld, it, p, "in", p->n_in, POLICY_DIR_IN);
	check_list(ld, it, p, "parallel", p->n_parallel, EITHER);
	if (p->label && p->unlabelled && !label_range_within(p->unlabelled, p->label))
		report_value(ld, key_value(it, "unlabelled"),
			     "unlabelled = \"%s\" is not within label = \"%s\" of the same section; expected one that is",
			     key_value(it, "unlabelled")->text, key_value(it, "label")->text);
	if (p->action == POLICY_PROTECT && !p->n_out && !p->n_in && !p->n_parallel)
		report_item(ld, it, "policy %s protects without an SA; expected out = {SA} and in = {SA}", it->name);
}

void policy_build(struct loader *ld, const struct item *it, struct config_policy *out)
{
	struct policy_draft d = { .mss_clamp = -1 };
	unsigned errors = ld->errors;

	out->name = strdup(it->name);
	out->file = strdup(it->src->path);
	out->line = it->line;
	if (have_memory(ld, out->name) && have_memory(ld, out->file)) {
		keys_apply(ld, it, &d);
		out->action = (enum policy_action)d.action;
		out->dirs = (unsigned)d.dirs;
		out->fragments = d.fragments;
		out->icmp_errors = d.icmp_errors;
		out->label = d.label;
		out->unlabelled = d.unlabelled;
		out->mss_clamp = d.mss_clamp < 0 ? ld->conf->mss_clamp : d.mss_clamp;
		read_names(ld, it, "out", &out->out, &out->n_out);
		read_names(ld, it, "in", &out->in, &out->n_in);
		read_names(ld, it, "parallel", &out->parallel, &out->n_parallel);
		if (ld->errors == errors) { /* what was not understood would only be blamed again */
			check_fields(ld, it, &d);
			check_names(ld, it, out);
			make_selectors(ld, it, &d, out);
		}
	}
	struct vec *lists[] = { &d.local,	&d.remote,    &d.proto,	  &d.local_port,
				&d.remote_port, &d.icmp_type, &d.mh_type };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		free(lists[i]->p);
}
