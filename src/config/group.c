/* SAs to multicast groups (RFC 4301 4.1, RFC 5374): the keys that only they have, and what they cannot
 * have. */
#include <net/if.h>
#include <string.h>

#include "config/internal.h"

/* The keys of groups in an SA that goes to one host. */
static void check_unicast(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	static const char *const keys[] = { "interface", "address_preservation", "sender_id", "sender_id_bits" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct value *v = key_value(it, keys[i]);
		if (v)
			report_value(ld, v, "%s in an SA that goes to no multicast group; expected dst = GROUP, or no %s",
				     keys[i], keys[i]);
	}
	c->preserve = false;
}

static void check_interface(struct loader *ld, const struct item *it, const struct sa_conf *c)
{
	const struct value *v = key_value(it, "interface"), *dst = key_value(it, "dst");

	if (!v)
		report_value(ld, dst, "dst = \"%s\" is a multicast group and there is no interface; expected interface = NAME, "
				      "where the group is to be found",
			     dst->text);
	else if (c->interface && (!c->interface[0] || strlen(c->interface) >= IF_NAMESIZE))
		report_value(ld, v, "interface = \"%s\"; expected the name of an interface, 1 to %d characters", v->text,
			     IF_NAMESIZE - 1);
}

/* RFC 4303 2.2: nobody can tell whose numbers these are. */
static void check_senders(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	const struct value *window = key_value(it, "replay_window"), *esn = key_value(it, "esn");

	if (c->dir == DIR_OUT || sa_conf_is_from_one(c))
		return;
	if (window && c->replay_window)
		report_value(ld, window, "replay_window = %s in an SA of several senders (RFC 4303 2.2); expected 0, or src: an SA "
					 "for each sender",
			     window->text);
	if (esn && c->esn)
		report_value(ld, esn, "esn = %s in an SA of several senders (RFC 4303 2.2); expected no, or src: an SA for each "
				      "sender",
			     esn->text);
	c->replay_window = 0;
}

static void check_sender_id(struct loader *ld, const struct item *it, struct sa_conf *c)
{
	const struct value *id = key_value(it, "sender_id"), *bits = key_value(it, "sender_id_bits");

	if (bits && c->sender_bits != 8 && c->sender_bits != 12 && c->sender_bits != 16)
		report_value(ld, bits, "sender_id_bits = %s; expected 8, 12 or 16 (RFC 6054 3)", bits->text);
	else if (id && c->sender_id >> c->sender_bits)
		report_value(ld, id, "sender_id = %s does not fit %u bits; expected 0 to %u, or more sender_id_bits", id->text,
			     c->sender_bits, (1u << c->sender_bits) - 1);
	if (bits && !id)
		report_value(ld, bits, "sender_id_bits without sender_id; expected both");
	if (id && c->dir == DIR_IN)
		report_value(ld, id, "sender_id with direction = in; expected it in the outbound SA, which it makes IVs for");
	if (id && c->esn)
		report_value(ld, id, "sender_id beside esn = yes: receivers cannot extend the numbers of several senders; expected "
				     "esn = no");
	if (!id)
		c->sender_bits = 0;
}

static void check_preserved(struct loader *ld, const struct item *it, const struct sa_conf *c)
{
	const struct value *v = key_value(it, "address_preservation");

	if (!v || !c->preserve)
		return;
	if (c->mode != SA_TUNNEL)
		report_value(ld, v, "address_preservation with mode = transport, where the header is the packet's own; expected "
				    "mode = tunnel");
	if (c->encap == SA_ENCAP_UDP)
		report_value(ld, v, "address_preservation in UDP; expected encap = none");
}

void group_check(struct loader *ld, const struct item *it, struct config_sa *s)
{
	struct sa_conf *c = &s->conf;
	const struct value *src = key_value(it, "src");

	if (src && ip_addr_is_multicast(&c->src))
		report_value(ld, src, "src = \"%s\" is a multicast group, from where nothing comes; expected an address", src->text);
	if (!sa_conf_is_group(c)) {
		check_unicast(ld, it, c);
		c->sender_bits = 0;
		return;
	}
	check_interface(ld, it, c);
	check_senders(ld, it, c);
	check_sender_id(ld, it, c);
	check_preserved(ld, it, c);
}

/* With the rest of the file. */
static void check_place(struct loader *ld, const struct item *it, const struct sa_conf *c)
{
	const struct value *v = key_value(it, "interface"), *dst = key_value(it, "dst"), *encap = key_value(it, "encap");
	const struct config_tun *tun = ld->conf->tun;
	const struct ip_addr *bound = c->dst.ver == 4 ? &ld->conf->bind4 : &ld->conf->bind6;

	if (v && tun && tun->name && strcmp(v->text, tun->name) == 0)
		report_value(ld, v, "interface = \"%s\" is the tun device, where packets are not protected yet; expected one of "
				    "the open side",
			     v->text);
	if (ld->conf->bridge)
		report_value(ld, dst, "dst = \"%s\": SAs to multicast groups do not go through a bridge; expected a tun section",
			     dst->text);
	if (c->dir == DIR_IN && c->encap == SA_ENCAP_UDP && bound->ver && !ip_addr_is_any(bound))
		report_value(ld, encap ? encap : dst, "ESP in UDP to a multicast group does not come to a socket with an address of "
						      "its own; expected encap = none, or no listen");
}

void check_groups(struct loader *ld)
{
	unsigned k = 0;

	for (unsigned i = 0; i < ld->n_item; i++) {
		if (ld->item[i].kind != SEC_SA)
			continue;
		const struct sa_conf *c = &ld->conf->sa[k++].conf;
		if (sa_conf_is_group(c))
			check_place(ld, &ld->item[i], c);
	}
}
