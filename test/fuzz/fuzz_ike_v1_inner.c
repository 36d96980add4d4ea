/*
 * Any bytes as the text inside of an authentic IKEv1 message, given to a whole engine: what a peer
 * with keys can say in Quick Mode, in Transaction (XAUTH, Mode Config) and Informational exchanges.
 * The first byte chooses:
 *	bit 0	the texts take the place of what is said in exchanges that run; else they begin some
 *	bit 1	b says them (the gateway); else a (the client)
 *	bit 2-3	which exchange they begin; or what is ordered: up, rekey the child, rekey, down
 *	bit 4-5	nothing, XAUTH, XAUTH with Mode Config pulled, Mode Config pushed
 *	bit 6	PFS
 *	bit 7	the commit bit
 * Then come records, one for each message: the first payload, two bytes of length, a text. A HASH
 * that is right is put in front, unless the first payload is said to be 0: then the text follows the
 * header as it is. Afterwards a minute passes, and both engines end with nothing left of theirs.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/ike_duo_road.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/rd.h"
#include "fuzz_check.h"
#include "ike/v1/v1.h"

#define TEXT_MAX 2048
#define ROOM	 (IKE_HDR_LEN + 4 + PRF_LEN_MAX + TEXT_MAX + CBC_BLOCK_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct duo d;
static struct rd in;
static uint8_t how;

/* The end of the chain of IVs of the exchanges in work, as the wire has it. */
static struct chain {
	uint32_t id;
	uint8_t iv[CBC_BLOCK_MAX];
} chains[64];
static unsigned n_chains;

static void must(bool good)
{
	if (!good)
		abort();
}

static struct ike_sa *sa_by_cookies(struct duo_node *n, const uint8_t *p)
{
	list_for_each (l, &n->ike->sas) {
		struct ike_sa *sa = list_entry(l, struct ike_sa, all);
		if (memcmp(sa->spi_i, p, 8) == 0 && memcmp(sa->spi_r, p + 8, 8) == 0)
			return sa;
	}
	return NULL;
}

static struct v1_exchange *exchange_by_id(struct ike_sa *sa, uint32_t id)
{
	list_for_each (l, &sa->v1->exchanges) {
		struct v1_exchange *x = list_entry(l, struct v1_exchange, link);
		if (x->id == id)
			return x;
	}
	return NULL;
}

static const uint8_t *first_chain(const struct ike_sa *sa)
{
	return sa->v1->ph ? sa->v1->p1.iv : sa->v1->last_iv;
}

static struct chain *chain_of(uint32_t id)
{
	for (unsigned i = 0; i < n_chains; i++)
		if (chains[i].id == id)
			return &chains[i];
	return NULL;
}

/* So many bytes are payloads, what follows them is padding. */
static size_t payloads_len(uint8_t type, struct span text)
{
	size_t at = 0;

	while (type && text.len - at >= 4) {
		size_t n = load_be16(text.p + at + 2);
		if (n < 4 || n > text.len - at)
			return text.len;
		type = text.p[at];
		at += n;
	}
	return at;
}

/* The next record as a message: header to be filled in but for what is known here; its length, 0
 * when there is none. iv: of the chain, the next one afterwards. */
static size_t forge(struct ike_sa *sa, struct v1_hash *h, uint8_t iv[CBC_BLOCK_MAX],
		    uint8_t msg[ROOM])
{
	size_t hash = 4u + sa->suite.prf->len, block = cbc_block(sa->suite.sk.encr->id);
	uint8_t *p = msg + IKE_HDR_LEN;

	if (in.left < 3)
		return 0;
	uint8_t first = rd_u8(&in);
	size_t len = rd_be16(&in);
	struct span text = rd_span(&in, len > in.left ? in.left : len);
	if (text.len > TEXT_MAX)
		text.len = TEXT_MAX;
	memset(msg, 0, ROOM);
	if (first == 0) {
		len = text.len;
		msg[16] = IKE1_HASH;
		memcpy(p, text.p, len);
	} else {
		len = hash + text.len;
		msg[16] = IKE1_HASH;
		p[0] = first;
		store_be16(p + 2, (uint16_t)hash);
		memcpy(p + hash, text.p, text.len);
		struct span rest = span_of(p + hash, payloads_len(first, text));
		must(v1_hash_message(sa->suite.prf, sa->keys.ai, h, rest, p + 4) == 0);
	}
	len = (len + block - 1) / block * block;
	if (len == 0)
		len = block;
	must(cbc_crypt(sa->suite.sk.encr->id, true, sa->keys.ei, iv, p, len) == 0);
	len += IKE_HDR_LEN;
	memcpy(msg, sa->spi_i, 8);
	memcpy(msg + 8, sa->spi_r, 8);
	msg[17] = 0x10;
	msg[19] = IKE1_FLAG_E;
	store_be32(msg + 24, (uint32_t)len);
	return len;
}

/* The hash of a message that was just made. */
static struct v1_hash hash_of(const struct v1_exchange *x, uint32_t id)
{
	struct v1_hash h = { .kind = V1_HASH_1, .id = id };
	const struct v1_edge *e = x ? v1_edge_find(x, x->n) : NULL;

	if (e)
		h.kind = (enum v1_hash_kind)e->hash;
	if (x && x->child) {
		h.ni = span_of(x->child->ni, x->child->ni_len);
		h.nr = span_of(x->child->nr, x->child->nr_len);
	}
	return h;
}

/* The message on the wire gets another text; who sent it goes on from there. */
static bool replace(struct duo *duo, struct duo_msg *m)
{
	static uint8_t msg[ROOM];
	uint32_t id = load_be32(m->p + 20);
	struct ike_sa *sa = sa_by_cookies(m->from, m->p);
	struct chain *c = chain_of(id);
	size_t n = 0;

	(void)duo;
	if (!sa || !sa->keys.block || v1_is_phase1(m->p[18]) || m->p[16] == IKE1_FRAGMENT ||
	    !(m->p[19] & IKE1_FLAG_E) || (!c && n_chains == ARRAY_LEN(chains)))
		return true;
	if (!c) {
		c = &chains[n_chains++];
		c->id = id;
		must(v1_iv_exchange(&sa->suite, first_chain(sa), id, c->iv) == 0);
	}
	struct v1_exchange *x = exchange_by_id(sa, id);
	struct v1_hash h = hash_of(x, id);
	if (m->from == (how & 2 ? &d.b : &d.a))
		n = forge(sa, &h, c->iv, msg);
	if (n) {
		msg[18] = m->p[18];
		msg[19] |= m->p[19];
		store_be32(msg + 20, id);
		memcpy(m->p, msg, n); /* has room for any datagram */
		m->len = n;
		if (x)
			memcpy(x->iv, c->iv, sizeof(x->iv));
	} else {
		memcpy(c->iv, m->p + m->len - cbc_block(sa->suite.sk.encr->id),
		       cbc_block(sa->suite.sk.encr->id));
	}
	return true;
}

/* One says what there is, each as the first message of an exchange. */
static void say_all(struct duo_node *from, struct duo_node *to, uint8_t exchange)
{
	struct endpoint src = { from->addr, 500 }, dst = { to->addr, 500 };
	static uint8_t msg[ROOM];
	uint8_t iv[CBC_BLOCK_MAX];
	size_t n;

	for (uint32_t id = 1; !list_empty(&from->ike->sas); id++) {
		struct ike_sa *sa = list_entry(from->ike->sas.next, struct ike_sa, all);
		struct v1_hash h = { .kind = V1_HASH_1, .id = id };
		if (!sa->keys.block || v1_iv_exchange(&sa->suite, first_chain(sa), id, iv))
			break;
		n = forge(sa, &h, iv, msg);
		if (n == 0)
			break;
		msg[18] = exchange;
		store_be32(msg + 20, id);
		uint8_t *exact = malloc(n);
		must(exact != NULL);
		memcpy(exact, msg, n);
		ike_receive(to->ike, &dst, &src, false, exact, n);
		free(exact);
		duo_settle(&d);
	}
}

static void configure(void)
{
	unsigned road = how >> 4 & 3;

	for (struct duo_node *n = &d.a;; n = &d.b) {
		n->conn->version = 1;
		n->conn->commit_bit = how & 0x80;
		n->conn->dpd_delay_ns = 20 * NS_PER_S;
		duo_proposals(&n->conn->proposals, IKE_PROTO_IKE, "aes128-sha256-ecp256");
		duo_proposals(&n->conn->child[0].proposals, IKE_PROTO_ESP,
			      how & 0x40 ? "aes128gcm16-ecp256" : "aes128gcm16");
		if (n == &d.b)
			break;
	}
	if (road == 1 || road == 2)
		duo_road_xauth(&d);
	if (road >= 2)
		duo_road_config(&d, road == 3);
}

/* What is under way has the texts. */
static void run_replaced(void)
{
	unsigned what = how >> 2 & 3;
	uint64_t order;
	char why[256];

	if (what == 0)
		d.hook = replace;
	(void)!ike_initiate(d.a.ike, "b", &order, why, sizeof(why));
	duo_settle(&d);
	d.hook = replace;
	if (what == 1)
		(void)!ike_rekey(d.a.ike, "b/net", false, &order, why, sizeof(why));
	else if (what == 2)
		(void)!ike_rekey(d.a.ike, "b", false, &order, why, sizeof(why));
	else if (what == 3)
		(void)!ike_terminate(d.a.ike, "b/net", &order, why, sizeof(why));
	duo_settle(&d);
	if (what == 3 || in.left >= 3) /* and dead peer detection */
		duo_run(&d, 45 * NS_PER_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t exchanges[] = { IKE1_X_QUICK, IKE1_X_INFO, IKE1_X_TRANSACTION,
					     IKE1_X_NEW_GROUP };

	if (size < 4 || size > 8 * TEXT_MAX)
		return 0;
	how = data[0];
	in = rd_of(data + 1, size - 1);
	n_chains = 0;
	duo_init(&d, 1);
	configure();
	duo_start(&d);
	if (how & 1) {
		run_replaced();
	} else {
		duo_up(&d, &d.a, "b");
		duo_settle(&d);
		say_all(how & 2 ? &d.b : &d.a, how & 2 ? &d.a : &d.b, exchanges[how >> 2 & 3]);
	}
	d.hook = NULL;
	duo_run(&d, 60 * NS_PER_S);
	duo_fini(&d);
	return 0;
}
