/* A tun section to a struct config_tun: its addresses and routes must be what the kernel will take. */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* A route is a network: bits beyond its length would be refused by the kernel. */
static void check_routes(struct loader *ld, const struct item *it, const struct vec *routes)
{
	const struct ip_prefix *p = routes->p;
	unsigned n = 0;

	for (unsigned i = 0; i < it->n_entry && n < routes->n; i++) {
		if (!it->entry[i].v || strcmp(it->entry[i].row->doc.key, "routes") != 0)
			continue;
		struct ip_prefix net = p[n];
		struct ip_range r = ip_range_of_prefix(&p[n]);
		char text[IP_RANGE_STRLEN];
		net.addr = r.lo;
		if (!ip_addr_eq(&net.addr, &p[n].addr))
			report_value(ld, it->entry[i].v, "routes: \"%s\" has bits set beyond its length; expected %s",
				     it->entry[i].v->text, ip_prefix_format(&net, text));
		n++;
	}
}

static bool has_v6(const struct vec *v)
{
	const struct ip_prefix *p = v->p;

	for (unsigned i = 0; i < v->n; i++)
		if (p[i].addr.ver == 6)
			return true;
	return false;
}

void tun_build(struct loader *ld, const struct item *it, struct config_tun *out)
{
	struct tun_draft d = { 0 };
	unsigned errors = ld->errors;

	keys_apply(ld, it, &d);
	if (ld->errors == errors)
		check_routes(ld, it, &d.routes);
	if (d.mtu && d.mtu < 1280 && (has_v6(&d.address) || has_v6(&d.routes)))
		report_value(ld, key_value(it, "mtu"),
			     "mtu = %u with an IPv6 address or route; expected at least 1280 (RFC 8200 5)", d.mtu);
	*out = (struct config_tun) {
		.name = strdup(it->name),
		.address = d.address.p,
		.n_address = d.address.n,
		.routes = d.routes.p,
		.n_routes = d.routes.n,
		.mtu = d.mtu,
		.table = d.table,
		.install_routes = d.install_routes,
		.persist = d.persist,
		.offload = d.offload,
		.file = strdup(it->src->path),
		.line = it->line,
	};
	device_labels(ld, d.label, d.unlabelled);
	have_memory(ld, out->name);
	have_memory(ld, out->file);
}
