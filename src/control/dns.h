/*
 * Name servers that gateways gave us. What is wanted enters; resolv.conf in the run directory has it
 * as long as there is any, and, where that is asked for, so has the system's resolv.conf (a file or
 * a link), which is put back as it was at the end. What somebody else wrote there meanwhile stays. A
 * process that died without having put it back is made up for at the next start.
 */
#ifndef CONTROL_DNS_H
#define CONTROL_DNS_H

#include <stddef.h>

#include "base/addr.h"
#include "base/bytes.h"

#define DNS_SERVERS_MAX 8
#define DNS_SEARCH_MAX  8
#define DNS_NAME_LEN    256

struct dns_want {
	struct ip_addr server[DNS_SERVERS_MAX];
	unsigned n_server;
	char search[DNS_SEARCH_MAX][DNS_NAME_LEN];
	unsigned n_search;
};

/* Adds a server, or the names in text, separated by commas or spaces, unless they are there. What is
 * no name of a domain is passed over: the peer has said it. */
void dns_want_server(struct dns_want *w, const struct ip_addr *a);
void dns_want_search(struct dns_want *w, const char *text);

struct dns;
/* run_dir exists. target: the system's file, or NULL. 0 or -ENOMEM. */
int dns_open(const char *run_dir, const char *target, struct dns **out) warn_unused;
/* Makes it so; without servers all is as it was before. Does nothing when nothing has changed. Errors
 * are logged. */
void dns_set(struct dns *d, const struct dns_want *w);
/* Puts everything back. */
void dns_close(struct dns **d);

#endif
