/* Orders of the administrator: how many parts each still waits for, and the event that ends it. A
 * part that fails does not end the order before the others have ended: they go on anyhow. */
#include "ike/engine.h"

#include <stdlib.h>

struct ike_order {
	struct list link;
	uint64_t id;
	unsigned parts;
	char *failed; /* the first failure, in words; NULL: none so far */
};

uint64_t ike_order_new(struct ike *ike, unsigned parts)
{
	struct ike_order *o = calloc(1, sizeof(*o));

	if (!o)
		return 0;
	o->id = ++ike->last_order;
	o->parts = parts;
	list_push_back(&ike->orders, &o->link);
	return o->id;
}

static struct ike_order *find(struct ike *ike, uint64_t id)
{
	list_for_each (l, &ike->orders) {
		struct ike_order *o = list_entry(l, struct ike_order, link);
		if (o->id == id)
			return o;
	}
	return NULL;
}

void ike_order_done(struct ike *ike, uint64_t order, const struct ike_conn *conn,
		    const struct ike_sa *sa, bool ok, const char *text)
{
	struct ike_order *o = order ? find(ike, order) : NULL;

	if (!o)
		return;
	if (!ok && !o->failed)
		o->failed = strdup(text);
	if (--o->parts > 0) {
		ike_tell(ike, IKE_EV_PROGRESS, conn, sa, NULL, order, "%s", text);
		return;
	}
	list_del(&o->link);
	ike_tell(ike, o->failed ? IKE_EV_FAILED : IKE_EV_DONE, conn, sa, NULL, order, "%s",
		 o->failed ? o->failed : text);
	free(o->failed);
	free(o);
}

void ike_orders_fini(struct ike *ike)
{
	list_for_each_safe (l, &ike->orders) {
		struct ike_order *o = list_entry(l, struct ike_order, link);
		list_del(&o->link);
		free(o->failed);
		free(o);
	}
}
