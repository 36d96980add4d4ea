/*
 * Fragments of one message become its text (RFC 7383 2.6): a fragment that fits what is gathered is
 * copied to its place; the last missing one makes the whole. What does not fit starts anew.
 */
#include "ike/reassembly.h"

#include <errno.h>
#include <stdlib.h>

#include "base/secret.h"
#include "ike/msg_rule.h"

struct reassembly_part {
	uint8_t *p; /* NULL: not here yet */
	uint32_t len;
};

void reassembly_reset(struct reassembly *r)
{
	for (unsigned i = 0; r->part && i < r->total; i++) {
		if (r->part[i].p)
			wipe(r->part[i].p, r->part[i].len);
		free(r->part[i].p);
	}
	free(r->part);
	*r = (struct reassembly){ 0 };
}

bool reassembly_has(const struct reassembly *r, uint32_t id, const struct ike_payload *skf)
{
	return r->part && r->id == id && r->total == skf->sk.total && r->part[skf->sk.number - 1].p;
}

/* An empty table for this message in place of what was there. */
static int start(struct reassembly *r, uint32_t id, const struct ike_payload *skf)
{
	struct reassembly_part *part = calloc(skf->sk.total, sizeof(*part));

	if (!part)
		return -ENOMEM;
	reassembly_reset(r);
	r->id = id;
	r->total = (uint8_t)skf->sk.total;
	r->part = part;
	return 0;
}

/* All parts in one piece. */
static int join(struct reassembly *r, struct seal_plain *whole, uint8_t *next)
{
	struct wr w = wr_of(malloc(r->bytes ? r->bytes : 1), r->bytes);

	if (!w.base)
		return -ENOMEM;
	for (unsigned i = 0; i < r->total; i++)
		wr_bytes(&w, r->part[i].p, r->part[i].len);
	*whole = (struct seal_plain){ .p = w.base, .len = w.len };
	*next = r->next;
	reassembly_reset(r);
	return 0;
}

int reassembly_add(struct reassembly *r, uint32_t id, const struct ike_payload *skf,
		   struct span text, struct seal_plain *whole, uint8_t *next, struct ike_bad *bad)
{
	if (r->part && r->id == id && skf->sk.total < r->total)
		return -EALREADY; /* the peer sends smaller ones now: more of them */
	uint8_t *p = malloc(text.len ? text.len : 1);
	if (!p)
		return -ENOMEM;
	if ((!r->part || r->id != id || r->total != skf->sk.total) && start(r, id, skf)) {
		free(p);
		return -ENOMEM;
	}
	if (text.len > SEAL_MESSAGE_MAX - r->bytes) {
		free(p);
		reassembly_reset(r);
		return ike_refuse(bad, 0, IKE2_SKF, "fragments of more than %d bytes in all",
				  SEAL_MESSAGE_MAX);
	}
	struct reassembly_part *part = &r->part[skf->sk.number - 1];
	if (text.len)
		memcpy(p, text.p, text.len);
	*part = (struct reassembly_part){ .p = p, .len = (uint32_t)text.len };
	r->bytes += (uint32_t)text.len;
	r->have++;
	if (skf->sk.number == 1)
		r->next = skf->sk.next;
	if (r->have < r->total)
		return -EINPROGRESS;
	int rc = join(r, whole, next);
	if (rc) { /* as before: this fragment may come again */
		wipe(p, text.len);
		free(p);
		*part = (struct reassembly_part){ 0 };
		r->bytes -= (uint32_t)text.len;
		r->have--;
	}
	return rc;
}
