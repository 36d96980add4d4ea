/* See ike_duo_sad.h; also the look at both sides, ike_duo.h's duo_agree(). */
#include "ike_duo_sad.h"
#include "must.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct duo_child *find_child(struct duo_node *n, uint32_t reqid, uint32_t spi_in)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		if (n->child[i].used && n->child[i].up.reqid == reqid &&
		    n->child[i].up.spi_in == spi_in)
			return &n->child[i];
	return NULL;
}

static uint32_t env_spi_alloc(void *ctx, uint8_t proto)
{
	struct duo_node *n = ctx;

	n->spis++;
	return n->last_spi += 0x101;
}

static void env_spi_free(void *ctx, uint8_t proto, uint32_t spi)
{
	struct duo_node *n = ctx;

	ck_assert_uint_gt(n->spis, 0);
	n->spis--;
}

static bool reqid_used(const struct duo_node *n, uint32_t reqid)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		if (n->child[i].used && n->child[i].up.reqid == reqid)
			return true;
	return false;
}

static void switch_to(struct duo_node *n, struct duo_child *c)
{
	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		if (n->child[i].used && n->child[i].up.reqid == c->up.reqid)
			n->child[i].out = false;
	c->out = true;
}

static int env_child_add(void *ctx, struct ike_child_up *up, char *why, size_t whylen)
{
	struct duo_node *n = ctx;
	struct duo_child *c = NULL;

	if (n->refuse_add) {
		snprintf(why, whylen, "the SAD is full");
		return -ENOSPC;
	}
	ck_assert_uint_ne(up->reqid, 0);
	ck_assert(n->odd_spi || up->spi_in > 255);
	ck_assert_uint_gt(up->spi_out, 255);
	ck_assert_uint_gt(up->local_ts->n, 0);
	ck_assert_uint_gt(up->remote_ts->n, 0);
	ck_assert_ptr_nonnull(up->suite.encr);
	ck_assert_uint_eq(up->rekey, reqid_used(n, up->reqid));
	ck_assert_uint_gt(n->spis, up->ah.spi_in ? 1 : 0);
	n->spis -= up->ah.spi_in ? 2 : 1;
	ck_assert(!up->ah.spi_in || (up->proto == SA_ESP && !up->udp && (up->ah.suite.integ || up->ah.encr_in.len)));
	for (unsigned i = 0; i < DUO_CHILDREN && !c; i++)
		if (!n->child[i].used)
			c = &n->child[i];
	ck_assert_ptr_nonnull(c);
	*c = (struct duo_child){ .used = true, .up = *up };
	c->up.encr_in = secret_take(&up->encr_in);
	c->up.encr_out = secret_take(&up->encr_out);
	c->up.integ_in = secret_take(&up->integ_in);
	c->up.integ_out = secret_take(&up->integ_out);
	c->up.ah.encr_in = secret_take(&up->ah.encr_in);
	c->up.ah.encr_out = secret_take(&up->ah.encr_out);
	c->up.ah.integ_in = secret_take(&up->ah.integ_in);
	c->up.ah.integ_out = secret_take(&up->ah.integ_out);
	memcpy(&c->local_ts, up->local_ts,
	       offsetof(struct ts_list, ts) + up->local_ts->n * sizeof(struct ts));
	memcpy(&c->remote_ts, up->remote_ts,
	       offsetof(struct ts_list, ts) + up->remote_ts->n * sizeof(struct ts));
	c->local = up->local;
	c->remote = up->remote;
	if (up->out_now || !up->rekey)
		switch_to(n, c);
	return 0;
}

static void env_child_switch(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in)
{
	struct duo_node *n = ctx;
	struct duo_child *c = find_child(n, reqid, spi_in);

	ck_assert_ptr_nonnull(c);
	switch_to(n, c);
}

static void drop_child(struct duo_child *c)
{
	secret_free(&c->up.encr_in);
	secret_free(&c->up.encr_out);
	secret_free(&c->up.integ_in);
	secret_free(&c->up.integ_out);
	secret_free(&c->up.ah.encr_in);
	secret_free(&c->up.ah.encr_out);
	secret_free(&c->up.ah.integ_in);
	secret_free(&c->up.ah.integ_out);
	c->used = false;
}

static void env_child_del(void *ctx, uint32_t reqid, uint8_t proto, uint32_t spi_in)
{
	struct duo_node *n = ctx;
	struct duo_child *c = find_child(n, reqid, spi_in);

	ck_assert_ptr_nonnull(c);
	drop_child(c);
}

static int env_trap_add(void *ctx, uint32_t reqid, const struct ike_conn_conf *conn,
			const struct ike_child_conf *child, char *why, size_t whylen)
{
	struct duo_node *n = ctx;

	ck_assert_uint_lt(n->n_traps, DUO_TRAPS);
	n->trap[n->n_traps].reqid = reqid;
	snprintf(n->trap[n->n_traps].child, sizeof(n->trap[0].child), "%s", child->name);
	n->n_traps++;
	return 0;
}

static void env_trap_del(void *ctx, uint32_t reqid)
{
	struct duo_node *n = ctx;

	for (unsigned i = 0; i < n->n_traps; i++)
		if (n->trap[i].reqid == reqid) {
			n->trap[i] = n->trap[--n->n_traps];
			return;
		}
	ck_abort_msg("a trap that is not there");
}

static void env_acquire_failed(void *ctx, uint32_t reqid)
{
	struct duo_node *n = ctx;

	n->acquires_failed++;
}

static void env_child_move(void *ctx, uint32_t reqid, uint32_t spi_in, bool udp,
			   const struct endpoint *local, const struct endpoint *remote)
{
	struct duo_child *c = find_child(ctx, reqid, spi_in);

	ck_assert_ptr_nonnull(c);
	c->local = *local;
	c->remote = *remote;
}

static uint64_t env_child_last_used(void *ctx, uint32_t reqid, uint32_t spi_in, bool in)
{
	struct duo_child *c = find_child(ctx, reqid, spi_in);

	must(c);
	return in ? c->in_ns : c->out_ns;
}

void duo_sad_env(struct ike_env *env)
{
	env->spi_alloc = env_spi_alloc;
	env->spi_free = env_spi_free;
	env->child_add = env_child_add;
	env->child_switch = env_child_switch;
	env->child_del = env_child_del;
	env->trap_add = env_trap_add;
	env->trap_del = env_trap_del;
	env->acquire_failed = env_acquire_failed;
	env->child_move = env_child_move;
	env->child_last_used = env_child_last_used;
}

/* ---- what is there */

unsigned duo_children(const struct duo_node *n)
{
	unsigned k = 0;

	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		k += n->child[i].used;
	return k;
}

struct duo_child *duo_child(struct duo_node *n, unsigned i)
{
	for (unsigned k = 0; k < DUO_CHILDREN; k++)
		if (n->child[k].used && i-- == 0)
			return &n->child[k];
	return NULL;
}

static bool mirrors(const struct duo_child *x, const struct duo_child *y)
{
	if (x->up.spi_in != y->up.spi_out || x->up.spi_out != y->up.spi_in)
		return false;
	ck_assert(secret_eq(&x->up.encr_in, &y->up.encr_out));
	ck_assert(secret_eq(&x->up.encr_out, &y->up.encr_in));
	ck_assert(secret_eq(&x->up.integ_in, &y->up.integ_out));
	ck_assert(secret_eq(&x->up.integ_out, &y->up.integ_in));
	if (x->up.encr_in.len)
		ck_assert(!secret_eq(&x->up.encr_in, &x->up.encr_out));
	else
		ck_assert(!secret_eq(&x->up.integ_in, &x->up.integ_out));
	ck_assert_uint_eq(x->up.ah.spi_in, y->up.ah.spi_out);
	ck_assert_uint_eq(x->up.ah.spi_out, y->up.ah.spi_in);
	ck_assert_ptr_eq(x->up.ah.suite.integ, y->up.ah.suite.integ);
	ck_assert_ptr_eq(x->up.ah.suite.encr, y->up.ah.suite.encr);
	ck_assert(secret_eq(&x->up.ah.encr_in, &y->up.ah.encr_out));
	ck_assert(secret_eq(&x->up.ah.encr_out, &y->up.ah.encr_in));
	ck_assert(secret_eq(&x->up.ah.integ_in, &y->up.ah.integ_out));
	ck_assert(secret_eq(&x->up.ah.integ_out, &y->up.ah.integ_in));
	ck_assert_ptr_eq(x->up.suite.encr, y->up.suite.encr);
	ck_assert_ptr_eq(x->up.suite.integ, y->up.suite.integ);
	ck_assert_uint_eq(x->up.suite.key_len, y->up.suite.key_len);
	ck_assert_uint_eq(x->up.proto, y->up.proto);
	ck_assert_uint_eq(x->up.mode, y->up.mode);
	ck_assert_uint_eq(x->up.udp, y->up.udp);
	ck_assert_uint_eq(x->up.esn, y->up.esn);
	if (x->up.mode == SA_TUNNEL) {
		ck_assert(ts_list_eq(&x->local_ts, &y->remote_ts));
		ck_assert(ts_list_eq(&x->remote_ts, &y->local_ts));
	}
	return true;
}

void duo_agree(struct duo *d)
{
	unsigned pairs = 0;

	for (unsigned i = 0; i < DUO_CHILDREN; i++)
		for (unsigned k = 0; k < DUO_CHILDREN; k++)
			if (d->a.child[i].used && d->b.child[k].used)
				pairs += mirrors(&d->a.child[i], &d->b.child[k]);
	ck_assert_uint_eq(pairs, duo_children(&d->a));
	ck_assert_uint_eq(pairs, duo_children(&d->b));
}
