/* See hook.h. A message enters with its number, the hooks of both sides' vendor IDs that are for it
 * run over it, one after the other. */
#include "ike/v1/hook.h"

#include "ike/v1/v1.h"

void v1_hook_add(struct ike *ike, struct v1_hook *h)
{
	list_push_back(&ike->v1_hooks, &h->link);
}

uint32_t v1_hook_vendors(const struct ike *ike)
{
	uint32_t set = 0;

	list_for_each (l, &ike->v1_hooks)
		set |= V1_VID(list_entry(l, struct v1_hook, link)->vendor);
	return set;
}

static bool is_for(const struct v1_hook *h, const struct ike_sa *sa, uint8_t number,
		   const struct ike_msg *m)
{
	return h->exchange == m->hdr.exchange && h->number == number &&
	       (sa->v1->ours & sa->v1->peers & V1_VID(h->vendor));
}

int v1_hooks_build(struct ike_sa *sa, uint8_t number, struct ike_msg *out)
{
	int rc = 0;

	list_for_each (l, &sa->ike->v1_hooks) {
		const struct v1_hook *h = list_entry(l, struct v1_hook, link);
		if (rc == 0 && h->build && is_for(h, sa, number, out))
			rc = h->build(h, sa, out);
	}
	return rc;
}

int v1_hooks_parse(struct ike_sa *sa, uint8_t number, const struct ike_msg *in, struct ike_bad *bad)
{
	int rc = 0;

	list_for_each (l, &sa->ike->v1_hooks) {
		const struct v1_hook *h = list_entry(l, struct v1_hook, link);
		if (rc == 0 && h->parse && is_for(h, sa, number, in))
			rc = h->parse(h, sa, in, bad);
	}
	return rc;
}
