/*
 * What a policy asks of every single packet, where its flow does not say enough: the SA that is for
 * its DSCP (RFC 4301 4.1) or sensitivity (RFC 2401 8.5), and whether its label may be here at all
 * (RFC 2401 8.2, 8.4). Policies that ask nothing (policy->pick false) never come here.
 */
#ifndef IPSEC_PICK_H
#define IPSEC_PICK_H

#include "ipsec/label.h"
#include "ipsec/spd.h"

/* What a policy knows of labels. Shared by nobody: owned by its policy. */
struct policy_labels {
	struct label_range *device;     /* what may pass the interface; NULL: anything */
	struct label_range
	    *range; /* what may go by the policy: the label of its addresses; NULL: anything */
	struct label_range
	    *unlabelled; /* one label: of packets that have none; NULL: they have none */
	bool sas; /* some SA of the policy has a label: those without carry unlabelled packets only
		   */
};

/* Copies what is given; NULL is nothing. 0 or -ENOMEM. policy->labels and ->pick are set; its SAs
 * must be there. */
int policy_set_labels(struct policy *p, const struct label_range *device,
		      const struct label_range *range,
		      const struct label_range *unlabelled) warn_unused;
void policy_labels_free(struct policy_labels **l);

/*
 * Outbound: may the packet go by this policy, and, when that protects, by which SAs? The first of
 * policy->also that is for its DSCP and label, then what the policy says for all. DROP_NONE,
 * DROP_LABEL, DROP_LABEL_FORMAT or DROP_NO_SA: there is none for it.
 */
enum drop pick_out(const struct policy *p, const uint8_t *ip, const struct pkt_info *info,
		   struct sa *const **sa, unsigned *n) warn_unused;
/* Inbound: came it through SAs (n 0: in the clear) of a sensitivity that it may have, and may it
 * pass? What it says of itself must fit the SAs; without a label it has theirs. */
enum drop pick_in(const struct policy *p, struct sa *const *sa, unsigned n, const uint8_t *ip,
		  const struct pkt_info *info) warn_unused;
/* Is it one of the SAs that the policy has beside those of `in`? */
bool pick_has(const struct policy *p, const struct sa *sa);

#endif
