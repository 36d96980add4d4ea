/*
 * A peer that has not been changed would take the numbers of a fresh SA for replays, and we would
 * take a replayed packet for a fresh one; and a counter-mode IV must not come twice under one key.
 */
#include "control/carry.h"

static void carry_seq(const struct sa *old, struct sa *new)
{
	uint64_t max = new->esn || new->cycles ? UINT64_MAX : UINT32_MAX;
	const struct sa_conf *a = old->conf, *b = new->conf;
	uint64_t seq = atomic_load(&old->seq);

	/* Beyond the end the SA counts as used up, which is true. */
	atomic_store(&new->seq, seq > max - CARRY_SEQ_GAP ? max : seq + CARRY_SEQ_GAP);
	/* IVs of another sender's number are others anyway */
	if (a->sender_bits == b->sender_bits && a->sender_id == b->sender_id && new->iv_base < old->iv_base)
		new->iv_base = old->iv_base;
}

static void carry_window(const struct replay *old, struct replay *new)
{
	uint64_t top = atomic_load(&old->top);

	if (top == 0)
		return;
	if (new->window == 0) {
		(void)replay_accept(new, top); /* for the high half of extended numbers */
		return;
	}
	/* What the old window cannot tell, because it is narrower or was off, counts as seen. */
	for (uint64_t seq = top < new->window ? 1 : top - new->window + 1; seq <= top; seq++)
		if (old->window == 0 || !replay_may_accept(old, seq))
			(void)replay_accept(new, seq);
}

unsigned carry_over(const struct sa *old, struct sa *new)
{
	if (new->dir == DIR_OUT)
		carry_seq(old, new);
	else
		carry_window(&old->replay, &new->replay);
	for (unsigned i = 0; i < ARRAY_LEN(new->drops); i++)
		atomic_store(&new->drops[i], atomic_load(&old->drops[i]));
	atomic_store(&new->last_used_ns, atomic_load(&old->last_used_ns));
	new->installed_ns = old->installed_ns;
	return sa_count(new, atomic_load(&old->packets), atomic_load(&old->bytes));
}
