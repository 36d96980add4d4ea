/* The Internet checksum (RFC 1071, RFC 1624). Sums are native-endian; results go into packets as
 * they are. */
#ifndef PACKET_CSUM_H
#define PACKET_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds p[0..len) to an unfolded sum; p[0] is taken as the first byte of a 16-bit word, a last odd
 * byte is padded with 0. Fast for 20 to 1500 bytes (vectorised where the CPU can). */
uint64_t csum_add(uint64_t sum, const void *p, size_t len);
/* Copies src to dst and adds the bytes to the sum in the same pass. */
uint64_t csum_copy(uint64_t sum, void *dst, const void *src, size_t len);
/* Folds a sum to 16 bits, not inverted. */
uint16_t csum_fold(uint64_t sum);
/* The pseudo header's part of the sum (IPv4 or IPv6, by the version nibble of ip), for an
 * upper-layer length in bytes and protocol. */
uint64_t csum_pseudo(const uint8_t *ip, uint32_t l4_len, uint8_t proto);
/* Writes the header checksum of the IPv4 header at ip. */
void csum_ip4_set(uint8_t *ip);
bool csum_ip4_ok(const uint8_t *ip);
/* Writes the TCP, UDP, ICMP or ICMPv6 checksum of the packet (IP header at ip, upper header l4_off
 * in, total length len). A UDP checksum that comes out 0 is sent as 0xffff. Other protocols, and
 * packets too short to hold a checksum, are left alone. */
void csum_l4_set(uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto);
/* True when the upper checksum is right, also where there is none: another protocol, or UDP over
 * IPv4 with a zero field. False when the packet is too short for it. */
bool csum_l4_ok(const uint8_t *ip, uint32_t l4_off, uint32_t len, uint8_t proto);
/* RFC 1624: the checksum field after a 16-bit word of the data changed (all as they lie in memory).
 */
uint16_t csum_update(uint16_t check, uint16_t old_word, uint16_t new_word);

#endif
