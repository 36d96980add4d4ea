/* See pool.h. Leases lie in one array in the order of their addresses: a free one is the first gap. */
#include "ike/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define WHO_MAX 512

struct ike_leases {
	struct ike_lease *v;
	unsigned n, room;
	uint64_t changes;
};

struct ike_leases *ike_leases_new(void)
{
	return calloc(1, sizeof(struct ike_leases));
}

static void lease_fini(struct ike_lease *e)
{
	free(e->pool);
	free(e->who);
}

void ike_leases_free(struct ike_leases **lp)
{
	struct ike_leases *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	for (unsigned i = 0; i < l->n; i++)
		lease_fini(&l->v[i]);
	free(l->v);
	free(l);
}

/* Place of the address, or where it belongs. */
static unsigned place_of(const struct ike_leases *l, const struct ip_addr *a)
{
	unsigned lo = 0, hi = l->n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		if (ip_addr_cmp(&l->v[mid].addr, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct ike_lease *find(const struct ike_leases *l, const struct ip_addr *a)
{
	unsigned i = place_of(l, a);

	return i < l->n && ip_addr_eq(&l->v[i].addr, a) ? &l->v[i] : NULL;
}

/* A new lease, held by nobody; the address must have none. NULL: no memory. */
static struct ike_lease *insert(struct ike_leases *l, const char *pool, const struct ip_addr *a,
				const char *who)
{
	unsigned at = place_of(l, a);
	struct ike_lease e = { .addr = *a, .pool = strdup(pool), .who = strdup(who) };

	if (l->n == l->room) {
		unsigned room = l->room ? 2 * l->room : 8;
		struct ike_lease *v = reallocarray(l->v, room, sizeof(*v));
		if (v) {
			l->v = v;
			l->room = room;
		}
	}
	if (!e.pool || !e.who || l->n == l->room) {
		lease_fini(&e);
		return NULL;
	}
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof(*l->v));
	l->v[at] = e;
	l->n++;
	l->changes++;
	return &l->v[at];
}

/* Those that nobody asked for too long are nobody's again. */
static void expire(struct ike_leases *l, const struct ike_pool_conf *pool, uint64_t wall_ns)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->n && pool->keep_ns; i++) {
		struct ike_lease *e = &l->v[i];
		if (!e->held && strcmp(e->pool, pool->name) == 0 && wall_ns > e->left_ns &&
		    wall_ns - e->left_ns > pool->keep_ns) {
			lease_fini(e);
			l->changes++;
		} else {
			l->v[kept++] = *e;
		}
	}
	if (pool->keep_ns)
		l->n = kept;
}

/* -- which addresses the pool has -- */

/* The next address; false after the last of all. */
static bool next(struct ip_addr *a)
{
	for (unsigned i = ip_addr_bytes(a); i-- > 0;)
		if (++a->b[i])
			return true;
	return false;
}

/* What of the range is given out: not a network's own address and not its broadcast address. */
static void usable(const struct ip_range *r, struct ip_addr *lo, struct ip_addr *hi)
{
	struct ip_prefix p;

	*lo = r->lo;
	*hi = r->hi;
	if (!ip_range_is_prefix(r, &p) || p.len + 2u > 8 * ip_addr_bytes(lo))
		return;
	(void)next(lo);
	if (lo->ver == 4)
		hi->b[3]--; /* the last of a prefix is odd */
}

static bool in_pool(const struct ike_pool_conf *pool, const struct ip_addr *a)
{
	struct ip_range r;

	for (unsigned i = 0; i < pool->n_addrs; i++) {
		usable(&pool->addrs[i], &r.lo, &r.hi);
		if (ip_range_has(&r, a))
			return true;
	}
	return false;
}

/* The lowest address without a lease. */
static bool first_gap(const struct ike_leases *l, const struct ike_pool_conf *pool, int ver,
		      struct ip_addr *out)
{
	struct ip_range r;

	for (unsigned i = 0; i < pool->n_addrs; i++) {
		if (pool->addrs[i].lo.ver != ver)
			continue;
		usable(&pool->addrs[i], &r.lo, &r.hi);
		*out = r.lo;
		for (unsigned k = place_of(l, &r.lo); ip_range_has(&r, out); k++) {
			if (k >= l->n || !ip_addr_eq(&l->v[k].addr, out))
				return true;
			if (!next(out))
				break;
		}
	}
	return false;
}

/* -- whose -- */

static struct ike_lease *of_owner(struct ike_leases *l, const struct ike_pool_conf *pool, int ver,
				  const char *who, const struct endpoint *peer)
{
	struct ike_lease *had = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		struct ike_lease *e = &l->v[i];
		if (e->addr.ver != ver || strcmp(e->who, who) != 0 ||
		    strcmp(e->pool, pool->name) != 0 || !in_pool(pool, &e->addr))
			continue;
		if (e->held && endpoint_eq(&e->peer, peer))
			return e;
		if (!e->held && !had)
			had = e;
	}
	return had;
}

static struct ike_lease *left_longest_ago(struct ike_leases *l, const struct ike_pool_conf *pool,
					  int ver)
{
	struct ike_lease *oldest = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		struct ike_lease *e = &l->v[i];
		if (!e->held && e->addr.ver == ver && in_pool(pool, &e->addr) &&
		    (!oldest || e->left_ns < oldest->left_ns))
			oldest = e;
	}
	return oldest;
}

/* Another owner for a lease. */
static struct ike_lease *hand_over(struct ike_lease *e, const char *pool, const char *who)
{
	char *p = strdup(pool), *w = strdup(who);

	if (!p || !w) {
		free(p);
		free(w);
		return NULL;
	}
	lease_fini(e);
	e->pool = p;
	e->who = w;
	return e;
}

int ike_lease_take(struct ike_leases *l, const struct ike_pool_conf *pool, int ver, const char *who,
		   const struct endpoint *peer, const struct ip_addr *want, uint64_t wall_ns,
		   struct ip_addr *out)
{
	struct ike_lease *e;
	struct ip_addr gap;
	bool has = false;

	for (unsigned i = 0; i < pool->n_addrs; i++)
		has = has || pool->addrs[i].lo.ver == ver;
	if (!has)
		return -ENOENT;
	expire(l, pool, wall_ns);
	e = of_owner(l, pool, ver, who, peer);
	if (!e) {
		if (want && want->ver == ver && in_pool(pool, want) && !find(l, want))
			e = insert(l, pool->name, want, who);
		else if (first_gap(l, pool, ver, &gap))
			e = insert(l, pool->name, &gap, who);
		else if (!(e = left_longest_ago(l, pool, ver)))
			return -ENOSPC;
		else
			e = hand_over(e, pool->name, who);
	}
	if (!e)
		return -ENOMEM;
	e->held++;
	e->peer = *peer;
	l->changes++;
	*out = e->addr;
	return 0;
}

void ike_lease_give(struct ike_leases *l, const struct ip_addr *addr, uint64_t wall_ns)
{
	struct ike_lease *e = find(l, addr);

	if (!e || !e->held || --e->held)
		return;
	e->left_ns = wall_ns;
	l->changes++;
}

void ike_lease_move(struct ike_leases *l, const struct ip_addr *addr, const struct endpoint *peer)
{
	struct ike_lease *e = find(l, addr);

	if (e && e->held)
		e->peer = *peer;
}

const struct ike_lease *ike_lease_find(const struct ike_leases *l, const struct ip_addr *addr)
{
	return find(l, addr);
}

unsigned ike_leases_count(const struct ike_leases *l)
{
	return l->n;
}

const struct ike_lease *ike_leases_nth(const struct ike_leases *l, unsigned i)
{
	return i < l->n ? &l->v[i] : NULL;
}

uint64_t ike_leases_changes(const struct ike_leases *l)
{
	return l->changes;
}

/* -- kept -- */

int ike_leases_write(const struct ike_leases *l, FILE *f)
{
	char addr[IP_ADDR_STRLEN];

	for (unsigned i = 0; i < l->n; i++) {
		const struct ike_lease *e = &l->v[i];
		fprintf(f, "%s %s %" PRIu64 " ", e->pool, ip_addr_format(&e->addr, addr),
			e->held ? 0 : e->left_ns);
		for (const char *c = e->who; *c; c++)
			fprintf(f, "%02x", (unsigned)(unsigned char)*c);
		fputc('\n', f);
	}
	return fflush(f) || ferror(f) ? -EIO : 0;
}

/* One line. 1: it is none. */
static int read_line(struct ike_leases *l, const char *line, uint64_t wall_ns)
{
	char pool[128], addr[IP_ADDR_STRLEN], hex[2 * WHO_MAX + 1], who[WHO_MAX + 1];
	struct ip_addr a;
	uint64_t left;

	if (sscanf(line, "%127s %45s %" SCNu64 " %1024s", pool, addr, &left, hex) != 4 ||
	    ip_addr_parse(addr, &a) || find(l, &a))
		return 1;
	int n = hex_decode(hex, (uint8_t *)who, WHO_MAX);
	if (n <= 0 || memchr(who, 0, (size_t)n))
		return 1;
	who[n] = '\0';
	struct ike_lease *e = insert(l, pool, &a, who);
	if (!e)
		return -ENOMEM;
	e->left_ns = left && left < wall_ns ? left : wall_ns;
	return 0;
}

int ike_leases_read(struct ike_leases *l, FILE *f, uint64_t wall_ns, unsigned *skipped)
{
	char line[2 * WHO_MAX + 256];

	*skipped = 0;
	while (fgets(line, sizeof(line), f)) {
		int rc = read_line(l, line, wall_ns);
		if (rc < 0)
			return rc;
		*skipped += (unsigned)rc;
	}
	return 0;
}
