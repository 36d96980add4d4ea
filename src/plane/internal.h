/* The plane's own structure, for the files of this folder. */
#ifndef PLANE_INTERNAL_H
#define PLANE_INTERNAL_H

#include <stdatomic.h>

#include "plane/neighbour.h"
#include "plane/plane.h"
#include "plane/worker.h"

struct bump;

/* Something replaced, that workers may still look at. */
struct plane_later {
	void *what;
	void (*free)(void *);
};

struct plane {
	struct plane_opts opts;
	struct sad *sad;
	struct plane_view *view;  /* RCU: the SPD that workers use */
	uint32_t gen;             /* of the last view made */
	_Atomic bool stop;
	int stop_fd;              /* eventfd, readable once the workers are to end */
	int event_fd;             /* eventfd, readable while events may wait */
	_Atomic bool event_pending;
	int ike_fd;               /* eventfd, readable while IKE messages may wait */
	_Atomic bool ike_pending;
	_Atomic unsigned expected; /* SAs that keying waits for: early.c */
	unsigned ike_first;       /* worker whose messages are taken first */
	struct sock ike_sock[2];  /* for control traffic on the encapsulation port, IPv4 and IPv6:
				     ike.c; fd -1: none */
	struct out_route **route; /* by reqid, chained; route_room is a power of two */
	unsigned route_room, n_routes;
	struct plane_later *later;/* freed after the next grace period */
	unsigned n_later, later_room, n_retired;
	_Atomic uint8_t rule[FRAME_KINDS]; /* enum bridge_rule */
	_Atomic uint8_t icmp_in, icmp_clear_in, icmp_told; /* struct icmp_rules */
	struct neighbours *hosts; /* of a bridge that is a gateway */
	struct bump *bump;        /* IKE of one that is in place of a host; NULL: none */
	_Atomic uint32_t mtu;     /* of both ports of a bridge, bytes */
	_Atomic bool link_refused; /* the system would not send: larger than the link */
	unsigned n_workers;
	struct worker **worker;
};

/* Makes event_fd readable, once until the control thread has looked. */
void plane_wake_control(struct plane *p);

/* ---- ike.c ---- */

/* Where the control thread sends from our encapsulation port. NULL: there is no socket of this
 * version. */
struct sock *plane_control_sock(struct plane *p, uint8_t ver);

/* ---- route.c ---- */

/* Publishes the same SPD under a new generation: flow tables ask again. p->view->gen differs from
 * p->gen when there was no memory. */
void plane_view_bump(struct plane *p);
/* Frees `what` once no worker can look at it any more. NULL is allowed. */
void plane_free_later(struct plane *p, void *what, void (*freer)(void *));
/* Gives the policies of an SPD their routes. 0 or -ENOMEM. */
int plane_routes_link(struct plane *p, struct spd *spd) warn_unused;
void plane_routes_sweep(struct plane *p);
void plane_routes_free(struct plane *p);
/* Makes the workers look at what they hold. */
void plane_wake_holding(struct plane *p);

#endif
