/*
 * The Security Association Database: inbound SAs by SPI (and protocol), those to multicast groups
 * by destination as well, and perhaps source (RFC 4301 4.1); every SA by index and by name. One
 * writer (the control thread), many readers under RCU. Open addressing in one array of 64-bit
 * words, so that a batch can prefetch.
 */
#ifndef IPSEC_SAD_H
#define IPSEC_SAD_H

#include "ipsec/sa.h"

struct sad;

struct sad *sad_new(void);
void sad_free(struct sad **s); /* drops its references */
/* Adds an SA, taking a reference. -EEXIST when an inbound SA that is found by the same things, or
 * the name, is there. */
int sad_install(struct sad *s, struct sa *sa) warn_unused;
/* Takes it out and gives up the database's reference after a grace period (synchronize_rcu inside).
 */
void sad_remove(struct sad *s, struct sa *sa);
/* Many at once with one grace period. */
void sad_remove_many(struct sad *s, struct sa **sas, unsigned n);
/* Takes it out without waiting: no lookup finds it from now on, and its SPI and name are free. It
 * is still there for readers who found it before, until sad_reap(). Nothing happens when it is not
 * in. */
void sad_retire(struct sad *s, struct sa *sa);
/* True when some were retired and not reaped. */
bool sad_has_retired(const struct sad *s);
/* After a grace period: gives up the database's references to what was retired before it. */
void sad_reap(struct sad *s);
unsigned sad_count(const struct sad *s);
struct sa *sad_by_name(struct sad *s, const char *name);
void sad_each(struct sad *s, void (*cb)(struct sa *sa, void *arg), void *arg);

/* Packet path, read side: the SA, or NULL. */
struct sa *sad_lookup(const struct sad *s, uint32_t spi, uint8_t proto);
/* Are there inbound SAs to groups? */
bool sad_has_groups(const struct sad *s);
/* The SA of a packet from src to the group dst: of {SPI, dst, src}, else of {SPI, dst}, else of the
 * SPI alone; or NULL. */
struct sa *sad_lookup_group(const struct sad *s, uint32_t spi, uint8_t proto,
			    const struct ip_addr *dst, const struct ip_addr *src);
/* Starts loading what sad_lookup() of this SPI will need. */
void sad_prefetch(const struct sad *s, uint32_t spi, uint8_t proto);

#endif
