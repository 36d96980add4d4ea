/* Shared secrets and whose they are: see cred.h. */
#include <stdlib.h>

#include "ike/cred.h"

/* How well the best of the owners covers id; 0: none, or id is not known. */
static unsigned owner_match(const struct cred_psk *p, const struct ident *id)
{
	unsigned best = 0;

	for (unsigned i = 0; id && i < p->n_id; i++) {
		unsigned fit = ident_match(&p->id[i], id);
		if (fit > best)
			best = fit;
	}
	return best;
}

/* Are all owners us? Then it is ours towards anyone. */
static bool all_ours(const struct cred_psk *p, const struct ident *mine)
{
	for (unsigned i = 0; i < p->n_id; i++)
		if (!mine || ident_match(&p->id[i], mine) == 0)
			return false;
	return true;
}

/* 0: not to be used; else more is better. */
static unsigned psk_rank(const struct cred_psk *p, const struct ident *mine,
			 const struct ident *peer)
{
	unsigned m = owner_match(p, mine), t = owner_match(p, peer);

	if (p->n_id == 0)
		return 1;
	/* What is between us and somebody else must not let a stranger pass for that one. */
	if (peer && !t && !all_ours(p, mine))
		return 0;
	if (!m && !t)
		return 0;
	return ((m != 0) + (t != 0)) * 4 * IDENT_EXACT + m + t;
}

const struct cred_psk *cred_psk_find(const struct cred_psks *p, const struct ident *mine,
				     const struct ident *peer)
{
	const struct cred_psk *found = NULL;
	unsigned best = 0;

	for (unsigned i = 0; i < p->n; i++) {
		unsigned rank = psk_rank(&p->psk[i], mine, peer);
		if (rank > best) {
			best = rank;
			found = &p->psk[i];
		}
	}
	return found;
}

void cred_psks_fini(struct cred_psks *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		for (unsigned j = 0; j < p->psk[i].n_id; j++)
			ident_fini(&p->psk[i].id[j]);
		free(p->psk[i].id);
		free(p->psk[i].name);
		secret_free(&p->psk[i].key);
	}
	free(p->psk);
	*p = (struct cred_psks){ 0 };
}
