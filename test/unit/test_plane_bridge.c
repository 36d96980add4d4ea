/*
 * Bridges: A and B each between two ports, which are socket pairs that carry a virtio header and a frame a message, as a TAP device does.
 * A's open port and B's are the wire.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet/csum.h"
#include "packet/frag.h"
#include "plane/bridge.h"
#include "plane_rig.h"

#define HEAD 14u

static struct rig rig;
static struct port port[2][2];    /* of A and B, by side */
static int far[2][2];             /* the other ends */
static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static uint8_t frame[70000], got[70000];
static const struct rig_policy hosts4 = { .action = POLICY_PROTECT, .local = "192.0.2.1", .remote = "192.0.2.2" },
			       hosts6 = { .action = POLICY_PROTECT, .local = "2001:db8::1", .remote = "2001:db8::2" },
			       clear4 = { .action = POLICY_BYPASS, .local = "192.0.2.0/24", .remote = "192.0.2.9" },
			       no4 = { .action = POLICY_DISCARD, .local = "192.0.2.0/24", .remote = "192.0.2.8" };

static void make_ports(void)
{
	for (unsigned b = 0; b < 2; b++)
		for (unsigned s = 0; s < 2; s++) {
			int fd[2];
			ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
			port[b][s] = (struct port) { .is_tap = true, .queues = 1, .mac = { 2, 0, 0, 0, 1, (uint8_t)(b * 2 + s) } };
			for (unsigned i = 0; i < TUN_MAX_QUEUES; i++)
				port[b][s].fd[i] = i ? -1 : fd[0];
			far[b][s] = fd[1];
		}
}

static void start(struct rig_opts o, bool host)
{
	struct bridge_rules rules = { .of = { [FRAME_IP] = BRIDGE_POLICY, [FRAME_ARP] = BRIDGE_PASS, [FRAME_ND] = BRIDGE_PASS } };

	make_ports();
	o.ports_a = port[0];
	o.ports_b = port[1];
	o.bump = host;
	o.raw = true;
	o.transport = host;
	memcpy(o.policy, (struct rig_policy[]) { hosts4, hosts6, clear4, no4 }, 4 * sizeof(hosts4));
	o.n_policy = 4;
	rig_new(&rig, &o);
	plane_set_rules(rig.pa, &rules);
	plane_set_rules(rig.pb, &rules);
}

static void stop(void)
{
	rig_free(&rig);
	for (unsigned b = 0; b < 2; b++)
		for (unsigned s = 0; s < 2; s++) {
			close(port[b][s].fd[0]);
			close(far[b][s]);
		}
}

/* A frame from host A to host B of this kind; behind the header n bytes of body. Returns its length. */
static uint32_t head(uint16_t type, const void *body, uint32_t n)
{
	memcpy(frame, mac_b, 6);
	memcpy(frame + 6, mac_a, 6);
	store_be16(frame + 12, type);
	memcpy(frame + HEAD, body, n);
	return HEAD + n;
}

/* UDP between two of the hosts 192.0.2.x or 2001:db8::x. */
static uint32_t udp(int ver, uint8_t from, uint8_t to, uint32_t len)
{
	static const uint8_t net6[8] = { 0x20, 0x01, 0x0d, 0xb8 };
	uint8_t ip[9000];
	uint32_t n = rig_udp(ver, 7, len, ip);

	if (ver == 4) {
		memcpy(ip + 12, ((uint8_t[]) { 192, 0, 2, from, 192, 0, 2, to }), 8);
		csum_ip4_set(ip);
		csum_l4_set(ip, 20, n, IPPROTO_UDP);
	} else {
		memset(ip + 8, 0, 32);
		memcpy(ip + 8, net6, 8);
		memcpy(ip + 24, net6, 8);
		ip[23] = from;
		ip[39] = to;
		csum_l4_set(ip, 40, n, IPPROTO_UDP);
	}
	return head(ver == 4 ? 0x0800 : 0x86dd, ip, n);
}

/* The frame arrives at a side of a bridge: 0 A, 1 B; with the virtio header of an ordinary one. */
static void arrive(unsigned bridge, enum bridge_side side, const uint8_t *f, uint32_t len)
{
	struct virtio_net_hdr none = { 0 };
	struct iovec iov[2] = { { &none, sizeof(none) }, { (void *)(uintptr_t)f, len } };
	struct worker *w = bridge ? rig.b : rig.a;

	ck_assert_int_ge(writev(far[bridge][side], iov, 2), 0);
	rig_begin(w);
	bridge_receive(w, side);
}

/* What left by a side, to got; its length, 0 for nothing. */
static uint32_t left(unsigned bridge, enum bridge_side side, struct virtio_net_hdr *vnet)
{
	struct virtio_net_hdr v;
	struct iovec iov[2] = { { vnet ? vnet : &v, sizeof(v) }, { got, sizeof(got) } };
	ssize_t n = readv(far[bridge][side], iov, 2);

	ck_assert(n < 0 || n > (ssize_t)sizeof(v));
	return n < 0 ? 0 : (uint32_t)n - (uint32_t)sizeof(v);
}

static void nothing_left(void)
{
	for (unsigned b = 0; b < 2; b++)
		for (unsigned s = 0; s < 2; s++)
			ck_assert_uint_eq(left(b, s, NULL), 0);
}

/* ---- rules ------------------------------------------------------------------------------------- */

START_TEST(test_rules)
{
	static const uint8_t stp[] = { 0x42, 0x42, 3 };
	static const struct {
		uint16_t type;
		enum frame_kind kind;
	} row[] = { { 0x0806, FRAME_ARP }, { 0x88cc, FRAME_LLDP }, { 0x26, FRAME_STP }, { 0x888e, FRAME_EAPOL }, { 0x88e5, FRAME_OTHER } };
	uint8_t body[60] = { 0 };

	memcpy(body, stp, sizeof(stp));
	start((struct rig_opts) { 0 }, _i);
	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		for (unsigned rule = BRIDGE_DROP; rule <= BRIDGE_PASS; rule++)
			for (unsigned side = 0; side < 2; side++) {
				struct bridge_rules r = { .of = { [FRAME_IP] = BRIDGE_POLICY } };
				r.of[row[i].kind] = (uint8_t)rule;
				plane_set_rules(rig.pa, &r);
				uint32_t len = head(row[i].type, body, sizeof(body));
				if (row[i].kind == FRAME_STP)
					memcpy(frame, "\x01\x80\xc2\0\0\0", 6);
				arrive(0, side, frame, len);
				rig_dropped(rig.a, DROP_FRAME_RULE, rule == BRIDGE_DROP);
				ck_assert_uint_eq(left(0, !side, NULL), rule == BRIDGE_PASS ? len : 0);
				if (rule == BRIDGE_PASS)
					ck_assert_mem_eq(got, frame, len);
				nothing_left();
			}
	stop();
}
END_TEST

/* ND, DHCP and groups: by rule, or by the policies like all IP. */
START_TEST(test_rules_ip)
{
	static const struct {
		enum frame_kind kind;
		int ver;
		uint8_t proto, type, hops;
	} row[] = {
		{ FRAME_DHCP, 4, IPPROTO_UDP, 0, 64 },     { FRAME_ND, 6, IPPROTO_ICMPV6, 135, 255 },
		{ FRAME_ND, 6, IPPROTO_ICMPV6, 134, 255 }, { FRAME_GROUP, 6, IPPROTO_ICMPV6, 143, 1 },
		{ FRAME_GROUP, 4, IPPROTO_IGMP, 0x16, 1 },
	};

	start((struct rig_opts) { 0 }, true);
	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		for (unsigned rule = BRIDGE_DROP; rule <= BRIDGE_POLICY; rule++) {
			struct bridge_rules r = { .of = { [FRAME_IP] = BRIDGE_POLICY } };
			r.of[row[i].kind] = (uint8_t)rule;
			plane_set_rules(rig.pa, &r);
			uint32_t len = udp(row[i].ver, 1, 8, 40); /* to whom a policy discards, or none is */
			uint8_t *ip = frame + HEAD, *l4 = ip + (row[i].ver == 4 ? 20 : 40);
			ip[row[i].ver == 4 ? 9 : 6] = row[i].proto;
			ip[row[i].ver == 4 ? 8 : 7] = row[i].hops;
			if (row[i].kind == FRAME_DHCP) {
				store_be16(l4, 68);
				store_be16(l4 + 2, 67);
			} else {
				l4[0] = row[i].type;
				l4[1] = 0;
			}
			if (row[i].ver == 4)
				csum_ip4_set(ip);
			arrive(0, BRIDGE_PROTECTED, frame, len);
			rig_dropped(rig.a, rule == BRIDGE_DROP ? DROP_FRAME_RULE : row[i].ver == 4 ? DROP_POLICY_DISCARD : DROP_NO_POLICY,
				    rule != BRIDGE_PASS);
			ck_assert_msg(left(0, BRIDGE_OPEN, NULL) == (rule == BRIDGE_PASS ? len : 0), "row %u", i);
		}
	stop();
}
END_TEST

START_TEST(test_bad_frames)
{
	start((struct rig_opts) { 0 }, _i);
	for (unsigned side = 0; side < 2; side++) {
		uint32_t len = udp(4, 1, 2, 40);
		arrive(0, side, frame, 13);
		rig_dropped(rig.a, DROP_FRAME_SHORT, 1);
		arrive(0, side, frame, 0);
		rig_dropped(rig.a, DROP_FRAME_SHORT, 1);
		arrive(0, side, frame, len - 1);
		rig_dropped(rig.a, DROP_BAD_LENGTH, 1);
		frame[HEAD] = 0x75;
		arrive(0, side, frame, len);
		rig_dropped(rig.a, DROP_NOT_IP, 1);
		udp(4, 1, 2, 40);
		frame[HEAD] = 0x44; /* header shorter than it can be */
		arrive(0, side, frame, len);
		rig_dropped(rig.a, DROP_BAD_HEADER, 1);
		nothing_left();
	}
	stop();
}
END_TEST

/* ---- policies ---------------------------------------------------------------------------------- */

/* What was dropped above was auditable, all of it. */
static void audited(void)
{
	static const struct {
		enum audit id;
		enum drop why;
		uint8_t src, dst;
	} want[] = {
		{ AUDIT_DISCARD, DROP_POLICY_DISCARD, 1, 8 }, { AUDIT_INBOUND, DROP_POLICY_DISCARD, 8, 1 },
		{ AUDIT_DISCARD, DROP_NO_POLICY, 1, 7 },      { AUDIT_INBOUND, DROP_NO_POLICY, 7, 1 },
		{ AUDIT_INBOUND, DROP_CLEARTEXT, 2, 1 },      { AUDIT_INBOUND, DROP_CLEARTEXT, 2, 1 },
		{ AUDIT_NO_SA, DROP_UNKNOWN_SPI, 2, 1 },
	};
	struct audit_event e[ARRAY_LEN(want) + 1];

	ck_assert_uint_eq(plane_audit(rig.pa, e, ARRAY_LEN(e)), ARRAY_LEN(want));
	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		unsigned last = ip_addr_bytes(&e[i].inner_src.addr) - 1;
		ck_assert_uint_eq(e[i].id, want[i].id);
		ck_assert_uint_eq(e[i].reason, want[i].why);
		ck_assert_uint_eq(e[i].inner_src.addr.b[last], want[i].src);
		ck_assert_uint_eq(e[i].inner_dst.addr.b[last], want[i].dst);
	}
	ck_assert_uint_eq(e[6].proto, IPPROTO_ESP);
	ck_assert_uint_eq(e[6].have & (AUDIT_F_SPI | AUDIT_F_SEQ | AUDIT_F_ADDRS), AUDIT_F_SPI | AUDIT_F_SEQ | AUDIT_F_ADDRS);
	ck_assert_uint_eq(e[5].have & AUDIT_F_FLOW, AUDIT_F_FLOW);
}

START_TEST(test_clear)
{
	uint32_t len;

	start((struct rig_opts) { 0 }, _i);
	/* bypass: the frame as it is, padding and all */
	len = udp(4, 1, 9, 10) + 8;
	arrive(0, BRIDGE_PROTECTED, frame, len);
	ck_assert_uint_eq(left(0, BRIDGE_OPEN, NULL), len);
	ck_assert_mem_eq(got, frame, len);
	len = udp(4, 9, 1, 10);
	arrive(0, BRIDGE_OPEN, frame, len);
	ck_assert_uint_eq(left(0, BRIDGE_PROTECTED, NULL), len);
	ck_assert_mem_eq(got, frame, len);
	ck_assert_uint_eq(rig.a->c.bypass_packets, 2);
	/* discard */
	arrive(0, BRIDGE_PROTECTED, frame, udp(4, 1, 8, 10));
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 1);
	arrive(0, BRIDGE_OPEN, frame, udp(4, 8, 1, 10));
	rig_dropped(rig.a, DROP_POLICY_DISCARD, 1);
	/* nothing is said */
	arrive(0, BRIDGE_PROTECTED, frame, udp(4, 1, 7, 10));
	rig_dropped(rig.a, DROP_NO_POLICY, 1);
	arrive(0, BRIDGE_OPEN, frame, udp(4, 7, 1, 10));
	rig_dropped(rig.a, DROP_NO_POLICY, 1);
	/* to be protected, and is not */
	arrive(0, BRIDGE_OPEN, frame, udp(4, 2, 1, 10));
	rig_dropped(rig.a, DROP_CLEARTEXT, 1);
	arrive(0, BRIDGE_OPEN, frame, udp(6, 2, 1, 10));
	rig_dropped(rig.a, DROP_CLEARTEXT, 1);
	/* IPsec of no SA of ours */
	len = udp(4, 2, 1, 10);
	frame[HEAD + 9] = IPPROTO_ESP;
	arrive(0, BRIDGE_OPEN, frame, len);
	rig_dropped(rig.a, DROP_UNKNOWN_SPI, 1);
	nothing_left();
	audited();
	stop();
}
END_TEST

/* RFC 2401 8.2: what passes in the clear has a sensitivity, too; both ways. */
START_TEST(test_label)
{
	struct label_range two, *unlabelled = _i ? &two : NULL;
	struct audit_event e[3];
	char why[160];

	start((struct rig_opts) { 0 }, false);
	ck_assert_int_eq(label_range_parse("doi 1 level 2", &two, why, sizeof(why)), 0);
	for (unsigned i = 0; i < spd_count(plane_spd(rig.pa)); i++)
		ck_assert_int_eq(policy_set_labels(spd_policy(plane_spd(rig.pa), i), &two, NULL, unlabelled), 0);
	arrive(0, BRIDGE_PROTECTED, frame, udp(4, 1, 9, 10));
	arrive(0, BRIDGE_OPEN, frame, udp(4, 9, 1, 10));
	if (unlabelled) {
		left(0, BRIDGE_OPEN, NULL);
		left(0, BRIDGE_PROTECTED, NULL);
		rig_dropped(rig.a, DROP_NONE, 0);
		ck_assert_uint_eq(rig.a->c.bypass_packets, 2);
	} else {
		rig_dropped(rig.a, DROP_LABEL, 2);
		ck_assert_uint_eq(plane_audit(rig.pa, e, 3), 2);
		ck_assert(e[0].id == AUDIT_LABEL && e[0].out && e[1].id == AUDIT_LABEL && !e[1].out);
	}
	nothing_left();
	stop();
}
END_TEST

/* ---- in place of a host ------------------------------------------------------------------------ */

/* From A's host to B's: ESP between their own addresses on the wire, and the same packet at the end. */
static void carry(int ver, uint32_t data, const char *tags)
{
	uint32_t len = udp(ver, 1, 2, data), tag = (uint32_t)strlen(tags) / 2, hdr = ver == 4 ? 20 : 40;

	memmove(frame + 12 + tag, frame + 12, len - 12);
	for (uint32_t i = 0; i < tag; i++) {
		char byte[3] = { tags[2 * i], tags[2 * i + 1], 0 };
		frame[12 + i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	len += tag;
	arrive(0, BRIDGE_PROTECTED, frame, len);
	uint32_t n = left(0, BRIDGE_OPEN, NULL);
	const uint8_t *ip = got + HEAD + tag;
	ck_assert_uint_gt(n, len);
	ck_assert_mem_eq(got, frame, HEAD + tag);
	ck_assert_uint_eq(ver == 4 ? ip[9] : ip[6], IPPROTO_ESP);
	ck_assert_mem_eq(ip + hdr - (ver == 4 ? 8 : 32), frame + HEAD + tag + hdr - (ver == 4 ? 8 : 32), ver == 4 ? 8 : 32);
	ck_assert_uint_eq(load_be32(ip + hdr), RIG_SPI);
	if (ver == 4)
		ck_assert(slow_ip4_ok(ip));
	uint8_t *wire = malloc(n);
	memcpy(wire, got, n);
	arrive(1, BRIDGE_OPEN, wire, n);
	free(wire);
	ck_assert_uint_eq(left(1, BRIDGE_PROTECTED, NULL), len);
	ck_assert_mem_eq(got, frame, len);
	nothing_left();
}

START_TEST(test_host)
{
	static const char *const tags[] = { "", "81000005", "88a8000581000006" };

	start((struct rig_opts) { .outer_ver = _i ? 6 : 4 }, true);
	for (unsigned i = 0; i < ARRAY_LEN(tags); i++)
		for (uint32_t data = 0; data < 1300; data += 97)
			carry(_i ? 6 : 4, data, tags[i]);
	rig_dropped(rig.a, DROP_SHORT, 0);
	rig_dropped(rig.b, DROP_SHORT, 0);
	stop();
}
END_TEST

START_TEST(test_host_ah)
{
	start((struct rig_opts) { .ah = true, .suite = "null-sha256" }, true);
	uint32_t len = udp(4, 1, 2, 100);
	arrive(0, BRIDGE_PROTECTED, frame, len);
	uint32_t n = left(0, BRIDGE_OPEN, NULL);
	ck_assert_uint_gt(n, len);
	ck_assert_uint_eq(got[HEAD + 9], IPPROTO_AH);
	uint8_t *wire = malloc(n);
	memcpy(wire, got, n);
	wire[n - 1] ^= 1;
	arrive(1, BRIDGE_OPEN, wire, n);
	rig_dropped(rig.b, DROP_AUTH, 1);
	wire[n - 1] ^= 1;
	arrive(1, BRIDGE_OPEN, wire, n);
	ck_assert_uint_eq(left(1, BRIDGE_PROTECTED, NULL), len);
	ck_assert_mem_eq(got, frame, len);
	arrive(1, BRIDGE_OPEN, wire, n);
	rig_dropped(rig.b, DROP_REPLAY, 1);
	free(wire);
	nothing_left();
	stop();
}
END_TEST

/* What does not fit is answered, to the host, as from its destination; a fragment cannot be protected. */
START_TEST(test_host_too_big)
{
	start((struct rig_opts) { 0 }, true);
	uint32_t len = udp(4, 1, 2, 1460);
	frame[HEAD + 6] = 0x40;
	csum_ip4_set(frame + HEAD);
	arrive(0, BRIDGE_PROTECTED, frame, len);
	rig_dropped(rig.a, DROP_TOO_BIG, 1);
	ck_assert_uint_gt(left(0, BRIDGE_PROTECTED, NULL), HEAD + 36);
	ck_assert_mem_eq(got, mac_a, 6);
	ck_assert_mem_eq(got + 6, mac_b, 6);
	ck_assert_uint_eq(got[HEAD + 9], IPPROTO_ICMP);
	ck_assert_uint_eq(load_be16(got + HEAD + 20), 0x0304);
	ck_assert_mem_eq(got + HEAD + 12, frame + HEAD + 16, 4);
	ck_assert_mem_eq(got + HEAD + 16, frame + HEAD + 12, 4);
	nothing_left();
	stop();
}
END_TEST

/* Takes what left at a side of a bridge to the other bridge's side, the last first; how many frames. */
static unsigned carry_all(unsigned bridge, enum bridge_side side)
{
	static uint8_t f[8][1600];
	uint32_t n[8];
	unsigned k = 0;

	while (k < 8 && (n[k] = left(bridge, side, NULL)) > 0) {
		memcpy(f[k], got, n[k]);
		k++;
	}
	for (unsigned i = k; i-- > 0;)
		arrive(!bridge, side, f[i], n[i]);
	return k;
}

/* Fragments of the host's are put together, what comes of it leaves in fragments, which the other end puts together: its host gets
 * fragments again. */
START_TEST(test_host_fragments)
{
	static uint8_t data[4000], ip[4100], part[1500], back[4100];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_UDP, .id = 77, .data = data, .len = sizeof(data) };
	const unsigned order[] = { 2, 0, 1 };
	uint32_t end = 0, n;

	start((struct rig_opts) { 0 }, true);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 5);
	uint32_t len = pkt_make(&s, ip);
	memcpy(ip + 12, ((uint8_t[]) { 192, 0, 2, 1, 192, 0, 2, 2 }), 8);
	ip[6] = 0;
	csum_ip4_set(ip);
	ck_assert_uint_eq(frag4_count(ip, len, 1500), 3);
	for (unsigned i = 0; i < 3; i++) {
		nothing_left();
		n = frag4_make(ip, len, 1500, order[i], part);
		arrive(0, BRIDGE_PROTECTED, frame, head(0x0800, part, n));
	}
	ck_assert_uint_eq(rig.a->c.reassembled, 1);
	ck_assert_uint_eq(carry_all(0, BRIDGE_OPEN), 3);
	ck_assert_uint_eq(rig.b->c.reassembled, 1);
	for (;;) {
		n = left(1, BRIDGE_PROTECTED, NULL);
		if (n == 0)
			break;
		ck_assert_uint_le(n, HEAD + 1500);
		uint32_t off = (load_be16(got + HEAD + 6) & 0x1fff) * 8u;
		ck_assert_uint_eq(off, end);
		memcpy(back + off, got + HEAD + 20, n - HEAD - 20);
		end = off + n - HEAD - 20;
	}
	ck_assert_uint_eq(end, len - 20);
	ck_assert_mem_eq(back, ip + 20, end);
	/* a part of ESP waits, and the host gets nothing of it */
	n = frag4_make(ip, len, 1500, 0, part);
	part[9] = IPPROTO_ESP;
	csum_ip4_set(part);
	arrive(1, BRIDGE_OPEN, frame, head(0x0800, part, n));
	nothing_left();
	ck_assert_uint_eq(rig.b->reasm_in.n, 1);
	/* one that lies across it: both are gone, which is audited */
	struct audit_event e[2];
	n = frag4_make(ip, len, 1500, 1, part);
	part[9] = IPPROTO_ESP;
	store_be16(part + 6, load_be16(part + 6) - 1);
	csum_ip4_set(part);
	arrive(1, BRIDGE_OPEN, frame, head(0x0800, part, n));
	nothing_left();
	rig_dropped(rig.b, DROP_FRAG_OVERLAP, 1);
	ck_assert_uint_eq(plane_audit(rig.pb, e, 2), 1);
	ck_assert_uint_eq(e[0].id, AUDIT_FRAGMENT);
	ck_assert_uint_eq(e[0].reason, DROP_FRAG_OVERLAP);
	ck_assert_uint_eq(e[0].have & (AUDIT_F_ADDRS | AUDIT_F_SPI), AUDIT_F_ADDRS);
	ck_assert(!e[0].out);
	/* the first of it knows its SA */
	n = frag4_make(ip, len, 1500, 0, part);
	part[9] = IPPROTO_ESP;
	store_be32(part + 20, 0x777);
	csum_ip4_set(part);
	arrive(1, BRIDGE_OPEN, frame, head(0x0800, part, n));
	ck_assert_uint_eq(plane_audit(rig.pb, e, 2), 1);
	ck_assert_uint_eq(e[0].id, AUDIT_FRAGMENT);
	ck_assert_uint_eq(e[0].have & (AUDIT_F_ADDRS | AUDIT_F_SPI), AUDIT_F_ADDRS | AUDIT_F_SPI);
	ck_assert_uint_eq(e[0].spi, 0x777);
	stop();
}
END_TEST

/* A super-packet leaves as ESP packets of its segments, and is one again at the other end. */
START_TEST(test_host_super)
{
	static uint8_t data[8000];
	struct pkt_spec s = { .ver = 4, .proto = IPPROTO_TCP, .flags = TCP_ACK, .frag = 0x4000, .data = data, .len = sizeof(data) };
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = HEAD + 40,
				    .gso_size = 1000, .csum_start = HEAD + 20, .csum_offset = 16 };
	struct virtio_net_hdr back = { 0 };
	static uint8_t ip[9000];
	uint8_t wire[9][1500];
	uint32_t n[9];

	start((struct rig_opts) { .dev_can = GRO_TCP4 }, true);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 3);
	uint32_t len = pkt_make(&s, ip);
	memcpy(ip + 12, ((uint8_t[]) { 192, 0, 2, 1, 192, 0, 2, 2 }), 8);
	csum_ip4_set(ip);
	len = head(0x0800, ip, len);
	struct iovec iov[2] = { { &v, sizeof(v) }, { frame, len } };
	ck_assert_int_ge(writev(far[0][BRIDGE_PROTECTED], iov, 2), 0);
	rig_begin(rig.a);
	bridge_receive(rig.a, BRIDGE_PROTECTED);
	for (unsigned i = 0; i < 8; i++) {
		n[i] = left(0, BRIDGE_OPEN, NULL);
		ck_assert_uint_gt(n[i], HEAD + 1040);
		memcpy(wire[i], got, n[i]);
	}
	nothing_left();
	struct virtio_net_hdr none = { 0 };
	for (unsigned i = 0; i < 8; i++) {
		struct iovec w[2] = { { &none, sizeof(none) }, { wire[i], n[i] } };
		ck_assert_int_ge(writev(far[1][BRIDGE_OPEN], w, 2), 0);
	}
	rig.b->tun_can = GRO_TCP4;
	rig_begin(rig.b);
	bridge_receive(rig.b, BRIDGE_OPEN);
	ck_assert_uint_eq(left(1, BRIDGE_PROTECTED, &back), len);
	ck_assert_uint_eq(back.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	ck_assert_uint_eq(back.gso_size, 1000);
	ck_assert_uint_eq(back.csum_start, HEAD + 20);
	ck_assert_mem_eq(got, frame, HEAD);
	ck_assert_mem_eq(got + HEAD + 40, data, sizeof(data));
	nothing_left();
	stop();
}
END_TEST

/* ---- gateway ----------------------------------------------------------------------------------- */

/* B's inner packet finds its host: not heard of, asked for, answered, delivered. */
START_TEST(test_gateway_neighbour)
{
	uint8_t esp[2000], reply[42] = { 0 };
	uint32_t len = udp(4, 1, 2, 50), n;

	start((struct rig_opts) { 0 }, false);
	rig_put(&rig, NULL, frame + HEAD, len - HEAD); /* A's way out is the same as of packets of a TUN device */
	rig_out(&rig);
	ck_assert_uint_eq(rig.n_wire, 1);
	memcpy(esp, rig.wire[0].p, rig.wire[0].len);
	n = rig.wire[0].len;
	rig_begin(rig.b);
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = n, .seg = n };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	inbound_datagrams(rig.b, 1, false, bridge_deliver);
	rig_dropped(rig.b, DROP_NO_NEIGHBOUR, 1);
	ck_assert_uint_eq(left(1, BRIDGE_PROTECTED, NULL), 60); /* ARP probe */
	ck_assert_uint_eq(load_be16(got + 12), 0x0806);
	ck_assert_mem_eq(got + 38, frame + HEAD + 16, 4);
	/* the answer goes to who asked, and no further */
	memcpy(reply, got + 6, 6);
	memcpy(reply + 6, mac_b, 6);
	memcpy(reply + 12, got + 12, 8);
	reply[21] = 2;
	memcpy(reply + 22, mac_b, 6);
	memcpy(reply + 28, frame + HEAD + 16, 4);
	arrive(1, BRIDGE_PROTECTED, reply, sizeof(reply));
	nothing_left();
	rig_put(&rig, NULL, frame + HEAD, len - HEAD);
	rig_out(&rig);
	memcpy(esp, rig.wire[1].p, n);
	rig_begin(rig.b);
	rig.b->rx[0] = (struct sock_rx) { .data = esp, .len = n, .seg = n };
	endpoint_to_sockaddr(&rig.peer_a, &rig.b->rx[0].from);
	inbound_datagrams(rig.b, 1, false, bridge_deliver);
	ck_assert_uint_eq(left(1, BRIDGE_PROTECTED, NULL), len);
	ck_assert_mem_eq(got, mac_b, 6);
	ck_assert_mem_eq(got + HEAD, frame + HEAD, len - HEAD);
	rig_dropped(rig.b, DROP_SHORT, 0);
	stop();
}
END_TEST

START_TEST(test_neighbours)
{
	struct neighbours *n = neighbours_new();
	struct ip_addr a;
	struct frame f, out;
	uint32_t len;

	ck_assert_ptr_nonnull(n);
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &a), 0);
	ck_assert(!neighbours_find(n, &a, &out));
	len = udp(4, 1, 2, 10);
	ck_assert_int_eq(frame_parse(frame, len, 0x81000007, &f), DROP_NONE);
	neighbours_learn(n, &f, frame + f.off, f.len);
	ck_assert(neighbours_find(n, &a, &out));
	ck_assert_uint_eq(out.head_len, 18);
	ck_assert_mem_eq(out.head, mac_a, 6);
	ck_assert_mem_eq(out.head + 6, mac_b, 6); /* where it sends to */
	ck_assert_uint_eq(load_be32(out.head + 12), 0x81000007);
	ck_assert_uint_eq(load_be16(out.head + 16), 0x0800);
	/* it moves; a broadcast does not tell where it sends to */
	memset(frame, 0xff, 6);
	frame[11] = 0xc;
	ck_assert_int_eq(frame_parse(frame, len, 0, &f), DROP_NONE);
	neighbours_learn(n, &f, frame + f.off, f.len);
	ck_assert(neighbours_find(n, &a, &out));
	ck_assert_uint_eq(out.head_len, 14);
	ck_assert_uint_eq(out.head[5], 0xc);
	ck_assert_mem_eq(out.head + 6, mac_b, 6);
	/* nobody's address, a group's, a group as sender */
	static const uint8_t bad[][4] = { { 0, 0, 0, 0 }, { 224, 0, 0, 1 }, { 255, 255, 255, 255 }, { 127, 0, 0, 1 } };
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(frame + HEAD + 12, bad[i], 4);
		neighbours_learn(n, &f, frame + f.off, f.len);
		a = ip_addr_from_v4(bad[i]);
		ck_assert(!neighbours_find(n, &a, &out));
	}
	len = udp(6, 3, 2, 10);
	frame[6] |= 1;
	ck_assert_int_eq(frame_parse(frame, len, 0, &f), DROP_NONE);
	neighbours_learn(n, &f, frame + f.off, f.len);
	ck_assert_int_eq(ip_addr_parse("2001:db8::3", &a), 0);
	ck_assert(!neighbours_find(n, &a, &out));
	frame[6] &= 0xfe;
	ck_assert_int_eq(frame_parse(frame, len, 0, &f), DROP_NONE);
	neighbours_learn(n, &f, frame + f.off, f.len);
	ck_assert(neighbours_find(n, &a, &out));
	ck_assert_uint_eq(load_be16(out.head + 12), 0x86dd);
	/* more than there is room for: the newest is always found */
	for (uint32_t i = 0; i < 3 * NEIGHBOURS_MAX; i++) {
		len = udp(4, 1, 2, 10);
		store_be32(frame + HEAD + 12, 0x0a000000 + i);
		ck_assert_int_eq(frame_parse(frame, len, 0, &f), DROP_NONE);
		neighbours_learn(n, &f, frame + f.off, f.len);
		a = ip_addr_from_v4(frame + HEAD + 12);
		ck_assert(neighbours_find(n, &a, &out));
	}
	neighbours_free(&n);
}
END_TEST

START_TEST(test_ask6)
{
	uint8_t out[NEIGHBOUR_ASK_MAX];
	struct ip_addr a;
	struct frame f;

	ck_assert_int_eq(ip_addr_parse("2001:db8::12:3456", &a), 0);
	uint32_t len = neighbour_ask(&a, mac_a, out);
	ck_assert_int_eq(frame_parse(out, len, 0, &f), DROP_NONE);
	ck_assert_uint_eq(f.kind, FRAME_ND);
	ck_assert_uint_eq(f.len, 64);
	ck_assert_mem_eq(out, "\x33\x33\xff\x12\x34\x56", 6);
	ck_assert(slow_l4_ok(out + 14, 40, 64, IPPROTO_ICMPV6));
	ck_assert_mem_eq(out + 14 + 48, a.b, 16);
}
END_TEST

/* ---- ports that refuse ------------------------------------------------------------------------- */

START_TEST(test_port_refuses)
{
	uint32_t len = udp(4, 1, 9, 100);

	start((struct rig_opts) { 0 }, true);
	uint64_t sent = 0;
	while (rig.a->c.drop.n[DROP_PORT_FULL] == 0 && sent++ < 100000) /* nobody reads */
		arrive(0, BRIDGE_PROTECTED, frame, len);
	rig_dropped(rig.a, DROP_PORT_FULL, 1);
	while (left(0, BRIDGE_OPEN, NULL))
		;
	close(far[0][BRIDGE_OPEN]);
	far[0][BRIDGE_OPEN] = open("/dev/null", O_RDWR | O_CLOEXEC);
	arrive(0, BRIDGE_PROTECTED, frame, len);
	rig_dropped(rig.a, DROP_PORT_SEND, 1);
	stop();
}
END_TEST

TCase *tcase_plane_bridge(void)
{
	TCase *tc = tcase_create("bridge");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_rules, 0, 2);
	tcase_add_test(tc, test_rules_ip);
	tcase_add_loop_test(tc, test_bad_frames, 0, 2);
	tcase_add_loop_test(tc, test_clear, 0, 2);
	tcase_add_loop_test(tc, test_label, 0, 2);
	tcase_add_loop_test(tc, test_host, 0, 2);
	tcase_add_test(tc, test_host_ah);
	tcase_add_test(tc, test_host_too_big);
	tcase_add_test(tc, test_host_fragments);
	tcase_add_test(tc, test_host_super);
	tcase_add_test(tc, test_gateway_neighbour);
	tcase_add_test(tc, test_neighbours);
	tcase_add_test(tc, test_ask6);
	tcase_add_test(tc, test_port_refuses);
	return tc;
}
