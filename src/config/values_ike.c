/*
 * The values that only IKE has: hosts, identities, traffic selectors, proposals. Like values.c,
 * each says what it found and what it expected, and leaves *out alone then.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* Digits with or without a point and up to six more; the bounds are whole numbers. */
bool v_decimal(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	size_t whole = strspn(v->text, "0123456789");
	const char *point = v->text + whole;
	size_t part = *point == '.' ? strspn(point + 1, "0123456789") : 0;
	double n = 0, times = 1;

	for (size_t i = 0; i < whole; i++)
		n = n * 10 + (v->text[i] - '0');
	for (size_t i = 0; i < part; i++) {
		times /= 10;
		n += times * (point[1 + i] - '0');
	}
	if (!whole || whole > 9 || part > 6 || (*point == '.' && !part) ||
	    v->text[whole + part + (*point == '.')] || n < (double)row->lo || n > (double)row->hi)
		return value_refuse(ld, row, v, "a number from %llu to %llu such as 1.8",
				    (unsigned long long)row->lo, (unsigned long long)row->hi);
	*(double *)out = n;
	return true;
}

bool v_tries(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	uint64_t n = 0;

	if (strcasecmp(v->text, "%forever") != 0 && !(number_parse(v->text, &n) && n <= row->hi))
		return value_refuse(ld, row, v, "a number, or 0 for ever");
	*(uint32_t *)out = (uint32_t)n;
	return true;
}

/* One label of a name, RFC 1123 2.1 and underscores. */
static bool label_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '_' &&
		    !(p[i] == '-' && i > 0 && i + 1 < n))
			return false;
	return n >= 1 && n <= 63;
}

/* A name that DNS could know. One that ends in a number is a mistyped address. */
static bool dns_name_ok(const char *text)
{
	size_t len = strlen(text), n = 0;
	const char *label = text;

	if (len > 253)
		return false;
	for (const char *p = text; *p; p += n + 1) {
		label = p;
		n = strcspn(p, ".");
		if (!label_ok(p, n))
			return false;
		if (!p[n])
			break;
	}
	return len && strspn(label, "0123456789") < n;
}

bool v_host(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ike_host h = { 0 };

	if (strcasecmp(v->text, "%any") == 0)
		return vec_push(ld, out, &h, sizeof(h));
	if (ip_range_parse(v->text, &h.range) == 0) {
		if (ip_addr_is_any(&h.range.lo) && ip_addr_is_any(&h.range.hi))
			memset(&h, 0, sizeof(h)); /* 0.0.0.0 or ::, as some write it */
		return vec_push(ld, out, &h, sizeof(h));
	}
	if (!dns_name_ok(v->text))
		return value_refuse(ld, row, v,
				    "an address, a prefix (192.0.2.0/24), a range "
				    "(192.0.2.1-192.0.2.9), a DNS name or %%any");
	memset(&h, 0, sizeof(h));
	h.name = strdup(v->text);
	bool ok = have_memory(ld, h.name) && vec_push(ld, out, &h, sizeof(h));
	if (!ok)
		free(h.name);
	return ok;
}

bool ident_read(struct loader *ld, const char *key, const struct value *v, struct ident *out)
{
	char why[256] = "";
	int rc = ident_parse(v->text, out, why, sizeof(why));

	if (rc == -ENOMEM)
		return have_memory(ld, NULL);
	if (rc)
		report_value(ld, v, "%s = \"%.64s\": %s%s", key, v->text, why,
			     strstr(why, "expected")
				 ? ""
				 : "; expected an address, a DNS name, a@b.example, a DN such as "
				   "\"C=DE, CN=gw\", or keyid:HEX");
	return rc == 0;
}

bool v_ident(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	return ident_read(ld, row->doc.key, v, out);
}

bool v_ts(struct loader *ld, const struct key_row *row, const struct value *v, void *out)
{
	struct ts_list *l = out;
	char why[256] = "";

	if (l->n >= TS_MAX)
		return value_refuse(ld, row, v, "at most %d selectors", TS_MAX);
	if (ts_parse(v->text, &l->ts[l->n], why, sizeof(why))) {
		report_value(ld, v, "%s = \"%.64s\": %s%s", row->doc.key, v->text, why,
			     strstr(why, "expected")
				 ? ""
				 : "; expected e.g. 10.1.0.0/16, 10.1.0.9[tcp/80] or dynamic");
		return false;
	}
	l->n++;
	return true;
}

/* Adds the proposals of one value. */
static void proposals_add(struct loader *ld, const char *key, const struct value *v,
			  enum ike_protocol proto, bool weak, struct proposals *out)
{
	struct proposals more;
	char why[512] = "";

	if (!v->text[0]) {
		report_value(ld, v,
			     "%s = \"\"; expected proposals such as aes256gcm16-prfsha384-ecp384, "
			     "or default",
			     key);
	} else if (proposals_parse(proto, v->text, weak, &more, why, sizeof(why))) {
		report_value(
		    ld, v, "%s: %s%s", key, why,
		    strstr(why, "expected") ? "" : "; expected keywords as in bumpwire.conf(5)");
	} else if (out->n + more.n > PROPOSALS_MAX) {
		report_value(ld, v, "%s: more than %d proposals; expected fewer", key,
			     PROPOSALS_MAX);
	} else {
		for (unsigned i = 0; i < more.n; i++) {
			out->p[out->n] = more.p[i];
			out->p[out->n].number = (uint8_t)(out->n + 1);
			out->n++;
		}
	}
}

void proposals_read(struct loader *ld, const struct item *it, const char *key,
		    enum ike_protocol proto, bool weak, struct proposals *out)
{
	out->n = 0;
	for (unsigned i = 0; i < it->n_entry; i++) {
		const struct entry *e = &it->entry[i];
		if (strcmp(e->row->doc.key, key) != 0)
			continue;
		if (e->v)
			proposals_add(ld, key, e->v, proto, weak, out);
		else
			report_item(ld, it, "%s is an empty list; expected at least one value",
				    key);
	}
	if (!key_value(it, key))
		proposals_default(proto, out);
}
