/*
 * Which SA a datagram is for: by the SPI of ours in its header. IKE_SA_INIT requests, which belong
 * to none yet, go to init_r.c; what belongs to nothing we know is answered with INVALID_IKE_SPI,
 * seldom. While a job of the SA is in flight its datagrams are held, a few, and go on in order
 * afterwards.
 */
#include "ike/v2/v2.h"

#include <stdlib.h>

#include "ike/names.h"
#include "ike/v2/internal.h"

static bool all_zero(const uint8_t *spi)
{
	return load_be64(spi) == 0;
}

/* RFC 7296 1.5: an answer in the clear, to a request only; the sender may not believe it. */
static void unknown_spi(struct ike *ike, const struct endpoint *local,
			const struct endpoint *remote, bool marker, const struct ike_hdr *h)
{
	uint32_t more;
	uint8_t buf[64];

	ike->stats.invalid_spi++;
	ike_audit(ike, AUDIT_COOKIE, NULL, remote,
		  "a message for an IKE SA that does not exist (any more)");
	if ((h->flags & IKE2_FLAG_R) || h->exchange == IKE2_X_SA_INIT ||
	    !log_limit_pass(&ike->spi_limit, &more))
		return;
	ike_stranger_log(ike, remote, "a message for an IKE SA that does not exist (any more)");
	struct ike_msg *m = ike->out;
	uint8_t flags = (uint8_t)(IKE2_FLAG_R | (h->flags & IKE2_FLAG_I ? 0 : IKE2_FLAG_I));
	ike_msg_init(m, 0x20, h->spi_i, h->spi_r, h->exchange, flags, h->id);
	struct wr w = wr_of(buf, sizeof(buf));
	if (v2_add_notify(m, IKE2_INVALID_IKE_SPI, span_of(NULL, 0)) && ike_msg_write(m, &w) == 0)
		(void)ike_send(ike, local, remote, marker, wr_view(&w));
}

/* Is it the message that is being worked on already? */
static bool is_pending(const struct ike_sa *sa, const struct ike_hdr *h)
{
	const struct v2_exchange *x = sa->x;
	bool answer = h->flags & IKE2_FLAG_R;

	if (!x->held)
		return false;
	return x->held->hdr.id == h->id && answer == !!(x->held->hdr.flags & IKE2_FLAG_R);
}

static void hold(struct ike_sa *sa, const struct endpoint *local, const struct endpoint *remote,
		 bool marker, const uint8_t *p, size_t len, const struct ike_hdr *h)
{
	if (sa->n_held == V2_HELD_MAX || is_pending(sa, h) || !ike_sa_strange_take(sa, len))
		return;
	struct ike_held *d = malloc(sizeof(*d) + len);
	if (!d)
		return;
	*d = (struct ike_held){
		.hdr = *h, .local = *local, .remote = *remote, .marker = marker, .len = len
	};
	memcpy(d->bytes, p, len);
	list_push_back(&sa->held, &d->link);
	sa->n_held++;
}

void v2_held_run(struct ike_sa *sa)
{
	while (!sa->over && !sa->x && !list_empty(&sa->held)) {
		struct ike_held *d = list_entry(sa->held.next, struct ike_held, link);
		list_del(&d->link);
		sa->n_held--;
		ike_sa_strange_give(sa, d->len);
		v2_input(sa, &d->local, &d->remote, d->marker, d->bytes, d->len, &d->hdr);
		free(d);
	}
}

void v2_receive(struct ike *ike, const struct endpoint *local, const struct endpoint *remote,
		bool marker, uint8_t *p, size_t len, const struct ike_hdr *h)
{
	bool from_i = h->flags & IKE2_FLAG_I;

	if (h->exchange == IKE2_X_SA_INIT && !(h->flags & IKE2_FLAG_R)) {
		if (from_i && h->id == 0 && all_zero(h->spi_r))
			v2_init_request(ike, local, remote, marker, span_of(p, len), h);
		else
			ike->stats.malformed++;
		return;
	}
	struct ike_sa *sa = ike_sa_by_spi(ike, from_i ? h->spi_r : h->spi_i);
	const uint8_t *peer = from_i ? h->spi_i : h->spi_r;
	if (!sa || sa->major != 2 || sa->initiator == from_i) {
		unknown_spi(ike, local, remote, marker, h);
		return;
	}
	const uint8_t *known = sa->initiator ? sa->spi_r : sa->spi_i;
	if (!all_zero(known) && memcmp(known, peer, 8) != 0) {
		ike->stats.invalid_spi++;
		return;
	}
	if (sa->x)
		hold(sa, local, remote, marker, p, len, h);
	else
		v2_input(sa, local, remote, marker, p, len, h);
	if (!sa->x) {
		v2_held_run(sa);
		v2_task_run(sa);
	}
}
