/*
 * The transforms of ESP, once: a row per IANA number, from which the rest of the program takes
 * every length, and the keywords an administrator writes. A keyword or a pair of numbers enters, a
 * checked struct esp_suite leaves.
 */
#include "crypto/transform.h"
#include "base/why.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct encr_info encr_rows[] = {
	/* id                        name                        min max step salt iv blk icv aead   weak   rfc */
	{ ENCR_DES,                  "ENCR_DES",                   8,  8, 0,  0,  8,  8,  0, false, true,  "RFC 2405" },
	{ ENCR_3DES,                 "ENCR_3DES",                 24, 24, 0,  0,  8,  8,  0, false, true,  "RFC 2451" },
	{ ENCR_NULL,                 "ENCR_NULL",                  0,  0, 0,  0,  0,  1,  0, false, false, "RFC 2410" },
	{ ENCR_AES_CBC,              "ENCR_AES_CBC",              16, 32, 8,  0, 16, 16,  0, false, false, "RFC 3602" },
	{ ENCR_AES_CTR,              "ENCR_AES_CTR",              16, 32, 8,  4,  8,  1,  0, false, false, "RFC 3686" },
	{ ENCR_AES_CCM_8,            "ENCR_AES_CCM_8",            16, 32, 8,  3,  8,  1,  8, true,  false, "RFC 4309" },
	{ ENCR_AES_CCM_12,           "ENCR_AES_CCM_12",           16, 32, 8,  3,  8,  1, 12, true,  false, "RFC 4309" },
	{ ENCR_AES_CCM_16,           "ENCR_AES_CCM_16",           16, 32, 8,  3,  8,  1, 16, true,  false, "RFC 4309" },
	{ ENCR_AES_GCM_8,            "ENCR_AES_GCM_8",            16, 32, 8,  4,  8,  1,  8, true,  false, "RFC 4106" },
	{ ENCR_AES_GCM_12,           "ENCR_AES_GCM_12",           16, 32, 8,  4,  8,  1, 12, true,  false, "RFC 4106" },
	{ ENCR_AES_GCM_16,           "ENCR_AES_GCM_16",           16, 32, 8,  4,  8,  1, 16, true,  false, "RFC 4106" },
	{ ENCR_NULL_AUTH_AES_GMAC,   "ENCR_NULL_AUTH_AES_GMAC",   16, 32, 8,  4,  8,  1, 16, true,  false, "RFC 4543" },
	{ ENCR_CHACHA20_POLY1305,    "ENCR_CHACHA20_POLY1305",    32, 32, 0,  4,  8,  1, 16, true,  false, "RFC 7634" },
};

static const struct integ_info integ_rows[] = {
	/* id                        name                          key icv  weak   rfc */
	{ INTEG_HMAC_MD5_96,         "AUTH_HMAC_MD5_96",           16, 12, true,  "RFC 2403" },
	{ INTEG_HMAC_SHA1_96,        "AUTH_HMAC_SHA1_96",          20, 12, false, "RFC 2404" },
	{ INTEG_AES_XCBC_96,         "AUTH_AES_XCBC_96",           16, 12, false, "RFC 3566" },
	{ INTEG_AES_CMAC_96,         "AUTH_AES_CMAC_96",           16, 12, false, "RFC 4494" },
	{ INTEG_HMAC_SHA2_256_128,   "AUTH_HMAC_SHA2_256_128",     32, 16, false, "RFC 4868" },
	{ INTEG_HMAC_SHA2_384_192,   "AUTH_HMAC_SHA2_384_192",     48, 24, false, "RFC 4868" },
	{ INTEG_HMAC_SHA2_512_256,   "AUTH_HMAC_SHA2_512_256",     64, 32, false, "RFC 4868" },
};

/* Keywords. Encryption: `head`, key bits when sized, `tail`. The first row of an id is how it is written out. */
static const struct {
	const char *head;
	bool sized;
	const char *tail;
	enum encr_id id;
} encr_words[] = {
	{ "aes", true,  "gcm16",  ENCR_AES_GCM_16 },
	{ "aes", true,  "gcm12",  ENCR_AES_GCM_12 },
	{ "aes", true,  "gcm8",   ENCR_AES_GCM_8 },
	{ "aes", true,  "gcm128", ENCR_AES_GCM_16 },
	{ "aes", true,  "gcm96",  ENCR_AES_GCM_12 },
	{ "aes", true,  "gcm64",  ENCR_AES_GCM_8 },
	{ "aes", true,  "gcm",    ENCR_AES_GCM_16 },
	{ "aes", true,  "ccm16",  ENCR_AES_CCM_16 },
	{ "aes", true,  "ccm12",  ENCR_AES_CCM_12 },
	{ "aes", true,  "ccm8",   ENCR_AES_CCM_8 },
	{ "aes", true,  "ccm128", ENCR_AES_CCM_16 },
	{ "aes", true,  "ccm96",  ENCR_AES_CCM_12 },
	{ "aes", true,  "ccm64",  ENCR_AES_CCM_8 },
	{ "aes", true,  "ccm",    ENCR_AES_CCM_16 },
	{ "aes", true,  "gmac",   ENCR_NULL_AUTH_AES_GMAC },
	{ "aes", true,  "ctr",    ENCR_AES_CTR },
	{ "aes", true,  "",       ENCR_AES_CBC },
	{ "chacha20poly1305", false, "", ENCR_CHACHA20_POLY1305 },
	{ "3des", false, "", ENCR_3DES },
	{ "des",  false, "", ENCR_DES },
	{ "null", false, "", ENCR_NULL },
};

static const struct {
	const char *word;
	enum integ_id id;
} integ_words[] = {
	{ "sha1",     INTEG_HMAC_SHA1_96 },
	{ "sha",      INTEG_HMAC_SHA1_96 },
	{ "md5",      INTEG_HMAC_MD5_96 },
	{ "sha256",   INTEG_HMAC_SHA2_256_128 },
	{ "sha384",   INTEG_HMAC_SHA2_384_192 },
	{ "sha512",   INTEG_HMAC_SHA2_512_256 },
	{ "sha2_256", INTEG_HMAC_SHA2_256_128 },
	{ "sha2_384", INTEG_HMAC_SHA2_384_192 },
	{ "sha2_512", INTEG_HMAC_SHA2_512_256 },
	{ "aesxcbc",  INTEG_AES_XCBC_96 },
	{ "aescmac",  INTEG_AES_CMAC_96 },
};
/* clang-format on */

#define ENCR_WORDS_TEXT                                                                            \
	"aes128gcm16, aes128ccm16, aes128gmac, aes128ctr, aes128 (CBC; also 192 and 256 bits), "   \
	"chacha20poly1305, 3des, des or null"
#define INTEG_WORDS_TEXT "sha256, sha384, sha512, sha1, md5, aesxcbc or aescmac"

#define refuse(...) why_say(-EINVAL, __VA_ARGS__)

const struct encr_info *encr_info(enum encr_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(encr_rows); i++)
		if (encr_rows[i].id == id)
			return &encr_rows[i];
	return NULL;
}

const struct integ_info *integ_info(enum integ_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(integ_rows); i++)
		if (integ_rows[i].id == id)
			return &integ_rows[i];
	return NULL;
}

void encr_each(void (*cb)(const struct encr_info *e, void *arg), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(encr_rows); i++)
		cb(&encr_rows[i], arg);
}

void integ_each(void (*cb)(const struct integ_info *i, void *arg), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(integ_rows); i++)
		cb(&integ_rows[i], arg);
}

static bool key_len_allowed(const struct encr_info *e, unsigned len)
{
	if (len < e->min_key || len > e->max_key)
		return false;
	return e->key_step == 0 || (len - e->min_key) % e->key_step == 0;
}

int esp_suite_make(enum encr_id e, unsigned key_len, enum integ_id i, struct esp_suite *out,
		   char *why, unsigned whylen)
{
	const struct encr_info *en = encr_info(e);
	const struct integ_info *in = NULL;

	if (!en)
		return refuse(why, whylen, "encryption transform %d is not known here", (int)e);
	if (key_len == 0)
		key_len = en->min_key;
	if (!key_len_allowed(en, key_len)) {
		if (en->key_step == 0)
			return refuse(why, whylen, "%s with a key of %u bits; expected %u bits",
				      en->name, key_len * 8, en->min_key * 8);
		return refuse(why, whylen,
			      "%s with a key of %u bits; expected 128, 192 or 256 bits", en->name,
			      key_len * 8);
	}
	if (i != INTEG_NONE) {
		in = integ_info(i);
		if (!in)
			return refuse(why, whylen, "integrity transform %d is not known here",
				      (int)i);
		if (en->aead)
			return refuse(why, whylen,
				      "%s protects integrity itself; expected no integrity "
				      "transform beside it, "
				      "found %s",
				      en->name, in->name);
	} else if (!en->aead) {
		return refuse(why, whylen,
			      "%s without integrity protection is refused; expected one of %s",
			      en->name, INTEG_WORDS_TEXT);
	}
	*out = (struct esp_suite){
		.encr = en,
		.integ = in,
		.key_len = (uint8_t)key_len,
		.iv_len = en->iv_len,
		.icv_len = in ? in->icv_len : en->icv_len,
		.align = en->block > 4 ? en->block : 4,
		.weak = en->weak || (in && in->weak),
	};
	return 0;
}

static const struct {
	enum integ_id id;
	uint8_t key_len;
} gmac_rows[] = { { INTEG_AES_128_GMAC, 16 },
		  { INTEG_AES_192_GMAC, 24 },
		  { INTEG_AES_256_GMAC, 32 } };

unsigned ah_gmac_key_len(enum integ_id i)
{
	for (size_t r = 0; r < ARRAY_LEN(gmac_rows); r++)
		if (gmac_rows[r].id == i)
			return gmac_rows[r].key_len;
	return 0;
}

enum integ_id ah_gmac_of(unsigned key_len)
{
	for (size_t r = 0; r < ARRAY_LEN(gmac_rows); r++)
		if (gmac_rows[r].key_len == key_len)
			return gmac_rows[r].id;
	return INTEG_NONE;
}

int ah_suite_make(enum integ_id i, struct esp_suite *out, char *why, unsigned whylen)
{
	unsigned gmac = ah_gmac_key_len(i);

	return gmac ? esp_suite_make(ENCR_NULL_AUTH_AES_GMAC, gmac, INTEG_NONE, out, why, whylen)
		    : esp_suite_make(ENCR_NULL, 0, i, out, why, whylen);
}

/* The whole of text[0..len) is `word`, letters of either case. */
static bool word_is(const char *text, size_t len, const char *word)
{
	if (strlen(word) != len)
		return false;
	for (size_t k = 0; k < len; k++)
		if (tolower((unsigned char)text[k]) != word[k])
			return false;
	return true;
}

/* Finds an encryption keyword; *key_len is 0 where the keyword carries no size. */
static bool encr_word_find(const char *t, size_t len, enum encr_id *id, unsigned *key_len)
{
	for (size_t r = 0; r < ARRAY_LEN(encr_words); r++) {
		size_t head = strlen(encr_words[r].head);
		if (len < head || !word_is(t, head, encr_words[r].head))
			continue;
		const char *rest = t + head;
		size_t left = len - head;
		unsigned bytes = 0;
		if (encr_words[r].sized && left >= 3 && isdigit((unsigned char)rest[0])) {
			if (word_is(rest, 3, "128"))
				bytes = 16;
			else if (word_is(rest, 3, "192"))
				bytes = 24;
			else if (word_is(rest, 3, "256"))
				bytes = 32;
			else
				continue;
			rest += 3;
			left -= 3;
		}
		if (!word_is(rest, left, encr_words[r].tail))
			continue;
		*id = encr_words[r].id;
		*key_len = bytes;
		return true;
	}
	return false;
}

static bool integ_word_find(const char *t, size_t len, enum integ_id *id)
{
	for (size_t r = 0; r < ARRAY_LEN(integ_words); r++)
		if (word_is(t, len, integ_words[r].word)) {
			*id = integ_words[r].id;
			return true;
		}
	return false;
}

int esp_suite_parse(const char *encr_keyword, const char *integ_keyword, struct esp_suite *out,
		    char *why, unsigned whylen)
{
	enum encr_id e = ENCR_NONE;
	enum integ_id i = INTEG_NONE;
	unsigned key_len = 0;

	if (!encr_keyword || !*encr_keyword)
		return refuse(why, whylen, "no cipher named; expected %s", ENCR_WORDS_TEXT);
	const char *dash = strchr(encr_keyword, '-');
	size_t len = dash ? (size_t)(dash - encr_keyword) : strlen(encr_keyword);
	if (!encr_word_find(encr_keyword, len, &e, &key_len))
		return refuse(why, whylen, "unknown cipher \"%.*s\"; expected %s", (int)len,
			      encr_keyword, ENCR_WORDS_TEXT);
	if (dash && integ_keyword && *integ_keyword)
		return refuse(why, whylen,
			      "integrity named twice: \"%s\" and \"%s\"; expected it once",
			      dash + 1, integ_keyword);
	const char *word = dash ? dash + 1 : integ_keyword;
	if (word && (*word || dash) && !integ_word_find(word, strlen(word), &i))
		return refuse(why, whylen, "unknown integrity algorithm \"%s\"; expected %s", word,
			      INTEG_WORDS_TEXT);
	return esp_suite_make(e, key_len, i, out, why, whylen);
}

const char *esp_suite_name(const struct esp_suite *s, char out[48])
{
	const char *head = "", *tail = "", *integ = "";
	bool sized = false;

	for (size_t r = ARRAY_LEN(encr_words); r-- > 0;)
		if (encr_words[r].id == s->encr->id) {
			head = encr_words[r].head;
			tail = encr_words[r].tail;
			sized = encr_words[r].sized;
		}
	for (size_t r = ARRAY_LEN(integ_words); s->integ && r-- > 0;)
		if (integ_words[r].id == s->integ->id)
			integ = integ_words[r].word;
	char bits[8] = "";
	if (sized)
		snprintf(bits, sizeof(bits), "%u", s->key_len * 8u);
	snprintf(out, 48, "%s%s%s%s%s", head, bits, tail, *integ ? "-" : "", integ);
	return out;
}
