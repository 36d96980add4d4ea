/* IKE from and to the host's address; see bump.h. Frames that are not for us are not changed, and
 * cost a look at their ports. */
#include "plane/bump.h"

#include <errno.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "base/clock.h"
#include "base/random.h"
#include "packet/csum.h"
#include "packet/frag.h"
#include "plane/internal.h"

#define IKE_HEADER_LEN 28
#define MARKER_LEN 4
#define UDP_LEN 8
#define HOP_LIMIT 64
#define ASK_EVERY_NS NS_PER_S

static const struct virtio_net_hdr plain;

struct bump *bump_new(const struct port *open)
{
	struct bump *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->ways = neighbours_new();
	b->seed = random_u64() | 1;
	b->ip_id = (uint16_t)random_u64();
	port_tx_init(&b->tx, open, 0);
	if (!b->ways)
		bump_free(&b);
	return b;
}

void bump_free(struct bump **bp)
{
	struct bump *b = *bp;

	if (!b)
		return;
	neighbours_free(&b->ways);
	free(b->ends);
	free(b);
	*bp = NULL;
}

/* ---- which messages are ours ----------------------------------------------------------------- */

static _Atomic uint64_t *spi_set(struct bump *b, uint64_t spi)
{
	return b->spi[(spi * b->seed) >> 40 & (BUMP_SPI_SETS - 1)];
}

static bool spi_is_ours(struct bump *b, uint64_t spi)
{
	_Atomic uint64_t *set = spi_set(b, spi);
	bool found = false;

	for (unsigned i = 0; i < BUMP_SPI_WAYS; i++)
		found |= atomic_load_explicit(&set[i], memory_order_relaxed) == spi;
	return found && spi;
}

/* Of many at once some are forgotten; then it is the connection that tells (see bump_ike()). */
static void spi_enter(struct bump *b, uint64_t spi)
{
	_Atomic uint64_t *set = spi_set(b, spi);
	unsigned at = (unsigned)random_u64() % BUMP_SPI_WAYS;

	if (spi_is_ours(b, spi))
		return;
	for (unsigned i = 0; i < BUMP_SPI_WAYS; i++)
		if (atomic_load_explicit(&set[i], memory_order_relaxed) == 0)
			at = i;
	atomic_store_explicit(&set[at], spi, memory_order_relaxed);
}

static bool of_connection(const struct bump *b, const struct ip_addr *local,
			  const struct ip_addr *remote)
{
	const struct bump_ends *e = rcu_dereference(b->ends);

	for (unsigned i = 0; e && i < e->n; i++)
		if (ip_addr_eq(&e->v[i].local, local) && ip_range_has(&e->v[i].remote, remote))
			return true;
	return false;
}

int plane_set_ike_ends(struct plane *p, const struct plane_ike_ends *v, unsigned n)
{
	if (!p->bump)
		return 0;
	struct bump_ends *e = malloc(sizeof(*e) + n * sizeof(*v)), *old = p->bump->ends;
	if (!e)
		return -ENOMEM;
	e->n = n;
	if (n)
		memcpy(e->v, v, n * sizeof(*v));
	rcu_set_pointer(&p->bump->ends, e);
	plane_free_later(p, old, free);
	return 0;
}

/* ---- in
 * ------------------------------------------------------------------------------------------- */

void bump_learn(struct bump *b, enum bridge_side side, const struct frame *f, const uint8_t *p,
		uint32_t len)
{
	/* hosts answer who asks for them; otherwise nobody on the open side says where he is */
	bool answers = f->kind == FRAME_ARP || f->kind == FRAME_ND;

	if (side == BRIDGE_PROTECTED || answers)
		neighbours_learn(b->ways, f, p, len);
	if (side == BRIDGE_PROTECTED && f->kind == FRAME_IP)
		neighbours_learn_way(b->ways, f, p, len);
}

/* The checksum may be still to be made, by whoever sends it out of this machine. */
static bool intact(const struct worker *w, unsigned i, const struct in_pkt *p)
{
	uint8_t flags = w->bridge->rx[i].vnet.flags;

	return flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID) ||
	       csum_l4_ok(p->ip, p->info.l4_off, p->info.len, IPPROTO_UDP);
}

/* The message in the UDP packet: where it begins in *at, and its length; 0 when there is none.
 * *port: ours that it came to. first: a fragment, whose rest follows. */
static uint32_t message(const struct worker *w, const struct in_pkt *p, bool first, uint32_t *at,
			uint16_t *port)
{
	const struct plane_opts *o = &w->plane->opts;
	const uint8_t *udp = p->ip + p->info.l4_off;
	uint32_t left = p->info.len - p->info.l4_off, len;

	if (p->info.key.proto != IPPROTO_UDP || p->info.flags & PKT_FRAG_LATER || left < UDP_LEN)
		return 0;
	*port = load_be16(udp + 2);
	len = load_be16(udp + 4);
	if (first && len > left)
		len = left;
	if ((*port != o->port_ike && *port != o->port) || len < UDP_LEN || len > left)
		return 0;
	*at = p->info.l4_off + UDP_LEN;
	len -= UDP_LEN;
	if (*port == o->port) {
		if (len < MARKER_LEN || load_be32(p->ip + *at) != 0)
			return 0;
		*at += MARKER_LEN;
		len -= MARKER_LEN;
	}
	return len < IKE_HEADER_LEN ? 0 : len;
}

/* at: of the message in the packet. */
static bool is_ours(struct worker *w, struct in_pkt *p, uint32_t at, const struct ip_addr *local,
		    const struct ip_addr *remote)
{
	struct bump *b = w->plane->bump;

	if (spi_is_ours(b, load_be64(p->ip + at)))
		return true;
	if (!of_connection(b, local, remote))
		return false;
	/* without the responder's SPI it begins something; with one it may be of the host's own
	 * IKE, if a policy lets that pass */
	p->hash = flow_key_hash(&p->info.key, w->in_flows.seed);
	const struct policy *pol = inbound_flow(w, p)->verdict;
	return load_be64(p->ip + at + 8) == 0 || !pol || pol->action != POLICY_BYPASS;
}

bool bump_begins(struct worker *w, struct in_pkt *p)
{
	struct ip_addr local = flow_key_dst(&p->info.key), remote = flow_key_src(&p->info.key);
	uint16_t port;
	uint32_t at;

	return message(w, p, true, &at, &port) && is_ours(w, p, at, &local, &remote);
}

bool bump_ike(struct worker *w, unsigned i, struct in_pkt *p)
{
	struct bump *b = w->plane->bump;
	uint32_t at = 0;
	struct endpoint local = { .port = 0 }, remote;
	bool fragment = p->info.flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER);
	uint32_t len = fragment ? 0 : message(w, p, false, &at, &local.port);

	if (likely(len == 0))
		return false;
	local.addr = flow_key_dst(&p->info.key);
	remote.addr = flow_key_src(&p->info.key);
	remote.port = load_be16(p->ip + p->info.l4_off);
	if (!is_ours(w, p, at, &local.addr, &remote.addr))
		return false;
	struct frame known;
	if (!neighbours_find(b->ways, &remote.addr, &known))
		neighbours_learn(b->ways, &w->bridge->frame[i], p->ip, p->info.len);
	if (!intact(w, i, p))
		worker_drop(w, DROP_BAD_HEADER);
	else
		ike_hand_over(w, &local, &remote, p->ip + at, len);
	return true;
}

/* ---- out
 * ------------------------------------------------------------------------------------------ */

/* Asks where the peer is, in the host's name and to the host's address: the answer is the host's,
 * too, and does it no harm. */
static void ask(struct bump *b, const struct ip_addr *peer, const struct ip_addr *host,
		const struct frame *own)
{
	uint8_t frame[NEIGHBOUR_ASK_MAX];
	uint64_t now = clock_now_ns();

	if (b->asked_ns && now - b->asked_ns < ASK_EVERY_NS)
		return;
	b->asked_ns = now;
	uint32_t len = neighbour_ask_from(peer, host, frame_dst(own), frame);
	struct iovec data = { frame + 14, len - 14 };
	uint8_t head[FRAME_HEAD_MAX];
	/* with the host's tags */
	uint32_t tags = own->head_len - 14u;
	memcpy(head, frame, 12);
	memcpy(head + 12, own->head + 12, tags);
	memcpy(head + 12 + tags, frame + 12, 2);
	port_put(&b->tx, &plain, head, own->head_len, &data, 1, 1);
	port_flush(&b->tx);
}

/* The header of a frame to the peer. False: nobody has said where it is. */
static bool way_to(struct bump *b, const struct ip_addr *peer, const struct ip_addr *host,
		   struct frame *f)
{
	static const uint8_t nobody[FRAME_MAC_LEN];
	struct frame own;
	bool known = neighbours_find(b->ways, host, &own),
	     found = neighbours_find(b->ways, peer, f);

	if (found && memcmp(frame_src(f), nobody, sizeof(nobody)) == 0) {
		found = known;
		memcpy(f->head + FRAME_MAC_LEN, frame_dst(&own), FRAME_MAC_LEN);
	}
	if (!found && known)
		ask(b, peer, host, &own);
	return found;
}

/* IP and UDP in front of the datagram at ip + the headers' length; the packet's length. */
static uint32_t headers(struct bump *b, const struct endpoint *local, const struct endpoint *remote,
			uint32_t len, uint8_t *ip)
{
	bool v6 = remote->addr.ver == 6;
	uint32_t hdr = v6 ? 40 : 20;
	uint8_t *udp = ip + hdr;

	memset(ip, 0, hdr + UDP_LEN);
	len += UDP_LEN;
	store_be16(udp, local->port);
	store_be16(udp + 2, remote->port);
	store_be16(udp + 4, (uint16_t)len);
	if (v6) {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)len);
		ip[6] = IPPROTO_UDP;
		ip[7] = HOP_LIMIT;
		memcpy(ip + 8, local->addr.b, 16);
		memcpy(ip + 24, remote->addr.b, 16);
	} else {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(hdr + len));
		store_be16(ip + 4, ++b->ip_id);
		ip[8] = HOP_LIMIT;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, local->addr.b, 4);
		memcpy(ip + 16, remote->addr.b, 4);
		csum_ip4_set(ip);
	}
	csum_l4_set(ip, hdr, hdr + len, IPPROTO_UDP);
	return hdr + len;
}

static int put(struct bump *b, const struct frame *f, const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	static uint8_t part[UINT16_MAX]; /* the control thread's */
	unsigned n = frag_count(ip, len, mtu);
	uint32_t id = (uint32_t)random_u64();

	if (n == 0)
		return -EMSGSIZE;
	for (unsigned i = 0; i < n; i++) {
		struct iovec data = { part, frag_make(ip, len, mtu, i, id, part) };
		port_put(&b->tx, &plain, f->head, f->head_len, &data, 1, 1);
		port_flush(&b->tx); /* part is used again */
	}
	uint64_t full = b->tx.full, failed = b->tx.failed;
	b->tx.sends = b->tx.full = b->tx.failed = 0;
	return failed ? -EIO : full ? -EAGAIN : 0;
}

int plane_send_bump(struct plane *p, const struct endpoint *local, const struct endpoint *remote,
		    bool marker, struct span datagram)
{
	static uint8_t packet[40 + UDP_LEN + MARKER_LEN + UINT16_MAX]; /* the control thread's */
	struct bump *b = p->bump;
	uint32_t head = (remote->addr.ver == 6 ? 40 : 20) + UDP_LEN,
		 len = (uint32_t)datagram.len + (marker ? MARKER_LEN : 0);
	struct frame f;

	if (!b || local->addr.ver != remote->addr.ver)
		return -ENOTCONN;
	if (datagram.len < IKE_HEADER_LEN || datagram.len + head + MARKER_LEN > UINT16_MAX)
		return -EMSGSIZE;
	spi_enter(b, load_be64(datagram.p));
	if (!way_to(b, &remote->addr, &local->addr, &f))
		return -EHOSTUNREACH;
	frame_set_ip(f.head, f.head_len, remote->addr.ver);
	memset(packet + head, 0, MARKER_LEN);
	memcpy(packet + head + (marker ? MARKER_LEN : 0), datagram.p, datagram.len);
	len = headers(b, local, remote, len, packet);
	return put(b, &f, packet, len, atomic_load_explicit(&p->mtu, memory_order_relaxed));
}
