/*
 * One line an SA, as Wireshark's own preferences files have it. ESP: protocol, source, destination,
 * SPI, cipher, key (with the salt), integrity, key, width of the sequence number; an address not
 * known in advance is "*". IKEv2: both SPIs, SK_ei, SK_er (with the salts), cipher, SK_ai, SK_ar,
 * integrity.
 */
#include "control/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/secret.h"
#include "control/rundir.h"
#include "ike/keymat.h"

#define KEY_HEX_MAX (2 * 160 + 1)

struct name_row {
	int id;
	const char *name;
};

static const struct name_row encr_names[] = {
	{ ENCR_NULL, "NULL" },
	{ ENCR_DES, "DES-CBC [RFC2405]" },
	{ ENCR_3DES, "TripleDES-CBC [RFC2451]" },
	{ ENCR_AES_CBC, "AES-CBC [RFC3602]" },
	{ ENCR_AES_CTR, "AES-CTR [RFC3686]" },
	{ ENCR_AES_GCM_8, "AES-GCM with 8 octet ICV [RFC4106]" },
	{ ENCR_AES_GCM_12, "AES-GCM with 12 octet ICV [RFC4106]" },
	{ ENCR_AES_GCM_16, "AES-GCM with 16 octet ICV [RFC4106]" },
	{ ENCR_CHACHA20_POLY1305, "ChaCha20 with Poly1305 [RFC7634]" },
};

static const struct name_row integ_names[] = {
	{ INTEG_NONE, "NULL" },
	{ INTEG_HMAC_SHA1_96, "HMAC-SHA-1-96 [RFC2404]" },
	{ INTEG_HMAC_MD5_96, "HMAC-MD5-96 [RFC2403]" },
	{ INTEG_HMAC_SHA2_256_128, "HMAC-SHA-256-128 [RFC4868]" },
	{ INTEG_HMAC_SHA2_384_192, "HMAC-SHA-384-192 [RFC4868]" },
	{ INTEG_HMAC_SHA2_512_256, "HMAC-SHA-512-256 [RFC4868]" },
	/* known by their length only: Wireshark cuts the ICV off and does not check it */
	{ INTEG_AES_XCBC_96, "ANY 96 bit authentication [no checking]" },
	{ INTEG_AES_CMAC_96, "ANY 96 bit authentication [no checking]" },
};

static const char *find(const struct name_row *rows, unsigned n, int id)
{
	for (unsigned i = 0; i < n; i++)
		if (rows[i].id == id)
			return rows[i].name;
	return NULL;
}

static const char *addr_text(const struct ip_addr *a, char out[IP_ADDR_STRLEN])
{
	return a->ver ? ip_addr_format(a, out) : "*";
}

/* "0x..." or nothing. */
static void put_key(FILE *f, const struct secret *key)
{
	char hex[KEY_HEX_MAX];

	if (key->len == 0 || 2 * key->len + 1 > sizeof(hex)) {
		fputs("\"\"", f);
		return;
	}
	hex_encode(secret_view(key), hex);
	fprintf(f, "\"0x%s\"", hex);
	wipe(hex, sizeof(hex));
}

/* False when Wireshark has no name for the cipher. */
static bool put_sa(FILE *f, const struct sa_conf *c)
{
	const char *encr = find(encr_names, ARRAY_LEN(encr_names), c->suite.encr->id);
	const char *integ = find(integ_names, ARRAY_LEN(integ_names),
				 c->suite.integ ? (int)c->suite.integ->id : INTEG_NONE);
	int ver = c->dst.ver ? c->dst.ver : c->src.ver;
	char src[IP_ADDR_STRLEN], dst[IP_ADDR_STRLEN];

	if (!encr || !integ || c->proto == SA_AH) /* AH is read without a key */
		return false;
	for (int v = 4; v <= 6; v += 2) { /* a peer anywhere may come by either version */
		if (ver && ver != v)
			continue;
		fprintf(f, "\"IPv%d\",\"%s\",\"%s\",\"0x%08x\",\"%s\",", v, addr_text(&c->src, src),
			addr_text(&c->dst, dst), c->spi, encr);
		put_key(f, &c->encr_key);
		fprintf(f, ",\"%s\",", integ);
		put_key(f, &c->integ_key);
		fprintf(f, ",\"%s\"\n", c->esn ? "64-bit" : "32-bit");
	}
	return true;
}

bool keys_esp_line(const struct sa_conf *c, char *out, size_t max)
{
	FILE *f = fmemopen(out, max, "w");

	if (!f)
		return false;
	setvbuf(f, NULL, _IONBF, 0); /* no further copy of keys */
	bool ok = put_sa(f, c) && !ferror(f);
	ok &= fclose(f) == 0;
	out[max - 1] = '\0';
	return ok;
}

/* ---- IKEv2 ------------------------------------------------------------------------------------
 */

static const struct ike_row {
	enum encr_id id;
	const char *before, *after; /* the key size in bits is in between */
} ike_encr_names[] = {
	{ ENCR_AES_CBC, "AES-CBC-", " [RFC3602]" },
	{ ENCR_AES_CTR, "AES-CTR-", " [RFC5930]" },
	{ ENCR_AES_CCM_8, "AES-CCM-", " with 8 octet ICV [RFC5282]" },
	{ ENCR_AES_CCM_12, "AES-CCM-", " with 12 octet ICV [RFC5282]" },
	{ ENCR_AES_CCM_16, "AES-CCM-", " with 16 octet ICV [RFC5282]" },
	{ ENCR_AES_GCM_8, "AES-GCM-", " with 8 octet ICV [RFC5282]" },
	{ ENCR_AES_GCM_12, "AES-GCM-", " with 12 octet ICV [RFC5282]" },
	{ ENCR_AES_GCM_16, "AES-GCM-", " with 16 octet ICV [RFC5282]" },
	{ ENCR_3DES, "3DES [RFC2451]", NULL },
};

static const struct name_row ike_integ_names[] = {
	{ INTEG_NONE, "NONE [RFC4306]" },
	{ INTEG_HMAC_MD5_96, "HMAC_MD5_96 [RFC2403]" },
	{ INTEG_HMAC_SHA1_96, "HMAC_SHA1_96 [RFC2404]" },
	{ INTEG_HMAC_SHA2_256_128, "HMAC_SHA2_256_128 [RFC4868]" },
	{ INTEG_HMAC_SHA2_384_192, "HMAC_SHA2_384_192 [RFC4868]" },
	{ INTEG_HMAC_SHA2_512_256, "HMAC_SHA2_512_256 [RFC4868]" },
	{ INTEG_AES_XCBC_96, "ANY 96-bits of Authentication [No Checking]" },
	{ INTEG_AES_CMAC_96, "ANY 96-bits of Authentication [No Checking]" },
};

static void put_hex(FILE *f, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		fprintf(f, "%02x", s.p[i]);
}

static bool put_ike_encr(FILE *f, const struct esp_suite *s)
{
	for (unsigned i = 0; i < ARRAY_LEN(ike_encr_names); i++) {
		const struct ike_row *r = &ike_encr_names[i];
		if (r->id != s->encr->id)
			continue;
		if (r->after)
			fprintf(f, "\"%s%u%s\"", r->before, 8u * s->key_len, r->after);
		else
			fprintf(f, "\"%s\"", r->before);
		return true;
	}
	return false;
}

/* IKEv1: the initiator's cookie and the key of the cipher; Wireshark finds the rest in the
 * messages. */
static bool ike1_line(const struct ike_sa_view *v, const struct ike_keys *k, char *out, size_t max)
{
	FILE *f = fmemopen(out, max, "w");

	if (!f)
		return false;
	setvbuf(f, NULL, _IONBF, 0);
	put_hex(f, span_of(v->spi_i, sizeof(v->spi_i)));
	fputc(',', f);
	put_hex(f, k->ei);
	fputc('\n', f);
	bool ok = !ferror(f);
	ok &= fclose(f) == 0;
	out[max - 1] = '\0';
	return ok;
}

bool keys_ike_line(const struct ike_sa_view *v, const struct ike_keys *k, const struct esp_suite *s,
		   char *out, size_t max)
{
	if (v->version == 1)
		return ike1_line(v, k, out, max);
	const char *integ = find(ike_integ_names, ARRAY_LEN(ike_integ_names),
				 s->integ ? (int)s->integ->id : INTEG_NONE);
	FILE *f = integ ? fmemopen(out, max, "w") : NULL;

	if (!f)
		return false;
	setvbuf(f, NULL, _IONBF, 0);
	put_hex(f, span_of(v->spi_i, sizeof(v->spi_i)));
	fputc(',', f);
	put_hex(f, span_of(v->spi_r, sizeof(v->spi_r)));
	fputc(',', f);
	put_hex(f, k->ei);
	fputc(',', f);
	put_hex(f, k->er);
	fputc(',', f);
	bool ok = put_ike_encr(f, s);
	fputc(',', f);
	put_hex(f, k->ai);
	fputc(',', f);
	put_hex(f, k->ar);
	fprintf(f, ",\"%s\"\n", integ);
	ok &= !ferror(f);
	ok &= fclose(f) == 0;
	out[max - 1] = '\0';
	return ok;
}

/* ---- files ------------------------------------------------------------------------------------
 */

/* Made anew, so that the mode is ours and a link is not followed. NULL with a sentence. */
static FILE *create(const char *dir, const char *name, char *why, size_t whylen)
{
	char path[PATH_MAX];

	if (rundir_path(dir, name, path, sizeof(path))) {
		snprintf(why, whylen, "%s: the name is too long", dir);
		return NULL;
	}
	(void)unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		snprintf(why, whylen, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	return f;
}

static int finish(FILE *f, const char *dir, const char *name, int n, char *why, size_t whylen)
{
	bool bad = ferror(f);

	if (fclose(f) || bad) {
		snprintf(why, whylen, "%s/%s: %s", dir, name, strerror(errno));
		return -EIO;
	}
	return n;
}

static int put_lines(FILE *f, const json_t *lines)
{
	size_t i;
	json_t *line;
	int n = 0;

	json_array_foreach(lines, i, line)
	{
		const char *text = json_string_value(line);
		if (text && fputs(text, f) >= 0)
			n++;
	}
	return n;
}

int keys_ike_table(unsigned version, const json_t *lines, const char *dir, char *why, size_t whylen)
{
	const char *name = version == 1 ? "ikev1_decryption_table" : "ikev2_decryption_table";
	FILE *f = create(dir, name, why, whylen);

	if (!f)
		return -EIO;
	fprintf(f,
		"# This file holds keys. Wireshark: ISAKMP preferences, IKEv%u Decryption Table.\n",
		version);
	return finish(f, dir, name, put_lines(f, lines), why, whylen);
}

int keys_wireshark(const struct config *c, const json_t *lines, const char *dir, unsigned *skipped,
		   char *why, size_t whylen)
{
	static const char name[] = "esp_sa";
	int n = 0;

	*skipped = 0;
	if (!c->export_keys) {
		snprintf(why, whylen, "%s does not say export_keys = yes", c->path);
		return -EPERM;
	}
	FILE *f = create(dir, name, why, whylen);
	if (!f)
		return -EIO;
	fputs("# This file holds keys. Wireshark: ESP preferences, ESP SAs.\n", f);
	for (unsigned i = 0; i < c->n_sa; i++) {
		if (put_sa(f, &c->sa[i].conf))
			n++;
		else
			(*skipped)++;
	}
	n += put_lines(f, lines);
	return finish(f, dir, name, n, why, whylen);
}
