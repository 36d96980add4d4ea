/*
 * AES-GCM (RFC 4106) and GMAC (RFC 4543) through ipsec-mb's direct calls. Per packet: IV into
 * packet and nonce, one call that encrypts and writes the ICV; or one call that decrypts and
 * computes the ICV, then the comparison. What depends on the key only is taken out of the loop: at
 * 64 bytes a packet costs little more than the call.
 */
#include <stddef.h>

#include "base/secret.h"
#include "crypto/ipsec_mb.h"

/*
 * What a call reads beside key and text, by vector loads. Such a load right behind narrow stores
 * that it covers would have to wait for them: so they are written by stores as wide, and for a
 * group of packets before the first of their calls. With many SAs a group is often one packet.
 */
#define GROUP 16u

typedef uint64_t wide __attribute__((vector_size(16)));

struct gcm_input {
	alignas(16) uint8_t nonce[16];
	alignas(16) uint8_t buf[16];
	const uint8_t *aad;
};

static inline uint64_t load_native(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	memcpy(&v, p, n);
	return v;
}

/* Salt and explicit IV (RFC 4106 4). iv: as it lies in memory. */
static inline void put_nonce(struct gcm_input *in, const struct crypt_key *k, uint64_t iv)
{
	wide v = { load_native(k->salt, 4) | iv << 32, iv >> 32 };
	memcpy(in->nonce, &v, sizeof(v));
}

/* As op_aad(). Returns the length. */
static inline unsigned put_aad(struct gcm_input *in, const struct crypt_key *k,
			       const struct crypt_op *op)
{
	if (!k->esn) {
		in->aad = op->esp;
		return 8;
	}
	wide v = { load_native(op->esp, 4) | (uint64_t)__builtin_bswap32(op->seq_hi) << 32,
		   load_native(op->esp + 4, 4) };
	memcpy(in->buf, &v, sizeof(v));
	in->aad = in->buf;
	return 12;
}

/*
 * With many SAs a key's tables come from memory. They are asked for LEAD packets before they are
 * needed, between the calls for the packets before them: so the memory works while the cipher does,
 * and few lines wait in the cache at a time. Of the round keys all are needed, of the hash key's
 * powers, highest first, the last ones: as many as the text has blocks, and two.
 */
#define LEAD 12u

unsigned mb_gcm_powers = 48;

static prefetching void want_tables(const struct crypt_op *op, unsigned key_len)
{
	const char *table = op->key->expanded;
	size_t end = offsetof(struct gcm_key_data, ghash_keys) + mb_gcm_powers * 16u, from = 0;
	size_t need = (op->len / 16u + 3) * 16u;

	for (; from < (key_len / 4u + 7) * 16u; from += CACHE_LINE)
		__builtin_prefetch(table + from);
	if (need < end && end - need > from)
		from = (end - need) & ~(size_t)(CACHE_LINE - 1);
	for (; from < end; from += CACHE_LINE)
		__builtin_prefetch(table + from);
}

/* Asks for what the packet at place i of ops[0..n) needs, unless it is what the one before it
 * needs. */
static prefetching void look_ahead(const struct crypt_op *ops, unsigned i, unsigned n,
				   unsigned key_len)
{
	if (i < n && ops[i].key != ops[i - 1].key)
		want_tables(&ops[i], key_len);
}

static prefetching void gcm_seal(struct crypt_ctx *c, struct crypt_op *ops, unsigned n,
				 unsigned key_len, aes_gcm_enc_dec_t call)
{
	struct gcm_context_data *scratch = &c->mb->gcm;
	struct gcm_input in[GROUP];
	unsigned aad_len[GROUP];

	for (unsigned i = 1; i < LEAD; i++)
		look_ahead(ops, i, n, key_len);
	for (unsigned first = 0; first < n; first += GROUP) {
		unsigned group = n - first < GROUP ? n - first : GROUP;
		struct crypt_op *op = ops + first;

		for (unsigned i = 0; i < group; i++) {
			const struct crypt_key *k = op[i].key;
			store_be64(op[i].esp + ESP_HEADER_LEN, op[i].iv);
			put_nonce(&in[i], k, __builtin_bswap64(op[i].iv));
			aad_len[i] = put_aad(&in[i], k, &op[i]);
			op[i].ok = op_fits(k, &op[i]);
		}
		for (unsigned i = 0; i < group; i++) {
			look_ahead(ops, first + i + LEAD, n, key_len);
			if (likely(op[i].ok))
				call(op[i].key->expanded, scratch, op[i].dst, op[i].src, op[i].len,
				     in[i].nonce, in[i].aad, aad_len[i], op[i].dst + op[i].len,
				     op[i].key->icv_len);
		}
	}
}

static prefetching void gcm_open(struct crypt_ctx *c, struct crypt_op *ops, unsigned n,
				 unsigned key_len, aes_gcm_enc_dec_t call)
{
	struct gcm_context_data *scratch = &c->mb->gcm;
	struct gcm_input in[GROUP];
	unsigned aad_len[GROUP];
	uint8_t icv[GROUP][16];

	for (unsigned i = 1; i < LEAD; i++)
		look_ahead(ops, i, n, key_len);
	for (unsigned first = 0; first < n; first += GROUP) {
		unsigned group = n - first < GROUP ? n - first : GROUP;
		struct crypt_op *op = ops + first;

		for (unsigned i = 0; i < group; i++) {
			const struct crypt_key *k = op[i].key;
			put_nonce(&in[i], k, load_native(op[i].esp + ESP_HEADER_LEN, 8));
			aad_len[i] = put_aad(&in[i], k, &op[i]);
			op[i].ok = op_fits(k, &op[i]);
		}
		for (unsigned i = 0; i < group; i++) {
			look_ahead(ops, first + i + LEAD, n, key_len);
			if (likely(op[i].ok))
				call(op[i].key->expanded, scratch, op[i].dst, op[i].src, op[i].len,
				     in[i].nonce, in[i].aad, aad_len[i], icv[i],
				     op[i].key->icv_len);
		}
		for (unsigned i = 0; i < group; i++)
			if (likely(op[i].ok))
				op[i].ok =
				    icv_equal(icv[i], op[i].src + op[i].len, op[i].key->icv_len);
	}
}

static void gcm_seal_128(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_seal(c, ops, n, 16, c->mb->mgr->gcm128_enc);
}

static void gcm_seal_192(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_seal(c, ops, n, 24, c->mb->mgr->gcm192_enc);
}

static void gcm_seal_256(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_seal(c, ops, n, 32, c->mb->mgr->gcm256_enc);
}

static void gcm_open_128(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_open(c, ops, n, 16, c->mb->mgr->gcm128_dec);
}

static void gcm_open_192(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_open(c, ops, n, 24, c->mb->mgr->gcm192_dec);
}

static void gcm_open_256(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	gcm_open(c, ops, n, 32, c->mb->mgr->gcm256_dec);
}

struct gmac_calls {
	aes_gmac_init_t init;
	aes_gmac_update_t update;
	aes_gmac_finalize_t finalize;
};

static struct gmac_calls gmac_calls_of(const IMB_MGR *m, unsigned key_len)
{
	if (key_len == 16)
		return (struct gmac_calls){ m->gmac128_init, m->gmac128_update,
					    m->gmac128_finalize };
	if (key_len == 24)
		return (struct gmac_calls){ m->gmac192_init, m->gmac192_update,
					    m->gmac192_finalize };
	return (struct gmac_calls){ m->gmac256_init, m->gmac256_update, m->gmac256_finalize };
}

/* Both directions: the text passes unchanged, header, IV and text are authenticated in that order.
 */
static void gmac_run(struct crypt_ctx *c, struct crypt_op *ops, unsigned n)
{
	struct gcm_context_data *scratch = &c->mb->gcm;
	uint8_t nonce[16], buf[12], icv[16];

	for (unsigned i = 0; i < n; i++) {
		struct crypt_op *op = &ops[i];
		const struct crypt_key *k = op->key;
		const struct gcm_key_data *key = k->expanded;
		const struct gmac_calls call = gmac_calls_of(c->mb->mgr, k->suite.key_len);
		const bool seal = k->dir == CRYPT_SEAL;
		uint8_t *iv = op->esp + ESP_HEADER_LEN;
		const uint8_t *aad;
		op->ok = op_fits(k, op);
		if (!op->ok)
			continue;
		if (seal) {
			store_be64(iv, op->iv);
			if (op->src != op->dst)
				memcpy(op->dst, op->src, op->len);
		}
		memcpy(nonce, k->salt, 4);
		memcpy(nonce + 4, iv, 8);
		unsigned aad_len = op_aad(k, op, buf, &aad);
		call.init(key, scratch, nonce, 12);
		call.update(key, scratch, aad, aad_len);
		call.update(key, scratch, iv, 8 + op->len);
		call.finalize(key, scratch, seal ? op->dst + op->len : icv, k->suite.icv_len);
		if (seal)
			continue;
		op->ok = icv_equal(icv, op->src + op->len, k->suite.icv_len);
		if (op->ok && op->src != op->dst)
			memcpy(op->dst, op->src, op->len);
	}
}

void mb_gcm_raw(struct crypt_ctx *c, const struct crypt_key *k, struct crypt_raw *r)
{
	const struct gcm_key_data *key = k->expanded;
	const IMB_MGR *m = c->mb->mgr;
	const bool seal = k->dir == CRYPT_SEAL;
	const unsigned kl = k->suite.key_len;
	uint8_t icv[16];
	aes_gcm_enc_dec_t call;

	if (seal)
		call = kl == 16 ? m->gcm128_enc : kl == 24 ? m->gcm192_enc : m->gcm256_enc;
	else
		call = kl == 16 ? m->gcm128_dec : kl == 24 ? m->gcm192_dec : m->gcm256_dec;
	call(key, &c->mb->gcm, r->dst, r->src, r->len, r->nonce, r->aad.p, r->aad.len, icv,
	     k->suite.icv_len);
	r->ok = seal || icv_equal(icv, r->icv, k->suite.icv_len);
	if (seal)
		memcpy(r->icv, icv, k->suite.icv_len);
}

static crypt_run_fn *gcm_run_of(const struct crypt_key *k)
{
	bool seal = k->dir == CRYPT_SEAL;

	if (k->suite.encr->id == ENCR_NULL_AUTH_AES_GMAC)
		return gmac_run;
	if (k->suite.key_len == 16)
		return seal ? gcm_seal_128 : gcm_open_128;
	if (k->suite.key_len == 24)
		return seal ? gcm_seal_192 : gcm_open_192;
	return seal ? gcm_seal_256 : gcm_open_256;
}

void mb_gcm_key_init(struct crypt_key *k, struct span encr)
{
	struct gcm_key_data *key = k->expanded;

	if (encr.len == 16)
		IMB_AES128_GCM_PRE(mb_key_mgr, encr.p, key);
	else if (encr.len == 24)
		IMB_AES192_GCM_PRE(mb_key_mgr, encr.p, key);
	else
		IMB_AES256_GCM_PRE(mb_key_mgr, encr.p, key);
	k->run = gcm_run_of(k);
}
