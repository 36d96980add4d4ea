/* Library versions, backends with their CPU code, and for each cipher which backend a key of it
 * would get. */
#include "control/version.h"

#include <ev.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <string.h>

#include "config.h"
#include "crypto/crypt.h"

#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

static json_t *libraries(void)
{
	char ev[32], seccomp[32] = "not built in";

	snprintf(ev, sizeof(ev), "%d.%d", ev_version_major(), ev_version_minor());
#ifdef HAVE_SECCOMP
	const struct scmp_version *v = seccomp_version();
	if (v)
		snprintf(seccomp, sizeof(seccomp), "%u.%u.%u", v->major, v->minor, v->micro);
#endif
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "openssl",
			 OpenSSL_version(OPENSSL_VERSION_STRING), "libsodium",
			 sodium_version_string(), "libev", ev, "jansson", jansson_version_str(),
			 "libseccomp", seccomp);
}

static json_t *backends(void)
{
	json_t *v = json_array();

	for (enum crypt_backend b = CRYPT_OPENSSL; b < CRYPT_BACKENDS; b++) {
		bool present = crypt_backend_present(b);
		json_array_append_new(v, json_pack("{s:s, s:b, s:s}", "name", crypt_backend_name(b),
						   "present", (int)present, "describe",
						   present ? crypt_backend_describe(b) : ""));
	}
	return v;
}

static void add_suite(json_t *to, const struct encr_info *e, unsigned key_len, enum integ_id i)
{
	struct esp_suite s;
	char why[128], name[48];

	/* Key sizes are those of the table; a row it refuses is none of ours. */
	if (esp_suite_make(e->id, key_len, i, &s, why, sizeof(why)) == 0)
		json_array_append_new(to, json_pack("{s:s, s:s, s:b, s:s}", "cipher",
						    esp_suite_name(&s, name), "backend",
						    crypt_backend_name(crypt_backend_of(&s)),
						    "weak", (int)s.weak, "rfc", e->rfc));
}

static void each_encr(const struct encr_info *e, void *arg)
{
	unsigned step = e->key_step ? e->key_step : 1;

	for (unsigned len = e->min_key; len <= e->max_key; len += step)
		add_suite(arg, e, len, e->aead ? INTEG_NONE : INTEG_HMAC_SHA2_256_128);
}

static void each_integ(const struct integ_info *i, void *arg)
{
	const struct encr_info *cbc = encr_info(ENCR_AES_CBC);

	if (cbc && i->id != INTEG_NONE && i->id != INTEG_HMAC_SHA2_256_128)
		add_suite(arg, cbc, 16, i->id);
}

json_t *version_json(void)
{
	json_t *suites = json_array();

	encr_each(each_encr, suites);
	integ_each(each_integ, suites);
	return json_pack("{s:s, s:o, s:o, s:o}", "version", PACKAGE_VERSION, "libraries",
			 libraries(), "backends", backends(), "ciphers", suites);
}

void version_format(const json_t *version, FILE *to)
{
	const char *key, *name;
	json_t *v;
	size_t i;

	fprintf(to, "bumpwire %s\n", json_string_value(json_object_get(version, "version")));
	json_object_foreach(json_object_get(version, "libraries"), key, v)
	    fprintf(to, "  %-12s %s\n", key, json_string_value(v));
	fprintf(to, "crypto backends:\n");
	json_array_foreach(json_object_get(version, "backends"), i, v)
	{
		bool present = json_is_true(json_object_get(v, "present"));
		fprintf(to, "  %s\n",
			json_string_value(json_object_get(v, present ? "describe" : "name")));
		if (!present)
			fprintf(to, "    not on this machine, or not built in\n");
	}
	fprintf(to, "ciphers and who computes them:\n");
	json_array_foreach(json_object_get(version, "ciphers"), i, v)
	{
		name = json_string_value(json_object_get(v, "cipher"));
		fprintf(
		    to, "  %-24s %s%s\n", name, json_string_value(json_object_get(v, "backend")),
		    json_is_true(json_object_get(v, "weak")) ? " (weak: needs allow_weak)" : "");
	}
}
