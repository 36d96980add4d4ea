/* What the tests of sockets share: a sender and a receiver on lo. */
#ifndef TEST_IO_SOCK_H
#define TEST_IO_SOCK_H

#include "io/sock.h"

enum { TX_ROOM = 200 * 1024 };
extern uint8_t tx_data[TX_ROOM];
void tx_fill(void); /* the same bytes every time */

struct pair {
	struct sock tx, rx;
	struct sock_path path; /* from tx to rx */
	struct ip_addr from;
	struct sock_rxq *q;
};
void pair_open(struct pair *p, int ver, bool gso, bool gro, bool zero_csum);
void pair_close(struct pair *p);

void open_sock(struct sock *s, const struct sock_opts *o);
bool wait_readable(const struct sock *s, int ms);
unsigned expect(struct sock *s, struct sock_rxq *q, const struct sock_tx *m, unsigned n,
		const struct ip_addr *from);
unsigned four_messages(struct sock_tx m[4], const struct sock_path *path);

#endif
