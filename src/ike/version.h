/*
 * What differs between IKEv1 and IKEv2 when the core (sa.c, child.c, conn.c, life.c, command.c)
 * wants something of an IKE SA: one table of functions per version.
 */
#ifndef IKE_VERSION_H
#define IKE_VERSION_H

#include "ike/engine.h"

struct child_nego;

struct ike_version {
	/* A new SA's state. */
	void (*created)(struct ike_sa *sa);
	/* As initiator: connection, wants and path are set; the first message. */
	void (*start)(struct ike_sa *sa);
	/* The SA ends: jobs, timers and orders of the version; later its memory. */
	void (*fini)(struct ike_sa *sa);
	void (*free)(struct ike_sa *sa);
	/* A child is wanted of an SA that is up; w is moved in. */
	void (*want)(struct ike_sa *sa, struct ike_want *w);
	/* Is the child with this index being made, or about to be? (sa->wants not looked at.) NULL: the
	 * version cannot tell. */
	bool (*making)(const struct ike_sa *sa, unsigned ci);
	/* Each does nothing but end the order when it is under way already. */
	void (*sa_rekey)(struct ike_sa *sa, uint64_t order);
	void (*sa_reauth)(struct ike_sa *sa, uint64_t order);
	void (*sa_delete)(struct ike_sa *sa, enum ike_end end, uint64_t order);
	void (*child_rekey)(struct ike_child *c, uint64_t order);
	void (*child_delete)(struct ike_child *c, enum ike_end end, uint64_t order);
	/* Keys of a child that is agreed, and of the AH around it (NULL: the version has no bundles). 0 or
	 * -errno. */
	int (*child_keys)(const struct child_nego *c, const struct esp_suite *s,
			  struct child_keys *out);
	int (*ah_keys)(const struct child_nego *c, struct ike_ah_up *ah);
	/* The last child of the SA ended or went elsewhere. */
	void (*childless)(struct ike_sa *sa);
	/* childless_ns has come; only of versions that set it. */
	void (*still_childless)(struct ike_sa *sa);
	/* Two SAs with one peer may do the same: when both sides began at once. */
	void (*tidy)(struct ike_sa *sa);
	/* Is the peer there? heard: when it was heard last. */
	void (*probe)(struct ike_sa *sa, uint64_t heard);
	/* What the version holds for an SA besides struct ike_sa. */
	size_t (*bytes)(const struct ike_sa *sa);
	void (*again_fire)(struct ike_timer *t); /* t_again of the SA */
	/* Where the job in flight is noted; its return. */
	struct ike_work **(*flying)(struct ike_sa *sa);
	void (*work_done)(struct ike_work *w);
};
extern const struct ike_version v1_version, v2_version;

static inline const struct ike_version *ike_version(const struct ike_sa *sa)
{
	return sa->major == 1 ? &v1_version : &v2_version;
}

#endif
