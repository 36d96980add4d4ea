/* See natd.h. */
#include "ike/v1/natd.h"

#include <errno.h>
#include <string.h>

uint8_t v1_natd_payload(enum v1_natt n)
{
	return n == V1_NATT_RFC ? IKE1_NATD : n == V1_NATT_DRAFT ? IKE1_NATD_DRAFT : 0;
}

uint8_t v1_natoa_payload(enum v1_natt n)
{
	return n == V1_NATT_RFC ? IKE1_NATOA : n == V1_NATT_DRAFT ? IKE1_NATOA_DRAFT : 0;
}

uint16_t v1_encap_mode(bool transport, bool udp, enum v1_natt n)
{
	if (!udp)
		return transport ? V1_ENCAP_TRANSPORT : V1_ENCAP_TUNNEL;
	if (n == V1_NATT_DRAFT)
		return transport ? V1_ENCAP_UDP_TRANSPORT_DRAFT : V1_ENCAP_UDP_TUNNEL_DRAFT;
	return transport ? V1_ENCAP_UDP_TRANSPORT : V1_ENCAP_UDP_TUNNEL;
}

int v1_natd_hash(enum hash_id hash, const uint8_t *spi_i, const uint8_t *spi_r,
		 const struct endpoint *e, uint8_t out[HASH_LEN_MAX])
{
	uint8_t port[2];
	struct span v[] = { span_of(spi_i, 8), span_of(spi_r, 8),
			    span_of(e->addr.b, ip_addr_bytes(&e->addr)), span_of(port, 2) };

	store_be16(port, e->port);
	return hash_compute(hash, v, ARRAY_LEN(v), out);
}

unsigned v1_natd_check(const struct ike_msg *m, enum v1_natt n, enum hash_id hash,
		       const struct endpoint *local, const struct endpoint *remote, bool *nat_local,
		       bool *nat_remote)
{
	uint8_t mine[HASH_LEN_MAX], peers[HASH_LEN_MAX];
	const struct ike_payload *p = NULL;
	bool here = false, there = false;
	unsigned count = 0;
	size_t len = hash_len(hash);

	*nat_local = *nat_remote = false;
	if (n == V1_NATT_NONE || v1_natd_hash(hash, m->hdr.spi_i, m->hdr.spi_r, local, mine) ||
	    v1_natd_hash(hash, m->hdr.spi_i, m->hdr.spi_r, remote, peers))
		return 0;
	while ((p = ike_msg_find(m, v1_natd_payload(n), p))) {
		if (count == 0)
			here = span_eq(p->raw.data, span_of(mine, len));
		else
			there = there || span_eq(p->raw.data, span_of(peers, len));
		count++;
	}
	if (count >= 2) {
		*nat_local = !here;
		*nat_remote = !there;
	}
	return count;
}

int v1_natd_add(struct ike_msg *m, bool inner, enum v1_natt n, enum hash_id hash,
		const uint8_t *spi_i, const uint8_t *spi_r, const struct endpoint *local,
		const struct endpoint *remote, bool forced, uint8_t room[2 * HASH_LEN_MAX])
{
	int rc = v1_natd_hash(hash, spi_i, spi_r, remote, room);

	if (rc == 0)
		rc = v1_natd_hash(hash, spi_i, spi_r, local, room + HASH_LEN_MAX);
	if (rc)
		return rc;
	if (forced)
		room[HASH_LEN_MAX] ^= 0xff;
	for (unsigned i = 0; i < 2; i++) {
		struct ike_payload *p = ike_msg_add(m, v1_natd_payload(n), inner);
		if (!p)
			return -ENOSPC;
		p->raw.data = span_of(room + i * HASH_LEN_MAX, hash_len(hash));
	}
	return 0;
}
