/* See cfg.h. */
#include "ike/v1/cfg.h"

#include <errno.h>
#include <string.h>

#include "base/rd.h"
#include "ike/msg_rule.h"

#define UNITY_NET 14u /* address, mask, and six bytes of protocol and ports that nobody sets */

const struct ike_attr *v1_cfg_find(const struct ike_msg *m, const struct ike_payload *p,
				   uint16_t type)
{
	for (unsigned i = 0; i < p->cp.n; i++)
		if (m->attr[p->cp.first + i].type == type)
			return &m->attr[p->cp.first + i];
	return NULL;
}

bool v1_cfg_is_xauth(const struct ike_msg *m, const struct ike_payload *p)
{
	for (unsigned i = 0; i < p->cp.n; i++) {
		uint16_t t = m->attr[p->cp.first + i].type;
		if (t >= IKE1_XAUTH_TYPE && t <= IKE1_XAUTH_ANSWER)
			return true;
	}
	return false;
}

uint64_t v1_cfg_number(const struct ike_attr *a)
{
	uint64_t v = a->is_short ? a->value : 0;

	for (size_t i = 0; !a->is_short && i < a->data.len; i++)
		v = v << 8 | a->data.p[i];
	return v;
}

/* -- in -- */

static int mask_bits(const uint8_t m[4])
{
	uint32_t v = load_be32(m);
	int n = 0;

	while (n < 32 && v & 1u << (31 - n))
		n++;
	return n == 32 || !(v << n) ? n : -1;
}

static bool read_addr(struct span s, struct ip_addr *out)
{
	if (s.len == 4)
		*out = ip_addr_from_v4(s.p);
	else if (s.len == 16 || s.len == 17) /* with a prefix length */
		*out = ip_addr_from_v6(s.p);
	return s.len == 4 || s.len == 16 || s.len == 17;
}

static bool read_server(struct span s, int ver, struct ip_addr *list, unsigned max, unsigned *n)
{
	struct ip_addr a;

	if (s.len != (ver == 4 ? 4 : 16) || !read_addr(s, &a))
		return false;
	if (!ip_addr_is_any(&a) && *n < max)
		list[(*n)++] = a;
	return true;
}

static void add_net(struct ip_prefix net, struct ip_prefix *list, unsigned *n)
{
	net.addr = ip_range_of_prefix(&net).lo;
	if (*n < V1_CFG_NETS)
		list[(*n)++] = net;
}

/* IPv4 networks with masks, one after the other, each `size` bytes. */
static bool read_nets(struct span s, size_t size, struct ip_prefix *list, unsigned *n)
{
	struct rd r = rd_of(s.p, s.len);

	while (r.left) {
		const uint8_t *b = rd_take(&r, size);
		int bits = b ? mask_bits(b + 4) : -1;
		if (bits < 0)
			return false;
		add_net((struct ip_prefix){ ip_addr_from_v4(b), (uint8_t)bits }, list, n);
	}
	return true;
}

static bool read_net6(struct span s, struct ip_prefix *list, unsigned *n)
{
	if (s.len != 17 || s.p[16] > 128)
		return false;
	add_net((struct ip_prefix){ ip_addr_from_v6(s.p), s.p[16] }, list, n);
	return true;
}

/* It will be shown to people: what cannot be printed does not reach a terminal. */
static bool read_text(struct span s, char out[V1_CFG_TEXT])
{
	size_t n = s.len < V1_CFG_TEXT ? s.len : V1_CFG_TEXT - 1;

	while (n && (s.p[n - 1] == 0 || s.p[n - 1] == '\n' || s.p[n - 1] == '\r'))
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i] >= ' ' && s.p[i] < 127 ? (char)s.p[i] : '?';
	out[n] = '\0';
	return true;
}

static size_t unity_size(struct span s)
{
	return s.len % UNITY_NET ? 8 : UNITY_NET;
}

/* One attribute. False: its length does not fit. */
static bool read_attr(const struct ike_attr *a, struct v1_cfg *c)
{
	uint8_t number[2] = { (uint8_t)(a->value >> 8), (uint8_t)a->value };
	struct span s = a->is_short ? span_of(number, 2) : a->data;
	static const struct {
		uint16_t type;
		uint32_t bit;
	} bits[] = {
		{ IKE1_IP4_ADDRESS, V1_CFG_ADDR4 },      { IKE1_IP4_NETMASK, V1_CFG_MASK },
		{ IKE1_IP4_DNS, V1_CFG_DNS4 },           { IKE1_IP4_NBNS, V1_CFG_NBNS },
		{ IKE1_IP6_ADDRESS, V1_CFG_ADDR6 },      { IKE1_IP6_DNS, V1_CFG_DNS6 },
		{ IKE1_IP4_SUBNET, V1_CFG_INCLUDE },     { IKE1_IP6_SUBNET, V1_CFG_INCLUDE },
		{ IKE1_UNITY_BANNER, V1_CFG_BANNER },    { IKE1_UNITY_DEF_DOMAIN, V1_CFG_DOMAIN },
		{ IKE1_UNITY_SPLIT_INCLUDE, V1_CFG_INCLUDE },
		{ IKE1_UNITY_SPLIT_DNS, V1_CFG_SPLIT_DNS },
		{ IKE1_UNITY_LOCAL_LAN, V1_CFG_EXCLUDE },
	};

	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		if (bits[i].type == a->type)
			c->has |= bits[i].bit;
	if (s.len == 0)
		return true;
	switch (a->type) {
	case IKE1_IP4_ADDRESS:
		return s.len == 4 && read_addr(s, &c->addr[0]);
	case IKE1_IP4_NETMASK:
		return s.len == 4 && read_addr(s, &c->mask);
	case IKE1_IP6_ADDRESS:
		return s.len > 4 && read_addr(s, &c->addr[1]);
	case IKE1_IP4_DNS:
		return read_server(s, 4, c->dns, ARRAY_LEN(c->dns), &c->n_dns);
	case IKE1_IP6_DNS:
		return read_server(s, 6, c->dns, ARRAY_LEN(c->dns), &c->n_dns);
	case IKE1_IP4_NBNS:
		return read_server(s, 4, c->nbns, ARRAY_LEN(c->nbns), &c->n_nbns);
	case IKE1_IP4_SUBNET:
		return read_nets(s, 8, c->include, &c->n_include);
	case IKE1_IP6_SUBNET:
		return read_net6(s, c->include, &c->n_include);
	case IKE1_UNITY_SPLIT_INCLUDE:
		return read_nets(s, unity_size(s), c->include, &c->n_include);
	case IKE1_UNITY_LOCAL_LAN:
		return read_nets(s, unity_size(s), c->exclude, &c->n_exclude);
	case IKE1_UNITY_DEF_DOMAIN:
		return read_text(s, c->domain);
	case IKE1_UNITY_SPLIT_DNS:
		return read_text(s, c->split_dns);
	case IKE1_UNITY_BANNER:
		return read_text(s, c->banner);
	default:
		return true;
	}
}

int v1_cfg_read(const struct ike_msg *m, const struct ike_payload *p, struct v1_cfg *out,
		struct ike_bad *bad)
{
	*out = (struct v1_cfg){ 0 };
	for (unsigned i = 0; i < p->cp.n; i++) {
		const struct ike_attr *a = &m->attr[p->cp.first + i];
		if (!read_attr(a, out))
			return ike_refuse(bad, IKE1_PAYLOAD_MALFORMED, IKE1_ATTR,
					  "ATTR payload: the value of attribute %u cannot be read",
					  a->type);
	}
	return 0;
}

/* -- out -- */

struct out {
	struct ike_msg *m;
	struct ike_payload *p;
	uint8_t *room;
	int rc;
};

static void put(struct out *o, uint16_t type, struct span data)
{
	struct ike_attr *a = ike_msg_add_cp_attr(o->m, o->p, type);

	if (a)
		a->data = data;
	else
		o->rc = -ENOSPC;
}

static void put_addr(struct out *o, uint16_t type, const struct ip_addr *a)
{
	put(o, type, span_of(a->b, ip_addr_bytes(a)));
}

/* The IPv4 networks, all in one attribute: some clients look at one alone. */
static void put_unity(struct out *o, uint16_t type, const struct ip_prefix *net, unsigned n)
{
	uint8_t *begin = o->room;

	for (unsigned i = 0; i < n; i++) {
		if (net[i].addr.ver != 4)
			continue;
		memset(o->room, 0, UNITY_NET);
		memcpy(o->room, net[i].addr.b, 4);
		store_be32(o->room + 4, net[i].len ? ~0u << (32 - net[i].len) : 0);
		o->room += UNITY_NET;
	}
	if (o->room > begin)
		put(o, type, span_of(begin, (size_t)(o->room - begin)));
}

/* Networks behind the gateway: Unity's attribute knows IPv4 alone, SUBNET both. */
static void put_nets(struct out *o, const struct v1_cfg *c)
{
	put_unity(o, IKE1_UNITY_SPLIT_INCLUDE, c->include, c->n_include);
	for (unsigned i = 0; i < c->n_include; i++) {
		if (c->include[i].addr.ver != 6)
			continue;
		memcpy(o->room, c->include[i].addr.b, 16);
		o->room[16] = c->include[i].len;
		put(o, IKE1_IP6_SUBNET, span_of(o->room, 17));
		o->room += 17;
	}
	put_unity(o, IKE1_UNITY_LOCAL_LAN, c->exclude, c->n_exclude);
}

int v1_cfg_write(const struct v1_cfg *c, bool question, struct ike_msg *m, struct ike_payload *p,
		 uint8_t *room)
{
	struct out o = { .m = m, .p = p, .room = room };
	static const struct {
		uint32_t bit;
		uint16_t type;
	} asked[] = {
		{ V1_CFG_ADDR4, IKE1_IP4_ADDRESS },    { V1_CFG_MASK, IKE1_IP4_NETMASK },
		{ V1_CFG_DNS4, IKE1_IP4_DNS },         { V1_CFG_NBNS, IKE1_IP4_NBNS },
		{ V1_CFG_ADDR6, IKE1_IP6_ADDRESS },    { V1_CFG_DNS6, IKE1_IP6_DNS },
		{ V1_CFG_BANNER, IKE1_UNITY_BANNER },  { V1_CFG_DOMAIN, IKE1_UNITY_DEF_DOMAIN },
		{ V1_CFG_INCLUDE, IKE1_UNITY_SPLIT_INCLUDE },
		{ V1_CFG_SPLIT_DNS, IKE1_UNITY_SPLIT_DNS },
		{ V1_CFG_EXCLUDE, IKE1_UNITY_LOCAL_LAN },
	};

	if (question) {
		for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
			const struct ip_addr *hint = asked[i].bit == V1_CFG_ADDR4   ? &c->addr[0]
						     : asked[i].bit == V1_CFG_ADDR6 ? &c->addr[1]
										    : NULL;
			if (c->has & asked[i].bit && hint && hint->ver)
				put_addr(&o, asked[i].type, hint);
			else if (c->has & asked[i].bit)
				put(&o, asked[i].type, span_of(NULL, 0));
		}
		return o.rc;
	}
	if (c->addr[0].ver)
		put_addr(&o, IKE1_IP4_ADDRESS, &c->addr[0]);
	if (c->mask.ver)
		put_addr(&o, IKE1_IP4_NETMASK, &c->mask);
	if (c->addr[1].ver) {
		memcpy(o.room, c->addr[1].b, 16);
		o.room[16] = 128;
		put(&o, IKE1_IP6_ADDRESS, span_of(o.room, 17));
		o.room += 17;
	}
	for (unsigned i = 0; i < c->n_dns; i++)
		put_addr(&o, c->dns[i].ver == 4 ? IKE1_IP4_DNS : IKE1_IP6_DNS, &c->dns[i]);
	for (unsigned i = 0; i < c->n_nbns; i++)
		put_addr(&o, IKE1_IP4_NBNS, &c->nbns[i]);
	put_nets(&o, c);
	if (c->domain[0])
		put(&o, IKE1_UNITY_DEF_DOMAIN, span_of(c->domain, strlen(c->domain)));
	if (c->split_dns[0])
		put(&o, IKE1_UNITY_SPLIT_DNS, span_of(c->split_dns, strlen(c->split_dns)));
	if (c->banner[0])
		put(&o, IKE1_UNITY_BANNER, span_of(c->banner, strlen(c->banner)));
	return o.rc;
}
