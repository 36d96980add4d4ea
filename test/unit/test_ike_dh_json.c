/* Key agreement against Wycheproof's vectors, those that can be said in a KE payload. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "crypto/dh.h"
#include "ike_crypto.h"
#include "must.h"

static const struct {
	const char *file, *keyword;
	/* The start of a SubjectPublicKeyInfo of this curve, up to the point's coordinates; what
	 * starts otherwise cannot be put into a KE payload. */
	const char *prefix;
	unsigned least; /* vectors that must have run */
} files[] = {
	{ "x25519_test.json", "curve25519", "", 518 },
	{ "x448_test.json", "curve448", "", 498 },
	{ "ecdh_secp256r1_ecpoint_test.json", "ecp256", "04", 340 },
	{ "ecdh_secp256r1_test.json", "ecp256",
	  "3059301306072a8648ce3d020106082a8648ce3d03010703420004", 330 },
	{ "ecdh_secp384r1_test.json", "ecp384", "3076301006072a8648ce3d020106052b8104002203620004",
	  771 },
	{ "ecdh_secp521r1_test.json", "ecp521",
	  "30819b301006072a8648ce3d020106052b810400230381860004", 632 },
	{ "ecdh_brainpoolP256r1_test.json", "ecp256bp",
	  "305a301406072a8648ce3d020106092b2403030208010107034200"
	  "04",
	  517 },
	{ "ecdh_brainpoolP384r1_test.json", "ecp384bp",
	  "307a301406072a8648ce3d020106092b240303020801010b036200"
	  "04",
	  641 },
	{ "ecdh_brainpoolP512r1_test.json", "ecp512bp",
	  "30819b301406072a8648ce3d020106092b240303020801010d0381820004", 511 },
};

static const char *field(const json_t *test, const char *name)
{
	const char *s = json_string_value(json_object_get(test, name));

	must(s);
	return s;
}

/* True when the vector could be put to the group. */
static bool run_vector(const struct dh_info *info, const char *prefix, const json_t *test,
		       unsigned *refused)
{
	const char *pub = field(test, "public");
	struct bytes *priv = bytes_of(field(test, "private")),
		     *want = bytes_of(field(test, "shared"));
	const char *result = field(test, "result");
	struct secret z;
	struct dh *d;

	if (strncmp(pub, prefix, strlen(prefix)) != 0)
		return false;
	struct bytes *peer = bytes_of(pub + strlen(prefix));
	/* "Acceptable" is: for EC what only a reader finds that forgives errors in the ASN.1, or
	 * never looks at y; for Curve25519 and Curve448 all that is unusual, but a secret of zero
	 * must be refused (RFC 7748 6). */
	bool good = strcmp(result, "valid") == 0, zero = true;
	for (size_t i = 0; i < want->len; i++)
		zero = zero && want->b[i] == 0;
	if (info->kind != DH_KIND_EC)
		good = strcmp(result, "invalid") != 0 && !zero;
	ck_assert_int_eq(dh_new_from(info, view(priv), span_of(NULL, 0), &d), 0);
	int rc = dh_shared(d, view(peer), &z);
	dh_free(&d);
	if (!good) {
		ck_assert_msg(rc == -EBADMSG, "test %lld taken",
			      json_integer_value(json_object_get(test, "tcId")));
		++*refused;
		return true;
	}
	ck_assert_msg(rc == 0, "test %lld refused",
		      json_integer_value(json_object_get(test, "tcId")));
	check_bytes("shared", secret_view(&z), view(want));
	secret_free(&z);
	return true;
}

START_TEST(test_wycheproof)
{
	const char *dir = vectors_folder();
	unsigned ran = 0, over = 0, refused = 0;
	char path[4300];
	json_error_t err;
	size_t gi, ti;
	json_t *group, *test;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/wycheproof/%s", dir, files[_i].file);
	json_t *root = json_load_file(path, 0, &err);
	ck_assert_msg(root != NULL, "%s: %s", path, err.text);
	json_array_foreach(json_object_get(root, "testGroups"), gi, group)
	{
		json_array_foreach(json_object_get(group, "tests"), ti, test)
		{
			if (run_vector(dh_by_keyword(files[_i].keyword), files[_i].prefix, test,
				       &refused))
				ran++;
			else
				over++;
		}
	}
	printf("# %s: %u, of which %u rightly refused; passed over %u\n", files[_i].file, ran,
	       refused, over);
	ck_assert_uint_ge(ran, files[_i].least);
	json_decref(root);
}
END_TEST

Suite *suite_dh_json(void)
{
	Suite *s = suite_create("ike crypto: Wycheproof key agreement");
	TCase *t = tcase_create("wycheproof");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_wycheproof, 0, ARRAY_LEN(files));
	suite_add_tcase(s, t);
	return s;
}
