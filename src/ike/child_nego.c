/* See child_nego.h: begun, and given up. What is agreed goes into force in child_install.c. */
#include "ike/child_nego.h"

#include <stdlib.h>

static uint8_t proto_of(const struct ike_child_conf *c)
{
	return c->proto == IKE_CHILD_AH ? SA_AH : SA_ESP;
}

void child_nego_set_conf(struct child_nego *c, unsigned ci)
{
	c->ci = ci;
	c->conf = c->sa->conn->child[ci].conf;
	c->proto = proto_of(c->conf);
	c->mode = (uint8_t)c->conf->mode;
	c->reqid = 0;
}

struct child_nego *child_nego_new(struct ike_sa *sa, unsigned ci, bool asked)
{
	struct child_nego *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->sa = sa;
	c->asked = asked;
	c->ci = ci;
	c->proto = SA_ESP;
	if (ci != UINT32_MAX)
		child_nego_set_conf(c, ci);
	return c;
}

void child_nego_free(struct child_nego **cp)
{
	struct child_nego *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	if (c->spi_in && !c->installed)
		c->sa->ike->env.spi_free(c->sa->ike->env.ctx, c->proto, c->spi_in);
	if (c->ah.spi_in && !c->installed)
		c->sa->ike->env.spi_free(c->sa->ike->env.ctx, SA_AH, c->ah.spi_in);
	dh_free(&c->dh);
	secret_free(&c->shared);
	free(c);
}

void child_nego_replaces(struct child_nego *c, const struct ike_child *old)
{
	c->replaces = old->id;
	c->reqid = old->reqid;
}
