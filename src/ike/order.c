/* Orders of the administrator: how many parts each still waits for, and the event that ends it. */
#include "ike/engine.h"

#include <stdlib.h>

struct ike_order {
	struct list link;
	uint64_t id;
	unsigned parts;
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

	if (!o || (ok && --o->parts > 0))
		return;
	list_del(&o->link);
	free(o);
	ike_tell(ike, ok ? IKE_EV_DONE : IKE_EV_FAILED, conn, sa, NULL, order, "%s", text);
}

void ike_orders_fini(struct ike *ike)
{
	list_for_each_safe (l, &ike->orders) {
		struct ike_order *o = list_entry(l, struct ike_order, link);
		list_del(&o->link);
		free(o);
	}
}
