/*
 * Any bytes as the text inside of an authentic IKEv2 message, given to a whole engine: what an
 * authenticated peer, or one that is about to prove itself, can say. The first byte chooses: bit 0,
 * whether the SA is up before (else the first IKE_AUTH message has the text); bit 1, whether the
 * text takes the place of an answer; the others, the exchange. Then come records of a first
 * payload, two bytes of length and a text, one for each message. Afterwards a minute passes, and
 * both engines end with nothing left of theirs.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/ike_duo.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/rd.h"
#include "crypto/sk.h"
#include "fuzz_check.h"
#include "ike/engine.h"
#include "ike/proto.h"
#include "fuzz_check.h"

#define HEAD     32 /* of the message and of SK */
#define TEXT_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct duo d;
static struct rd in;
static uint8_t how;

static struct ike_sa *sa_of(struct duo_node *n)
{
	return list_empty(&n->ike->sas) ? NULL : list_entry(n->ike->sas.next, struct ike_sa, all);
}

/* A message of this node with the next record inside; its length, 0 when there is none. */
static size_t forge(struct duo_node *n, uint8_t exchange, bool answer, uint32_t id,
		    uint8_t msg[TEXT_MAX + 128])
{
	struct ike_sa *sa = sa_of(n);
	size_t got = 0;

	if (!sa || !sa->seal || in.left < 3)
		return 0;
	uint8_t first = rd_u8(&in);
	size_t len = rd_be16(&in);
	struct span text = rd_span(&in, len > in.left ? in.left : len);
	if (text.len > TEXT_MAX)
		text.len = TEXT_MAX;
	size_t all = HEAD + sk_sealed_len(&sa->suite.sk, text.len);
	memcpy(msg, sa->spi_i, 8);
	memcpy(msg + 8, sa->spi_r, 8);
	msg[16] = IKE2_SK;
	msg[17] = 0x20;
	msg[18] = exchange;
	msg[19] = (uint8_t)((sa->initiator ? IKE2_FLAG_I : 0) | (answer ? IKE2_FLAG_R : 0));
	store_be32(msg + 20, id);
	store_be32(msg + 24, (uint32_t)all);
	msg[28] = first;
	msg[29] = 0;
	store_be16(msg + 30, (uint16_t)(all - 28));
	if (sk_seal(sa->seal, msg, TEXT_MAX + 128, HEAD, text, &got) || got != all)
		abort();
	return all;
}

/* The message of the wire gets another text. */
static bool replace(struct duo *duo, struct duo_msg *m)
{
	static uint8_t msg[TEXT_MAX + 128];
	bool answer = m->p[19] & IKE2_FLAG_R;
	size_t n;

	(void)duo;
	if (m->p[16] != IKE2_SK || answer != !!(how & 2))
		return true;
	n = forge(m->from, m->p[18], answer, load_be32(m->p + 20), msg);
	if (n == 0)
		return true;
	memcpy(m->p, msg, n); /* has room for any datagram */
	m->len = n;
	return true;
}

/* a says what it has, as requests of its own. */
static void say_all(uint8_t exchange)
{
	struct endpoint from = { d.a.addr, 500 }, to = { d.b.addr, 500 };
	static uint8_t msg[TEXT_MAX + 128];
	size_t n;

	while (sa_of(&d.a) && (n = forge(&d.a, exchange, false, sa_of(&d.a)->next_send, msg))) {
		sa_of(&d.a)->next_send++;
		uint8_t *exact = malloc(n);
		if (!exact)
			abort();
		memcpy(exact, msg, n);
		ike_receive(d.b.ike, &to, &from, false, exact, n);
		free(exact);
		duo_settle(&d);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t exchanges[] = { IKE2_X_CREATE_CHILD, IKE2_X_INFO, IKE2_X_CREATE_CHILD,
					     IKE2_X_AUTH };
	uint64_t order;
	char why[256];

	if (size < 4 || size > 8 * TEXT_MAX)
		return 0;
	how = data[0];
	in = rd_of(data + 1, size - 1);
	duo_init(&d, 1);
	duo_start(&d);
	if (how & 1) {
		duo_up(&d, &d.a, "b");
		duo_settle(&d);
		if (how & 2) { /* the answers to requests of ours */
			d.hook = replace;
			(void)!ike_rekey(d.a.ike, how & 4 ? "b" : "b/net", false, &order, why,
					 sizeof(why));
			duo_settle(&d);
			if (how & 8)
				(void)!ike_terminate(d.a.ike, "b/net", &order, why, sizeof(why));
			duo_settle(&d);
		} else {
			say_all(exchanges[how >> 2 & 3]);
		}
	} else {
		d.hook = replace;
		(void)!ike_initiate(d.a.ike, "b", &order, why, sizeof(why));
		duo_settle(&d);
	}
	d.hook = NULL;
	duo_run(&d, 60ull * 1000000000);
	duo_fini(&d);
	return 0;
}
