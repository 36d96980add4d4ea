/* A bridge section to a struct config_bridge, and what of the rest of the file a bridge can carry. */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define TAP "tap:"
#define NAME_MAX_LEN 15 /* of an interface */

/* "eth0", or "tap:NAME" for a device of ours. */
static void read_port(struct loader *ld, const struct item *it, enum bridge_side side, struct config_bridge *out)
{
	const char *key = side == BRIDGE_PROTECTED ? "protected" : "open";
	const struct value *v = key_value(it, key);

	if (!v)
		return; /* said already */
	bool tap = strncmp(v->text, TAP, strlen(TAP)) == 0;
	const char *name = v->text + (tap ? strlen(TAP) : 0);
	size_t n = strlen(name);
	if (n == 0 || n > NAME_MAX_LEN || strpbrk(name, "/:% \t") || name[0] == '.') {
		report_value(ld, v, "%s = \"%.64s\": not an interface; expected a name of 1 to %d characters, or \"tap:NAME\"", key,
			     v->text, NAME_MAX_LEN);
		return;
	}
	out->port[side].tap = tap;
	out->port[side].name = strdup(name);
	have_memory(ld, out->port[side].name);
}

static void check_ports(struct loader *ld, const struct item *it, const struct config_bridge *b)
{
	const struct value *open = key_value(it, "open"), *on_exit_v = key_value(it, "on_exit");

	if (!b->port[BRIDGE_PROTECTED].name || !b->port[BRIDGE_OPEN].name)
		return;
	if (strcmp(b->port[BRIDGE_PROTECTED].name, b->port[BRIDGE_OPEN].name) == 0)
		report_value(ld, open, "open = \"%s\" is the protected port, too; expected two interfaces", open->text);
	if (!b->host && b->port[BRIDGE_OPEN].tap)
		report_value(ld, open, "open = \"%s\" with mode = gateway, whose own address is on the open interface; expected an "
				       "interface, or mode = host",
			     open->text);
	if (b->on_exit_pass && (b->port[BRIDGE_PROTECTED].tap || b->port[BRIDGE_OPEN].tap))
		report_value(ld, on_exit_v, "on_exit = pass with a TAP device, which goes when we go; expected on_exit = block, or two "
					    "interfaces");
}

void bridge_build(struct loader *ld, const struct item *it, struct config_bridge *out)
{
	struct bridge_draft d = { .rule[FRAME_IP] = BRIDGE_POLICY };

	out->name = strdup(it->name);
	out->file = strdup(it->src->path);
	out->line = it->line;
	if (!have_memory(ld, out->name) || !have_memory(ld, out->file))
		return;
	keys_apply(ld, it, &d);
	device_labels(ld, d.label, d.unlabelled);
	out->host = d.host;
	out->on_exit_pass = d.on_exit_pass;
	for (unsigned k = 0; k < FRAME_KINDS; k++)
		out->rule[k] = (uint8_t)d.rule[k];
	read_port(ld, it, BRIDGE_PROTECTED, out);
	read_port(ld, it, BRIDGE_OPEN, out);
	check_ports(ld, it, out);
}

/* ---- with the rest ---------------------------------------------------------------------------- */

/*
 * In place of the host: packets keep their IP header, so that what protects them is transport mode between the host's own address and the
 * peer's. The box has no address and no sockets: nothing can be in UDP, and IKE speaks with the host's address, too.
 */
static void check_host_sa(struct loader *ld, const struct item *it)
{
	const struct value *mode = key_value(it, "mode"), *encap = key_value(it, "encap"), *src = key_value(it, "src"),
			   *dst = key_value(it, "dst");

	if (!mode || strcmp(mode->text, "transport") != 0)
		report_item(ld, it, "sa %s in tunnel mode, behind a bridge with mode = host; expected mode = transport there, or mode = "
				    "gateway in the bridge",
			    it->name);
	else if (!encap || strcmp(encap->text, "none") != 0)
		report_item(ld, it, "sa %s in UDP, behind a bridge with mode = host, which has no sockets; expected encap = none", it->name);
	else if (!src || !dst || strcmp(src->text, "%any") == 0 || strcmp(dst->text, "%any") == 0)
		report_item(ld, it, "sa %s behind a bridge with mode = host; expected src and dst: the host's address and its peer's",
			    it->name);
}

static bool one_address(const struct ike_host *h)
{
	return h->range.lo.ver && ip_addr_eq(&h->range.lo, &h->range.hi);
}

static void check_host_conn(struct loader *ld, const struct item *it, const struct ike_conn_conf *c)
{
	bool own = c->n_local > 0;

	for (unsigned i = 0; i < c->n_local; i++)
		own &= one_address(&c->local[i]);
	if (!own)
		report_item(ld, it, "connection %s behind a bridge with mode = host; expected local_addrs: the host's address", it->name);
	if (c->encap || c->remote_port != 500 || c->local_port == ld->conf->port)
		report_item(ld, it, "connection %s in UDP, behind a bridge with mode = host, which has no sockets; expected encap = no, and "
				    "port 500",
			    it->name);
	if (c->n_vips || c->n_pools)
		report_item(ld, it, "connection %s with inner addresses, behind a bridge with mode = host; expected neither vips nor pools "
				    "there",
			    it->name);
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].mode != SA_TRANSPORT)
			report_item(ld, it, "child %s in tunnel mode, behind a bridge with mode = host; expected mode = transport there, or "
					    "mode = gateway in the bridge",
				    c->child[i].name);
}

void check_bridge_mode(struct loader *ld)
{
	const struct config *c = ld->conf;
	unsigned n = 0;

	for (unsigned i = 0; i < ld->n_item; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_BRIDGE && c->tun)
			report_item(ld, it, "a bridge beside a tun section; expected one of them (%s:%d has the other)", c->tun->file,
				    c->tun->line);
		if (!c->bridge || !c->bridge->host)
			continue;
		if (it->kind == SEC_SA)
			check_host_sa(ld, it);
		if (it->kind == SEC_CONN && c->ike && n < c->ike->n_conn)
			check_host_conn(ld, it, &c->ike->conn[n++]);
	}
}
