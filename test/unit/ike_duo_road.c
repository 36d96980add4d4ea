/* See ike_duo_road.h. */
#include "ike_duo_road.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void add_user(struct duo_node *n)
{
	struct ike_user *u = n->conf->user = calloc(1, sizeof(*u));

	n->conf->n_user = 1;
	u->name = strdup("alice");
	ck_assert_int_eq(secret_copy(&u->secret, span_of("open sesame", 11)), 0);
}

void duo_road_xauth(struct duo *d)
{
	d->a.conn->auth.xauth = d->b.conn->peer.xauth = true;
	d->a.conn->auth.xauth_id = strdup("alice");
	add_user(&d->a);
	add_user(&d->b);
}

void duo_road_config(struct duo *d, bool push)
{
	struct ike_pool_conf *p = d->b.conf->pool = calloc(1, sizeof(*p));

	d->b.conf->n_pool = 1;
	p->name = strdup("p");
	p->addrs = calloc(1, sizeof(*p->addrs));
	ck_assert_int_eq(ip_range_parse("10.9.0.1-10.9.0.9", &p->addrs[0]), 0);
	p->n_addrs = 1;
	d->b.conn->pools = calloc(1, sizeof(*d->b.conn->pools));
	d->b.conn->pools[0] = strdup("p");
	d->b.conn->n_pools = 1;
	d->a.conn->vips = calloc(1, sizeof(*d->a.conn->vips));
	ck_assert_int_eq(ip_addr_parse("0.0.0.0", &d->a.conn->vips[0]), 0);
	d->a.conn->n_vips = 1;
	d->a.conn->push = d->b.conn->push = push;
	for (unsigned i = 0; i < d->a.conn->n_child; i++) {
		duo_ts(&d->a.conn->child[i].local_ts, "dynamic");
		duo_ts(&d->b.conn->child[i].remote_ts, "dynamic");
	}
}
