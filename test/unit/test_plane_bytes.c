/*
 * Byte for byte: streams of TCP and UDP, IPv4 and IPv6, in super-packets up to 64 KiB and packets of any size, odd ones among them,
 * several flows in a batch, go out through A as the device gives them and come in through B as UDP_GRO gives them. A receiver that
 * checks every checksum, as a host without offloads would, must find exactly the bytes that were sent, and datagrams of the sizes
 * that were sent.
 */
#define _GNU_SOURCE 1 /* memfd_create */

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto_util.h"
#include "must.h"
#include "plane_rig.h"

#define FLOWS 8
#define FIRST_PORT 1000
#define NOISE 65521 /* a prime: no packet size divides it */
#define DATAGRAMS 65536
#define BATCHES 120
#define BATCH_BYTES 400000u
#define BATCH_WIRE 1500

struct stream {
	int ver;
	bool tcp;
	uint64_t sent, got;          /* bytes */
	uint16_t len[DATAGRAMS];     /* UDP: of each that was sent */
	unsigned n_sent, n_got;
};

static struct rig rig;
static struct stream stream[FLOWS];
static uint8_t noise[NOISE], data[66000], packet[66000], came[66000], rx_room[SOCK_RX_MAX][66000];

static uint8_t byte_of(unsigned flow, uint64_t at)
{
	return noise[(at + flow * 7919u) % NOISE];
}

static uint32_t headers(const struct stream *s)
{
	return (s->ver == 4 ? 20u : 40u) + (s->tcp ? 20u : 8u);
}

/* Sizes where things break: tiny, around a segment, anything, the most there is. */
static uint32_t pick_size(uint32_t most)
{
	switch (pick(4)) {
	case 0: return 1 + pick(most < 70 ? most : 70);
	case 1: return most > 1400 ? 1300 + pick(100) : 1 + pick(most);
	case 2: return most - pick(most < 3 ? most : 3);
	default: return 1 + pick(most);
	}
}

/* One packet of a flow, with len bytes of data, to be cut into pieces of size bytes (0: not to be cut). */
static uint32_t put(unsigned flow, uint32_t len, uint16_t size)
{
	struct stream *s = &stream[flow];
	struct virtio_net_hdr h = { 0 };
	struct pkt_spec p = { .ver = s->ver, .proto = s->tcp ? IPPROTO_TCP : IPPROTO_UDP, .id = (uint16_t)pick(65536), .frag = 0x4000,
			      .sport = (uint16_t)(FIRST_PORT + flow), .dport = 9, .seq = (uint32_t)s->sent + 1, .ack = 7,
			      .flags = TCP_ACK, .data = data, .len = len };

	for (uint32_t i = 0; i < len; i++)
		data[i] = byte_of(flow, s->sent + i);
	uint32_t n = pkt_make(&p, packet);
	if (size) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.gso_type = !s->tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 : s->ver == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h.gso_size = size;
		h.hdr_len = (uint16_t)headers(s);
		h.csum_start = s->ver == 4 ? 20 : 40;
		h.csum_offset = s->tcp ? 16 : 6;
	}
	rig_put(&rig, &h, packet, n);
	s->sent += len;
	for (uint32_t left = len; !s->tcp && left;) {
		uint32_t piece = size && left > size ? size : left;
		must_uint_lt(s->n_sent, DATAGRAMS);
		s->len[s->n_sent++] = (uint16_t)piece;
		left -= piece;
	}
	return n;
}

static void put_batch(uint32_t mtu)
{
	uint32_t bytes = 0, wire = 0;

	for (unsigned n = 1 + pick(40); n > 0; n--) {
		unsigned flow = pick(FLOWS);
		uint32_t hdr = headers(&stream[flow]), room = 65535 - (stream[flow].ver == 4 ? hdr : hdr - 40);
		uint16_t size = 0;
		uint32_t len = pick_size(mtu - hdr);
		if (pick(3)) {
			size = (uint16_t)len;
			/* the kernel gives at most 128 datagrams in one; more segments of TCP than fit one crypto batch, too */
			uint32_t most = size * (stream[flow].tcp ? 600u : 128u);
			len = pick_size(most < room ? most : room);
		}
		uint32_t segs = size ? (len + size - 1) / size : 1;
		if (bytes + len + 256 > BATCH_BYTES || wire + segs > BATCH_WIRE)
			break;
		bytes += put(flow, len, size);
		wire += segs;
	}
}

/* What was written to the device: packets one behind the other, each behind its virtio header. */
static void check_piece(unsigned flow, const uint8_t *p, uint32_t len)
{
	struct stream *s = &stream[flow];

	if (!s->tcp) {
		must_uint_lt(s->n_got, s->n_sent);
		must_uint_eq(len, s->len[s->n_got++]);
	}
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != byte_of(flow, s->got + i))
			ck_abort_msg("flow %u: byte %llu is wrong", flow, (unsigned long long)(s->got + i));
	s->got += len;
}

static void check_packet(const struct virtio_net_hdr *h, uint8_t *ip, uint32_t n)
{
	struct pkt_info info = pkt_info_of(ip, n);
	unsigned flow = (unsigned)load_be16(ip + info.l4_off) - FIRST_PORT;

	must_uint_eq(info.len, n);
	must_uint_lt(flow, FLOWS);
	struct stream *s = &stream[flow];
	uint32_t hdr = headers(s), size = n - hdr;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint16_t sum = (uint16_t)~slow_sum(0, ip + h->csum_start, n - h->csum_start);
		store_be16(ip + h->csum_start + h->csum_offset, sum || s->tcp ? sum : 0xffff);
	}
	if (s->ver == 4)
		must(slow_ip4_ok(ip));
	must(slow_l4_ok(ip, info.l4_off, n, s->tcp ? IPPROTO_TCP : IPPROTO_UDP));
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		ck_assert_uint_gt(h->gso_size, 0);
		ck_assert_uint_eq(h->hdr_len, hdr);
		size = h->gso_size;
	}
	if (s->tcp)
		must_uint_eq(load_be32(ip + info.l4_off + 4), (uint32_t)s->got + 1);
	for (uint32_t at = hdr; at < n; at += size)
		check_piece(flow, ip + at, n - at < size ? n - at : size);
}

static uint32_t ip_len(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? load_be16(ip + 2) : 40u + load_be16(ip + 4);
}

static void check_written(int fd)
{
	struct virtio_net_hdr h;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, &h, TUN_VNET_LEN, at)) > 0) {
		must(n == TUN_VNET_LEN);
		at += n;
		n = pread(fd, came, sizeof(came), at);
		must(n >= 20);
		uint32_t len = ip_len(came);
		must(n >= (ssize_t)len);
		check_packet(&h, came, len);
		at += len;
	}
	ck_assert_int_eq(ftruncate(fd, 0), 0);
}

/* Makes one datagram of frames that follow each other, as UDP_GRO does: of one size, but for the last. */
static unsigned gather(struct sock_rx *rx, uint8_t *room, unsigned i)
{
	uint32_t seg = rig.wire[i].len, most = pick(4) ? 64 : 1, n = 0;

	*rx = (struct sock_rx) { .data = room, .seg = seg };
	endpoint_to_sockaddr(&rig.peer_a, &rx->from);
	for (; i < rig.n_wire && n < most && rig.wire[i].len <= seg && (n == 0 || rx->len + rig.wire[i].len <= 65507); n++) {
		memcpy(room + rx->len, rig.wire[i].p, rig.wire[i].len);
		rx->len += rig.wire[i].len;
		if (rig.wire[i++].len < seg)
			break;
	}
	return i;
}

static void deliver(void)
{
	for (unsigned i = 0; i < rig.n_wire;) {
		unsigned n = 0, most = 1 + pick(SOCK_RX_MAX);
		for (; n < most && i < rig.n_wire; n++)
			i = gather(&rig.b->rx[n], rx_room[n], i);
		rig_begin(rig.b);
		inbound_datagrams(rig.b, n, true, deliver_packets);
	}
	rig_wire_clear(&rig);
}

/* Rows: what B's device takes, and the path's MTU: with the greatest, packets that are not cut are up to 64 KiB long. */
static const struct {
	unsigned can;
	uint32_t path_mtu;
	const char *suite;
} rows[] = {
	{ GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6, 1500, "aes128gcm16" },
	{ GRO_TCP4 | GRO_TCP6, 1500, "aes128-sha256" },
	{ 0, 1500, "chacha20poly1305" },
	{ GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6, 65535, "aes128gcm16" },
	{ GRO_TCP4 | GRO_TCP6 | GRO_UDP4 | GRO_UDP6, 777, "aes256gcm16" },
};

START_TEST(test_streams)
{
	struct rig_opts o = { .dev_can = rows[_i].can, .path_mtu = rows[_i].path_mtu, .suite = rows[_i].suite };
	int fd = memfd_create("device", MFD_CLOEXEC);

	pick_bytes(noise, sizeof(noise));
	for (unsigned f = 0; f < FLOWS; f++)
		stream[f] = (struct stream) { .ver = f & 1 ? 6 : 4, .tcp = (f & 2) != 0 };
	rig_new(&rig, &o);
	int device = rig.b->tun_fd;
	rig.b->tun_fd = fd; /* holds any number of packets */
	uint32_t mtu = atomic_load(&rig.out->inner_mtu);
	for (unsigned i = 0; i < BATCHES; i++) {
		put_batch(mtu);
		rig_out(&rig);
		deliver();
		check_written(fd);
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	}
	for (unsigned f = 0; f < FLOWS; f++) {
		ck_assert_uint_gt(stream[f].sent, 0);
		ck_assert_uint_eq(stream[f].got, stream[f].sent);
		ck_assert_uint_eq(stream[f].n_got, stream[f].n_sent);
	}
	rig_dropped(rig.a, DROP_NONE, 0);
	rig_dropped(rig.b, DROP_NONE, 0);
	rig.b->tun_fd = device;
	rig_free(&rig);
	close(fd);
}
END_TEST

TCase *tcase_plane_bytes(void)
{
	TCase *t = tcase_create("bytes");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_streams, 0, (int)ARRAY_LEN(rows));
	return t;
}
