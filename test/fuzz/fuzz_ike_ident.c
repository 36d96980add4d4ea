/*
 * Identities. The first byte says how to read the rest: as text, or as a payload of that type. What
 * is taken is written as text, which must read back as the same identity; copies and patterns must
 * agree with it.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
	if (!good)
		abort();
}

/* A name's text reads back when all of it prints and nothing looks like a pattern; a DN may hold
 * values that are no text at all. */
static bool reads_back(const struct ident *id)
{
	bool name = id->type == IKE_ID_FQDN || id->type == IKE_ID_RFC822_ADDR;

	for (size_t i = 0; name && i < id->len; i++)
		if (id->data[i] >= 0x7f || (id->data[i] == '*' && !ident_is_pattern(id)))
			return false;
	return id->type != IKE_ID_DER_ASN1_DN && id->type != IKE_ID_NULL &&
	       (id->type < IKE_ID_IPV4_SUBNET || id->type == IKE_ID_IPV6_ADDR ||
		id->type == IKE_ID_KEY_ID);
}

static void look_at(const struct ident *id)
{
	static const char *const patterns[] = { "%any", "*.example", "*@b.example", "C=*, CN=*",
						"192.0.2.0/24", "::/0", "10.0.0.1-10.9.0.3",
						"CN=*" };
	static char text[16 * IDENT_MAX];
	struct ident again, copy;
	char small[16], why[128];

	ident_format(id, small, sizeof(small));
	must(strlen(small) < sizeof(small));
	ident_format(id, text, sizeof(text));
	for (const char *c = text; *c; c++)
		must(*c >= 0x20 && *c < 0x7f);
	if (reads_back(id)) {
		must(ident_parse(text, &again, why, sizeof(why)) == 0 && ident_eq(&again, id));
		ident_fini(&again);
	} else if (ident_parse(text, &again, why, sizeof(why)) == 0) {
		ident_fini(&again);
	}
	must(ident_copy(id, &copy) == 0 && ident_eq(&copy, id));
	must(ident_match(&copy, id) == (ident_is_pattern(id) ? 0u : IDENT_EXACT) || id->type == 0);
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		must(ident_parse(patterns[i], &again, why, sizeof(why)) == 0);
		must(ident_match(&again, id) < IDENT_EXACT);
		must(ident_match(id, &again) == 0);
		ident_fini(&again);
	}
	ident_fini(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ident id;
	char why[128] = "";

	if (size < 1)
		return 0;
	/* of its own, so that a byte too much is seen */
	char *rest = malloc(size);
	must(rest != NULL);
	memcpy(rest, data + 1, size - 1);
	rest[size - 1] = '\0';
	if (data[0] == 'T' || data[0] >= 0x20) {
		if (ident_parse(rest, &id, why, sizeof(why)) == 0)
			look_at(&id);
		else
			must(why[0] != '\0');
		ident_fini(&id);
	} else {
		uint8_t *exact = malloc(size > 1 ? size - 1 : 1);
		must(exact != NULL);
		memcpy(exact, data + 1, size - 1);
		if (ident_from_wire(data[0], span_of(exact, size - 1), &id) == 0) {
			must(!ident_is_pattern(&id) && id.len == size - 1);
			look_at(&id);
		}
		ident_fini(&id);
		free(exact);
	}
	free(rest);
	return 0;
}
