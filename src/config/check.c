/*
 * How the sections fit together: names and SPIs once each, SAs that exist where a policy names them, no key
 * twice. Everything is found by sorting, for configurations of 100,000 sections.
 */
#define _GNU_SOURCE 1 /* qsort_r */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* A section that takes part, in the order of the file: item and, for an SA, its structure. */
struct row {
	const struct item *it;
	struct config_sa *sa;
	bool used;
};

typedef int compare(const void *a, const void *b);

/* Equal rows stay in the order of the file, so that the later one is blamed. */
static int by_file(const struct row *a, const struct row *b)
{
	return (a->it > b->it) - (a->it < b->it);
}

static int order_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->it->name, ((const struct row *)b)->it->name);
}

/* Receivers find an SA by SPI and protocol, one to a group by addresses as well; several receivers may
 * choose the same SPI for us. */
static int order_spi(const void *a, const void *b)
{
	const struct sa_conf *x = &((const struct row *)a)->sa->conf, *y = &((const struct row *)b)->sa->conf;
	int c = sa_conf_order(x, y);

	return c || x->dir == DIR_IN ? c : ip_addr_cmp(&x->dst, &y->dst);
}

static int order_key(const void *a, const void *b)
{
	return memcmp(((const struct row *)a)->sa->conf.key_id, ((const struct row *)b)->sa->conf.key_id,
		      sizeof(((const struct row *)a)->sa->conf.key_id));
}

static int order_then_file(const void *a, const void *b, void *order)
{
	int c = (*(compare **)order)(a, b);

	return c ? c : by_file(a, b);
}

static void sort_rows(struct row *r, unsigned n, compare *order)
{
	qsort_r(r, n, sizeof(*r), order_then_file, &order);
}

void check_names_once(struct loader *ld, const struct item *items, unsigned n, enum section kind)
{
	struct row *r = calloc((size_t)n + 1, sizeof(*r));
	char title[ITEM_STRLEN];
	unsigned k = 0;

	if (!have_memory(ld, r))
		return;
	for (unsigned i = 0; i < n; i++)
		if (items[i].kind == kind)
			r[k++].it = &items[i];
	sort_rows(r, k, order_name);
	for (unsigned i = 1; i < k; i++)
		if (order_name(&r[i - 1], &r[i]) == 0)
			report_item(ld, r[i].it, "%s is defined twice; expected a name of its own (%s:%d has it)",
				    item_title(r[i].it, title), r[i - 1].it->src->path, r[i - 1].it->line);
	free(r);
}

static void check_duplicate_spis(struct loader *ld, const struct row *r, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		const struct sa_conf *c = &r[i].sa->conf;
		const struct value *v = key_value(r[i].it, "spi");
		if (order_spi(&r[i - 1], &r[i]) || !v || !c->spi || (c->dir == DIR_OUT && !c->dst.ver))
			continue;
		const struct value *other = key_value(r[i - 1].it, "spi");
		report_value(ld, v, "spi = 0x%x is taken by the %s sa %s (%s:%d); expected another", c->spi,
			     c->dir == DIR_IN ? "inbound" : "outbound", r[i - 1].it->name,
			     other ? other->src->path : r[i - 1].it->src->path, other ? other->line : r[i - 1].it->line);
	}
}

/* With these a key must never see the same IV twice, and every SA counts its own (RFC 3686 7, RFC 4106 3.1). */
static bool counts_ivs(const struct sa_conf *c)
{
	return c->suite.encr && (c->suite.encr->aead || c->suite.encr->id == ENCR_AES_CTR) && c->encr_key.p;
}

/* One SA for the senders and receivers of a group: of each host an outbound one, and inbound ones. */
static bool same_group(const struct sa_conf *a, const struct sa_conf *b)
{
	return sa_conf_is_group(a) && a->spi == b->spi && a->proto == b->proto && ip_addr_eq(&a->dst, &b->dst);
}

/* Our IVs are our own where they begin with our number (RFC 6054 2); who only receives makes none. */
static bool numbered(const struct sa_conf *c)
{
	return c->dir == DIR_IN || c->sender_bits;
}

static void check_duplicate_keys(struct loader *ld, const struct row *r, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		const struct sa_conf *a = &r[i - 1].sa->conf, *b = &r[i].sa->conf;
		if (order_key(&r[i - 1], &r[i]) || !counts_ivs(a) || !counts_ivs(b))
			continue;
		if (same_group(a, b) && numbered(a) && numbered(b))
			continue;
		const struct value *key = key_value(r[i - 1].it, "key");
		if (same_group(a, b))
			report_value(ld, key_value(r[i].it, "key"),
				     "key is also that of sa %s (%s:%d), so others send by it, too, and IVs of %s must not "
				     "come twice; expected sender_id in the outbound SA, another one at every sender",
				     r[i - 1].it->name, r[i - 1].it->src->path, key->line, b->suite.encr->name);
		else
			report_value(ld, key_value(r[i].it, "key"),
				     "key is also that of sa %s (%s:%d), which breaks %s; expected a key of its own",
				     r[i - 1].it->name, r[i - 1].it->src->path, key->line, b->suite.encr->name);
	}
}

/* A label of one DOI says nothing about those of another: an SA of it would carry nothing. */
static void check_doi(struct loader *ld, const struct item *policy, const struct row *sa)
{
	const struct value *v = key_value(policy, "label"), *of = key_value(sa->it, "label");
	struct label_range r;
	char why[160];

	if (v && of && sa->sa->conf.label && label_range_parse(v->text, &r, why, sizeof(why)) == 0 &&
	    r.low.doi != sa->sa->conf.label->low.doi)
		report_value(ld, v, "label = \"%s\" is of another DOI than that of sa %s (%s:%d), which would carry nothing; expected "
				    "the same",
			     v->text, sa->it->name, of->src->path, of->line);
}

/* One name in a policy's out or in. */
static void check_reference(struct loader *ld, const struct item *policy, const struct value *v, enum ipsec_dir dir,
			    struct row *r, unsigned n)
{
	struct item want = { .name = v->text };
	struct row key = { .it = &want };
	struct row *found = n ? bsearch(&key, r, n, sizeof(*r), order_name) : NULL;
	const char *list = dir == DIR_OUT ? "out" : "in";

	if (!found) {
		report_value(ld, v, "%s = \"%.64s\": there is no such SA; expected the name of an sa section", list,
			     v->text);
		return;
	}
	found->used = true;
	check_doi(ld, policy, found);
	if (found->sa->conf.dir != dir && key_value(found->it, "direction"))
		report_value(ld, v, "%s = \"%s\": that SA has direction = %s (%s:%d); expected one with direction = %s",
			     list, v->text, dir == DIR_OUT ? "in" : "out", found->it->src->path, found->it->line, list);
	else if (dir == DIR_OUT && !found->sa->conf.dst.ver && key_value(found->it, "dst") &&
		 !key_value(policy, "in"))
		report_value(ld, v, "out = \"%s\": its dst is learned from inbound packets, and there are none; expected "
				    "in = {SA} beside it",
			     v->text);
}

/*
 * Several SAs in a policy's out or in, the innermost first (RFC 2401 4.3). What stands inside of another is found by its destination when it
 * comes in, and gets an outer header made by us when it goes out; ESP in UDP is made by the system and goes outermost.
 */
static void check_bundle(struct loader *ld, const struct item *policy, const char *list, struct row *r, unsigned n)
{
	const struct value *inside = NULL;

	for (unsigned k = 0; k < policy->n_entry; k++) {
		const struct entry *e = &policy->entry[k];
		if (!e->v || strcmp(e->row->doc.key, list) != 0)
			continue;
		if (inside) {
			struct item want = { .name = inside->text };
			struct row key = { .it = &want };
			struct row *found = n ? bsearch(&key, r, n, sizeof(*r), order_name) : NULL;
			const struct sa_conf *c = found ? &found->sa->conf : NULL;
			if (c && c->encap == SA_ENCAP_UDP)
				report_value(ld, inside, "%s = \"%s\": ESP in UDP inside of another SA; expected encap = none there, "
							 "or that SA last",
					     list, inside->text);
			else if (c && (!c->dst.ver || (!c->src.ver && c->dir == DIR_OUT)))
				report_value(ld, inside, "%s = \"%s\" is inside of another SA; expected src and dst there", list,
					     inside->text);
		}
		inside = e->v;
	}
}

static bool listed(const struct item *policy, const char *list, const char *name)
{
	for (unsigned i = 0; i < policy->n_entry; i++) {
		const struct entry *e = &policy->entry[i];
		if (e->v && strcmp(e->row->doc.key, list) == 0 && strcmp(e->v->text, name) == 0)
			return true;
	}
	return false;
}

/* One name in a policy's parallel: its direction is the SA's own, and it must be for something. */
static void check_parallel(struct loader *ld, const struct item *policy, const struct value *v, struct row *r, unsigned n)
{
	struct item want = { .name = v->text };
	struct row key = { .it = &want };
	struct row *found = n ? bsearch(&key, r, n, sizeof(*r), order_name) : NULL;

	if (!found) {
		report_value(ld, v, "parallel = \"%.64s\": there is no such SA; expected the name of an sa section", v->text);
		return;
	}
	const struct sa_conf *c = &found->sa->conf;
	found->used = true;
	check_doi(ld, policy, found);
	if (listed(policy, "out", v->text) || listed(policy, "in", v->text))
		report_value(ld, v, "parallel = \"%s\": that SA is in out or in of the policy already; expected it once", v->text);
	else if (c->dir == DIR_OUT && !c->match_dscp && !c->label && key_value(found->it, "direction"))
		report_value(ld, v, "parallel = \"%s\": nothing says which packets that SA is for; expected match_dscp or label in "
				    "it (%s:%d)",
			     v->text, found->it->src->path, found->it->line);
}

static void check_references(struct loader *ld, struct row *r, unsigned n)
{
	for (unsigned i = 0; i < ld->n_item; i++) {
		const struct item *it = &ld->item[i];
		if (it->kind == SEC_POLICY) {
			check_bundle(ld, it, "out", r, n);
			check_bundle(ld, it, "in", r, n);
		}
		for (unsigned k = 0; it->kind == SEC_POLICY && k < it->n_entry; k++) {
			const struct entry *e = &it->entry[k];
			bool out = strcmp(e->row->doc.key, "out") == 0;
			if (e->v && (out || strcmp(e->row->doc.key, "in") == 0))
				check_reference(ld, it, e->v, out ? DIR_OUT : DIR_IN, r, n);
			else if (e->v && strcmp(e->row->doc.key, "parallel") == 0)
				check_parallel(ld, it, e->v, r, n);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		bool twin = (i > 0 && order_name(&r[i - 1], &r[i]) == 0) ||
			    (i + 1 < n && order_name(&r[i], &r[i + 1]) == 0);
		if (!r[i].used && !twin) /* of two with one name it is not known which was meant */
			warn_item(ld, r[i].it, "sa %s is in no policy and carries nothing; expected a policy that names it",
				  r[i].it->name);
	}
}

/* The sa sections and their structures, which are in the same order. */
static struct row *rows_of_sas(struct loader *ld, struct config_sa *sas, unsigned n)
{
	struct row *r = calloc(n + 1, sizeof(*r));
	unsigned k = 0;

	if (!have_memory(ld, r))
		return NULL;
	for (unsigned i = 0; i < ld->n_item; i++)
		if (ld->item[i].kind == SEC_SA) {
			r[k] = (struct row) { .it = &ld->item[i], .sa = &sas[k] };
			k++;
		}
	return r;
}

void check_all(struct loader *ld)
{
	struct config *c = ld->conf;
	struct row *sa = rows_of_sas(ld, c->sa, c->n_sa);

	check_names_once(ld, ld->item, ld->n_item, SEC_POLICY);
	check_names_once(ld, ld->item, ld->n_item, SEC_SA);
	if (sa) {
		sort_rows(sa, c->n_sa, order_spi);
		check_duplicate_spis(ld, sa, c->n_sa);
		sort_rows(sa, c->n_sa, order_key);
		check_duplicate_keys(ld, sa, c->n_sa);
		sort_rows(sa, c->n_sa, order_name);
		check_references(ld, sa, c->n_sa);
		for (unsigned i = 0; !c->tun && !c->bridge && c->n_policy && i < ld->n_item; i++)
			if (ld->item[i].kind == SEC_POLICY) {
				warn_item(ld, &ld->item[i], "policies without a tun section; expected tun NAME { ... }, or "
							    "bridge NAME { ... }, where packets come from");
				break;
			}
	}
	free(sa);
	check_groups(ld);
	if (!ld->errors)
		check_conflicts(ld);
	check_bridge_mode(ld);
}
