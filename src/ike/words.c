/*
 * What an administrator has to know when no SA comes up and no message says why: the peer does not
 * answer, or a peer's first message fits no connection. Sentences leave, which name the setting to
 * look at, and the side.
 */
#include "ike/engine.h"

#include <errno.h>
#include <stdio.h>

#include "ike/version.h"

static bool usual_port(uint16_t port)
{
	return port == 500 || port == 4500;
}

char *ike_words_no_answer(const struct ike_sa *sa, const char *what, unsigned times, char *out,
			  size_t max)
{
	char peer[ENDPOINT_STRLEN], local[IP_ADDR_STRLEN];
	struct ip_addr from = { .ver = 0 };

	endpoint_format(&sa->remote, peer);
	if (sa->ike->env.source(sa->ike->env.ctx, &sa->remote.addr, &from))
		snprintf(out, max, "there is no route to the peer %s", peer);
	else if (sa->send_rc == -EADDRNOTAVAIL || sa->send_rc == -EINVAL ||
		 sa->send_rc == -ENETUNREACH) /* the last though there is a route */
		snprintf(out, max,
			 "%s to the peer %s could not be sent from %s: is that an address of this "
			 "machine? See local_addrs",
			 what, peer, ip_addr_format(&sa->local.addr, local));
	else if (sa->send_rc)
		snprintf(out, max, "%s to the peer %s could not be sent: %s", what, peer,
			 strerror(-sa->send_rc));
	else if (!usual_port(sa->remote.port))
		snprintf(out, max,
			 "the peer %s does not answer (%s, sent %u times): is it reachable, and is "
			 "port %u, which remote_port names, the one it uses?",
			 peer, what, times, sa->remote.port);
	else
		snprintf(out, max,
			 "the peer %s does not answer (%s, sent %u times): is it reachable, %sand "
			 "are its UDP ports 500 and 4500 open?",
			 peer, what, times,
			 sa->major == 1 && sa->state == IKE_ST_INIT_I ? "does it speak IKEv1 (version), "
								      : "");
	return out;
}

/* Is there a connection with these addresses, but for the other version? */
static struct ike_conn *other_version(const struct ike *ike, uint8_t major,
				      const struct ip_addr *local, const struct ip_addr *remote)
{
	struct ike_cursor at = { .fit = 0 };

	return ike_conn_candidate(ike, major == 2 ? 1 : 2, &at, local, remote, NULL, NULL);
}

char *ike_words_no_conn(struct ike *ike, uint8_t major, const struct ip_addr *local,
			const struct ip_addr *remote, char *out, size_t max)
{
	char l[IP_ADDR_STRLEN], r[IP_ADDR_STRLEN];
	struct ike_conn *c = other_version(ike, major, local, remote);
	bool its_local = false;

	ip_addr_format(local, l);
	ip_addr_format(remote, r);
	if (c) {
		snprintf(out, max,
			 "the peer speaks IKEv%u, but connection %s, which has its address, has "
			 "version = %u: set version = %u or 0 here, or IKEv%u at the peer",
			 major, c->conf->name, c->conf->version, major, c->conf->version);
		ike_conn_remember(c, out);
		return out;
	}
	c = ike_conn_nearly(ike, major, local, remote, &its_local);
	if (c && its_local)
		snprintf(out, max,
			 "no connection has local_addrs and remote_addrs for %s and %s; connection "
			 "%s has the peer's address, but local_addrs without %s",
			 l, r, c->conf->name, l);
	else if (c)
		snprintf(out, max,
			 "no connection has local_addrs and remote_addrs for %s and %s; if this "
			 "peer is that of connection %s, its remote_addrs lack %s",
			 l, r, c->conf->name, r);
	else
		snprintf(out, max, "no connection has local_addrs and remote_addrs for %s and %s", l,
			 r);
	return out;
}
