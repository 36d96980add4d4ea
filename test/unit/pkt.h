/* Packets for tests: made by hand, summed slowly, fed to everything. */
#ifndef TEST_PKT_H
#define TEST_PKT_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/parse.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

/* What pkt_make() makes; what is zero gets a sensible value where zero would not do. */
struct pkt_spec {
	int ver;            /* 4 or 6 */
	uint8_t proto;
	uint8_t tos;
	uint16_t id;        /* IPv4 */
	uint16_t frag;      /* IPv4 flags and offset */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;      /* TCP */
	const uint8_t *opt; /* TCP options, a multiple of 4 bytes */
	unsigned opt_len;
	const uint8_t *data;
	unsigned len;
};

/* Writes the packet with right checksums (by slow_sum) to out; returns its IP length. */
uint32_t pkt_make(const struct pkt_spec *s, uint8_t *out);
/* The same, parsed; fails the test when it does not parse. */
struct pkt_info pkt_info_of(const uint8_t *ip, size_t len);

/* An IPv6 packet with the extension headers given (`first` is the type of the first of them), then
 * 20 bytes of UDP, to p (3200 bytes). Returns its length. */
uint32_t pkt_make6(const uint8_t *ext, unsigned ext_len, uint8_t first, uint8_t *p);
/* Something to carry: bytes that look random, the same after each pkt_data_fill(). */
extern uint8_t pkt_data[4000];
void pkt_data_fill(void);

/* RFC 1071 by the book: 16-bit words in network byte order, folded as it goes. */
uint16_t slow_sum(uint16_t sum, const uint8_t *p, size_t len);
/* True when IPv4 header and upper checksum are right, found out the slow way. */
int slow_ip4_ok(const uint8_t *ip);
int slow_l4_ok(const uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto);

Suite *packet_gso_suite(void);
Suite *packet_reply_suite(void);
TCase *tcase_packet_frag(void);
TCase *tcase_packet_bad(void);
TCase *tcase_packet_frame(void);
TCase *tcase_packet_reasm(void);
TCase *tcase_packet_cipso(void);

#endif
