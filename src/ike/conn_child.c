/*
 * The configured children of a connection. At its start they are those of its configuration; a
 * reload that changes nothing else of the connection takes some away and adds others, while the IKE
 * SA and the children that mean the same go on. Negotiations know a child by its index, so a child
 * keeps its place; the place of one that is gone is used again when nothing speaks of it any more.
 */
#include "ike/engine.h"

#include <errno.h>
#include <stdlib.h>

static void place_take(struct ike_conn_child *cc, struct ike_conf *owner,
		       const struct ike_child_conf *conf)
{
	*cc = (struct ike_conn_child){ .conf = conf, .owner = ike_conf_ref(owner) };
}

static void place_empty(struct ike_conn_child *cc)
{
	if (cc->owner)
		ike_conf_unref(&cc->owner);
	*cc = (struct ike_conn_child){ .gone = true };
}

int ike_conn_children_init(struct ike_conn *c, struct ike_conf *owner,
			   const struct ike_conn_conf *conf)
{
	c->child = calloc(conf->n_child + 1, sizeof(*c->child));
	c->live = calloc(conf->n_child + 1, sizeof(*c->live));
	if (!c->child || !c->live)
		return -ENOMEM;
	for (unsigned i = 0; i < conf->n_child; i++) {
		place_take(&c->child[i], owner, &conf->child[i]);
		c->live[i] = i;
	}
	c->n_child = c->n_live = conf->n_child;
	return 0;
}

void ike_conn_children_fini(struct ike_conn *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		place_empty(&c->child[i]);
	free(c->child);
	free(c->live);
}

unsigned ike_conn_child_index(const struct ike_conn *c, const struct ike_child_conf *child)
{
	unsigned i = 0;

	while (i < c->n_child && c->child[i].conf != child)
		i++;
	return i;
}

/* ---- a reload */

/* May anything still name the child by its index or its configuration? A negotiation that is under
 * way may; which child it is about is not asked. */
static bool spoken_of(const struct ike_conn *c, unsigned ci)
{
	list_for_each (l, &c->sas) {
		const struct ike_sa *sa = list_entry(l, struct ike_sa, of_conn);
		if (sa->major == 1 || sa->init || sa->x || sa->task || !list_empty(&sa->tasks) ||
		    !list_empty(&sa->wants))
			return true;
		list_for_each (k, &sa->children)
			if (list_entry(k, struct ike_child, of_sa)->conf == c->child[ci].conf)
				return true;
	}
	return false;
}

static void empty_places(struct ike_conn *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].gone && c->child[i].conf && !spoken_of(c, i))
			place_empty(&c->child[i]);
}

/* The configured child that means the same; UINT32_MAX: none. */
static unsigned find_same(const struct ike_conn *c, const struct ike_child_conf *conf)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (!c->child[i].gone && ike_child_same(c->child[i].conf, conf))
			return i;
	return UINT32_MAX;
}

/* The first empty place; there is room for one more in any case. A configuration that was in force
 * before has its place still: it is known by its address, so it must not have two. */
static unsigned find_place(struct ike_conn *c, struct ike_conf *owner,
			   const struct ike_child_conf *conf)
{
	unsigned i = ike_conn_child_index(c, conf);

	if (i < c->n_child) {
		c->child[i].gone = false;
		return i;
	}
	i = ike_conn_child_index(c, NULL);
	if (i == c->n_child)
		c->n_child++;
	place_take(&c->child[i], owner, conf);
	return i;
}

int ike_conn_children_change(struct ike_conn *c, struct ike_conf *owner,
			     const struct ike_conn_conf *conf)
{
	unsigned was = c->n_live, *before = c->live;
	unsigned *live = calloc(conf->n_child + 1, sizeof(*live));
	bool *fresh = calloc(conf->n_child + 1, sizeof(*fresh));
	struct ike_conn_child *child =
	    realloc(c->child, (c->n_child + conf->n_child + 1) * sizeof(*child));

	if (child)
		c->child = child;
	if (!child || !live || !fresh) {
		free(live);
		free(fresh);
		return -ENOMEM;
	}
	empty_places(c);
	for (unsigned k = 0; k < conf->n_child; k++) {
		live[k] = find_same(c, &conf->child[k]);
		fresh[k] = live[k] == UINT32_MAX;
	}
	for (unsigned k = 0; k < conf->n_child; k++)
		if (fresh[k])
			live[k] = find_place(c, owner, &conf->child[k]);
	c->live = live;
	c->n_live = conf->n_child;
	/* the new before the old goes: where one takes the other's place there is no gap */
	for (unsigned k = 0; k < conf->n_child; k++)
		if (fresh[k]) {
			log_info(LOG_IKE, "conn %s: child %s is new", conf->name,
				 conf->child[k].name);
			ike_conn_start_child(c, live[k]);
		}
	for (unsigned k = 0; k < was; k++) {
		bool stays = false;
		for (unsigned n = 0; n < conf->n_child && !stays; n++)
			stays = live[n] == before[k];
		if (stays)
			continue;
		log_info(LOG_IKE, "conn %s: child %s is gone or another", conf->name,
			 c->child[before[k]].conf->name);
		c->child[before[k]].gone = true;
		ike_conn_close_child(c, before[k]);
	}
	free(before);
	free(fresh);
	return 0;
}
