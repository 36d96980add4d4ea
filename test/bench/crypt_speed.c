/*
 * How fast the packet ciphers are, per suite and backend, at 1420 and 64 bytes: crypt_seal() in
 * batches of 64, out of place and in place, and crypt_open() out of place. For looking at, not part
 * of `make check`: crypt_speed [SUITE...] For AES-GCM it also times the library's bare call, so
 * that the cost of the layer shows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "config.h"
#include "crypto/crypt.h"

#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

enum { BATCH = 64, ROOM = 2048 };

static uint8_t plain[BATCH][ROOM] __attribute__((aligned(64)));
static uint8_t wire[BATCH][ROOM] __attribute__((aligned(64)));
static uint8_t result[BATCH][ROOM] __attribute__((aligned(64)));
static const uint64_t slice_ns = 60 * NS_PER_MS;

/* ns per packet, best of three slices. */
static double measure(struct crypt_ctx *c, struct crypt_key *k, const struct esp_suite *s,
		      bool open, bool in_place, uint32_t len)
{
	struct crypt_op ops[BATCH];
	unsigned off = 8u + s->iv_len;
	uint64_t iv = 1;
	double best = 0;

	for (unsigned round = 0; round < 3; round++) {
		uint64_t n = 0, start = clock_now_ns(), now;
		do {
			for (unsigned i = 0; i < BATCH; i++)
				ops[i] = (struct crypt_op){
					.key = k,
					.esp = wire[i],
					.iv = iv++,
					.len = len,
					.src = open || in_place ? wire[i] + off : plain[i],
					.dst = !open || in_place ? wire[i] + off : result[i],
				};
			if (open)
				crypt_open(c, ops, BATCH);
			else
				crypt_seal(c, ops, BATCH);
			n += BATCH;
			now = clock_now_ns();
		} while (now - start < slice_ns);
		double each = (double)(now - start) / (double)n;
		if (best == 0 || each < best)
			best = each;
	}
	return best;
}

static void show(const char *name, enum crypt_backend b, const struct esp_suite *s)
{
	static const uint32_t lens[] = { 1420, 64 };
	static const uint8_t material[64] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
					      13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 };
	struct crypt_ctx *c = crypt_ctx_new(0);
	struct crypt_key *k[2] = { NULL, NULL };

	for (unsigned d = 0; d < 2; d++)
		if (crypt_key_new(s, d ? CRYPT_OPEN : CRYPT_SEAL, false,
				  span_of(material, s->key_len + s->encr->salt_len),
				  span_of(material, s->integ ? s->integ->key_len : 0), 1, &k[d]))
			exit(1);
	printf("%-24s %-9s %6zu B", name, crypt_backend_name(b), crypt_key_bytes(k[0]));
	for (unsigned l = 0; l < ARRAY_LEN(lens); l++) {
		uint32_t len = (lens[l] + s->align - 1) / s->align * s->align;
		for (unsigned way = 0; way < 3; way++) {
			double ns = measure(c, k[way / 2], s, way / 2, way % 2, len);
			printf(" |%5.0f ns %5.1f", ns, len * 8.0 / ns);
		}
	}
	printf("\n");
	fflush(stdout);
	crypt_key_free(&k[0]);
	crypt_key_free(&k[1]);
	crypt_ctx_free(&c);
}

#ifdef HAVE_IPSEC_MB
static void show_bare(void)
{
	static const uint32_t lens[] = { 1420, 64 };
	static struct gcm_key_data key;
	struct gcm_context_data ctx;
	uint8_t iv[16] = { 0 };
	IMB_MGR *m = alloc_mb_mgr(0);

	init_mb_mgr_auto(m, NULL);
	IMB_AES128_GCM_PRE(m, plain[0], &key);
	for (unsigned l = 0; l < ARRAY_LEN(lens); l++) {
		double best = 0;
		for (unsigned round = 0; round < 3; round++) {
			uint64_t n = 0, start = clock_now_ns(), now;
			do {
				for (unsigned i = 0; i < BATCH; i++, n++) {
					memcpy(iv + 4, &n, 8);
					IMB_AES128_GCM_ENC(m, &key, &ctx, wire[i] + 16, plain[i],
							   lens[l], iv, wire[i], 8,
							   wire[i] + 16 + lens[l], 16);
				}
				now = clock_now_ns();
			} while (now - start < slice_ns);
			double each = (double)(now - start) / (double)n;
			if (best == 0 || each < best)
				best = each;
		}
		printf("bare ipsec-mb call, aes128gcm16, %u B: %.0f ns %.1f Gbit/s\n", lens[l],
		       best, lens[l] * 8.0 / best);
	}
	free_mb_mgr(m);
}
#endif

int main(int argc, char **argv)
{
	static const char *const all[] = { "aes128gcm16",   "aes256gcm16",    "chacha20poly1305",
					   "aes128ccm16",   "aes128gmac",     "aes128ctr-sha256",
					   "aes128-sha1",   "aes128-sha256",  "aes256-sha256",
					   "aes256-sha512", "aes128-aesxcbc", "aes128-aescmac",
					   "3des-sha1",     "null-sha256" };
	const char *const *names = argc > 1 ? (const char *const *)argv + 1 : all;
	unsigned count = argc > 1 ? (unsigned)argc - 1 : ARRAY_LEN(all);
	uint64_t t = clock_now_ns();

	if (secret_init() || crypt_init())
		return 1;
	printf("crypt_init: %.2f ms\n", (double)(clock_now_ns() - t) / 1e6);
	for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++)
		printf("%s: %s\n", crypt_backend_name(b), crypt_backend_describe(b));
#ifdef HAVE_IPSEC_MB
	show_bare();
#endif
	printf("%-24s %-9s %8s | 1420 B: seal   | in place      | open          | 64 B: the same "
	       "(ns, Gbit/s)\n",
	       "suite", "backend", "key");
	for (unsigned i = 0; i < count; i++) {
		struct esp_suite s;
		char why[160];
		if (esp_suite_parse(names[i], NULL, &s, why, sizeof(why))) {
			fprintf(stderr, "%s: %s\n", names[i], why);
			return 2;
		}
		for (unsigned b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
			crypt_force_backend(b);
			if (crypt_backend_of(&s) == b)
				show(names[i], b, &s);
		}
		crypt_force_backend(CRYPT_AUTO);
		printf("%-24s chosen: %s\n", names[i], crypt_backend_name(crypt_backend_of(&s)));
	}
	return 0;
}
