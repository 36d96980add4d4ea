/*
 * The SAD. What readers see is one `struct sad_table`: an open-addressing array of 64-bit words
 * {SPI:32, AH:1, group:1, place+1:30} and the array of SAs by place; an SA to a group has a hash of
 * SPI and addresses in place of the SPI, so that who looks for an SPI never meets it. The one
 * writer stores single words into it while readers look; when an array is full, a table of twice
 * the size is published and the old one freed after a grace period. A place is given to another SA
 * only after a grace period too, so that a reader who found a word never finds a stranger behind
 * it. Names are looked up by the writer alone, in a chained hash over places.
 */
#include "ipsec/sad.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "base/random.h"

#define WORDS_MIN  64u
#define PLACES_MIN 32u
#define NO_PLACE   UINT32_MAX

/* SPI 0 is never installed, so neither of these is a word of an SA. */
#define WORD_EMPTY   0ull
#define WORD_REMOVED (1ull << 31)
#define WORD_AH      (1ull << 31)
#define WORD_GROUP   (1ull << 30)
#define WORD_PLACE   0x3fffffffull

struct sad_table {
	uint32_t shift; /* 32 - log2 of the number of words */
	uint32_t mask;  /* words - 1 */
	uint32_t places;
	_Atomic uint64_t *word;
	_Atomic(struct sa *) *sa; /* by place; NULL when free */
};

struct sad {
	struct sad_table *table; /* published */
	/* the writer's */
	uint32_t used; /* words that are not empty, the removed among them */
	_Atomic uint32_t groups; /* inbound SAs to groups */
	uint32_t count;
	uint32_t next_place; /* places from here on were never used */
	uint32_t free_place; /* head of the free list through next_free[] */
	uint32_t *next_free; /* by place: free list; or chain of the name hash */
	uint32_t *name_head; /* by hash; as many as places */
	struct sa *retired;  /* wait for sad_reap() */
	uint8_t name_key[crypto_shorthash_KEYBYTES];
};

static uint64_t key_of(uint32_t spi, uint8_t proto)
{
	return (uint64_t)spi << 32 | (proto == SA_AH ? WORD_AH : 0);
}

/* What an SA to a group is found by; src NULL: from anyone. Addresses are the configuration's
 * choice. */
static uint32_t group_hash(uint32_t spi, const struct ip_addr *dst, const struct ip_addr *src)
{
	uint64_t h = spi, w;

	for (unsigned i = 0; i < 4; i++) {
		const struct ip_addr *a = i < 2 ? dst : src;
		if (!a)
			break;
		memcpy(&w, a->b + 8 * (i % 2), sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return (uint32_t)(h ^ h >> 32);
}

/* The upper half and the flags of an inbound SA's word. */
static uint64_t key_of_sa(const struct sa *sa)
{
	const struct sa_conf *c = sa->conf;

	if (!sa->group)
		return key_of(sa->spi, sa->proto);
	return key_of(group_hash(sa->spi, &c->dst, sa_conf_is_from_one(c) ? &c->src : NULL),
		      sa->proto) |
	       WORD_GROUP;
}

/* SPIs of inbound SAs are our own choice; a multiplication spreads runs and random ones alike. */
static uint32_t home_of(const struct sad_table *t, uint32_t spi)
{
	return (uint32_t)(spi * 2654435769u) >> t->shift;
}

static void table_free(struct sad_table *t)
{
	if (!t)
		return;
	free(t->word);
	free(t->sa);
	free(t);
}

/* words: a power of two. */
static struct sad_table *table_new(uint32_t words, uint32_t places)
{
	struct sad_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->shift = 32 - (uint32_t)__builtin_ctz(words);
	t->mask = words - 1;
	t->places = places;
	t->word = aligned_alloc(CACHE_LINE, words * sizeof(*t->word));
	t->sa = calloc(places, sizeof(*t->sa));
	if (!t->word || !t->sa) {
		table_free(t);
		return NULL;
	}
	memset((void *)t->word, 0, words * sizeof(*t->word));
	return t;
}

static void table_insert(struct sad_table *t, uint64_t w)
{
	uint32_t i = home_of(t, (uint32_t)(w >> 32));
	while (atomic_load_explicit(&t->word[i], memory_order_relaxed) != WORD_EMPTY)
		i = (i + 1) & t->mask;
	/* The SA behind the place was stored before: whoever sees the word sees it. */
	atomic_store_explicit(&t->word[i], w, memory_order_release);
}

/* Position of the word with this key, or -1. */
static inline int64_t table_find(const struct sad_table *t, uint32_t spi, uint64_t key,
				 uint64_t *word)
{
	for (uint32_t i = home_of(t, spi);; i = (i + 1) & t->mask) {
		uint64_t w = atomic_load_explicit(&t->word[i], memory_order_acquire);
		if ((w & ~WORD_PLACE) == key) {
			*word = w;
			return i;
		}
		if (w == WORD_EMPTY)
			return -1;
	}
}

static struct sa *sa_at(const struct sad_table *t, uint64_t word)
{
	return atomic_load_explicit(&t->sa[(word & WORD_PLACE) - 1], memory_order_acquire);
}

/* The word of the SA to a group that is found by exactly this; hashes may be equal. */
static int64_t group_find(const struct sad_table *t, uint32_t spi, uint8_t proto,
			  const struct ip_addr *dst, const struct ip_addr *src, uint64_t *word)
{
	uint32_t hash = group_hash(spi, dst, src);
	uint64_t key = key_of(hash, proto) | WORD_GROUP;

	for (uint32_t i = home_of(t, hash);; i = (i + 1) & t->mask) {
		uint64_t w = atomic_load_explicit(&t->word[i], memory_order_acquire);
		if (w == WORD_EMPTY)
			return -1;
		const struct sa *sa = (w & ~WORD_PLACE) == key ? sa_at(t, w) : NULL;
		if (!sa || sa->spi != spi || !ip_addr_eq(&sa->conf->dst, dst) ||
		    sa_conf_is_from_one(sa->conf) != (src != NULL) ||
		    (src && !ip_addr_eq(&sa->conf->src, src)))
			continue;
		*word = w;
		return i;
	}
}

/* The word of an inbound SA like this one, or -1. */
static int64_t find_like(const struct sad_table *t, const struct sa *sa, uint64_t *word)
{
	const struct sa_conf *c = sa->conf;

	if (!sa->group)
		return table_find(t, sa->spi, key_of(sa->spi, sa->proto), word);
	return group_find(t, sa->spi, sa->proto, &c->dst, sa_conf_is_from_one(c) ? &c->src : NULL,
			  word);
}

struct sad *sad_new(void)
{
	struct sad *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->table = table_new(WORDS_MIN, PLACES_MIN);
	s->next_free = calloc(PLACES_MIN, sizeof(*s->next_free));
	s->name_head = calloc(PLACES_MIN, sizeof(*s->name_head));
	if (!s->table || !s->next_free || !s->name_head) {
		table_free(s->table);
		free(s->next_free);
		free(s->name_head);
		free(s);
		return NULL;
	}
	memset(s->name_head, 0xff, PLACES_MIN * sizeof(*s->name_head));
	s->free_place = NO_PLACE;
	random_bytes(s->name_key, sizeof(s->name_key));
	return s;
}

void sad_free(struct sad **sp)
{
	struct sad *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	synchronize_rcu();
	sad_reap(s);
	for (uint32_t i = 0; i < s->next_place; i++) {
		struct sa *sa = s->table->sa[i];
		if (sa)
			sa_unref(&sa);
	}
	table_free(s->table);
	free(s->next_free);
	free(s->name_head);
	free(s);
}

/* ---- names: the writer's chained hash ------------------------------------------------------ */

static const char *name_of(const struct sa *sa)
{
	return sa->conf ? sa->conf->name : NULL;
}

static uint32_t *name_chain(const struct sad *s, const char *name)
{
	uint64_t h;
	crypto_shorthash((uint8_t *)&h, (const uint8_t *)name, strlen(name), s->name_key);
	return &s->name_head[h & (s->table->places - 1)];
}

static void name_link(struct sad *s, uint32_t place, const char *name)
{
	uint32_t *head = name_chain(s, name);
	s->next_free[place] = *head;
	*head = place;
}

static void name_unlink(struct sad *s, uint32_t place, const char *name)
{
	uint32_t *at = name_chain(s, name);
	while (*at != NO_PLACE && *at != place)
		at = &s->next_free[*at];
	if (*at == place)
		*at = s->next_free[place];
}

struct sa *sad_by_name(struct sad *s, const char *name)
{
	for (uint32_t i = *name_chain(s, name); i != NO_PLACE; i = s->next_free[i]) {
		struct sa *sa = s->table->sa[i];
		if (strcmp(name_of(sa), name) == 0)
			return sa;
	}
	return NULL;
}

/* ---- the writer ---------------------------------------------------------------------------- */

/* Names hash into as many chains as there are places: a new number of places puts them all
 * elsewhere. */
static int names_grow(struct sad *s, uint32_t places)
{
	uint32_t *next = realloc(s->next_free, places * sizeof(*next));
	if (!next)
		return -ENOMEM;
	s->next_free = next;
	uint32_t *head = malloc(places * sizeof(*head));
	if (!head)
		return -ENOMEM;
	memset(head, 0xff, places * sizeof(*head));
	free(s->name_head);
	s->name_head = head;
	return 0;
}

static void names_relink(struct sad *s)
{
	for (uint32_t i = 0; i < s->next_place; i++) {
		struct sa *sa = s->table->sa[i];
		if (sa && name_of(sa))
			name_link(s, i, name_of(sa));
	}
}

/* Publishes a table with room for one more SA when the present one has none. Words of removed SAs
 * are left behind. */
static int make_room(struct sad *s)
{
	struct sad_table *old = s->table;
	uint32_t words = old->mask + 1, places = old->places;
	bool more_places = s->free_place == NO_PLACE && s->next_place == places;

	if (s->used + 1 <= words / 2 && !more_places)
		return 0;
	if (s->count + 1 > words / 4)
		words *= 2;
	if (more_places)
		places *= 2;
	struct sad_table *t = table_new(words, places);
	if (!t)
		return -ENOMEM;
	if (more_places && names_grow(s, places)) {
		table_free(t);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->next_place; i++)
		t->sa[i] = old->sa[i];
	s->used = 0;
	for (uint32_t i = 0; i <= old->mask; i++) {
		uint64_t w = old->word[i];
		if (w != WORD_EMPTY && w != WORD_REMOVED) {
			table_insert(t, w);
			s->used++;
		}
	}
	rcu_assign_pointer(s->table, t);
	if (more_places)
		names_relink(s);
	synchronize_rcu();
	table_free(old);
	return 0;
}

int sad_install(struct sad *s, struct sa *sa)
{
	uint64_t key = key_of_sa(sa), word;
	const char *name = name_of(sa);

	if (sa->spi == 0)
		return -EINVAL;
	if (sa->dir == DIR_IN && find_like(s->table, sa, &word) >= 0)
		return -EEXIST;
	if (name && sad_by_name(s, name))
		return -EEXIST;
	int rc = make_room(s);
	if (rc)
		return rc;

	uint32_t place = s->free_place;
	if (place != NO_PLACE)
		s->free_place = s->next_free[place];
	else
		place = s->next_place++;
	sa->index = place;
	atomic_store_explicit(&s->table->sa[place], sa_ref(sa), memory_order_release);
	if (name)
		name_link(s, place, name);
	if (sa->dir == DIR_IN) {
		table_insert(s->table, key | (place + 1));
		s->used++;
		s->groups += sa->group;
	}
	s->count++;
	return 0;
}

/* Out of the readers' sight; the place and the reference stay until a grace period is over. */
static bool hide(struct sad *s, struct sa *sa)
{
	struct sad_table *t = s->table;
	uint64_t word;

	if (sa->index >= s->next_place || t->sa[sa->index] != sa)
		return false;
	if (sa->dir == DIR_IN) {
		int64_t i = find_like(t, sa, &word);
		if (i >= 0)
			atomic_store_explicit(&t->word[i], WORD_REMOVED, memory_order_relaxed);
		s->groups -= sa->group;
	}
	if (name_of(sa))
		name_unlink(s, sa->index, name_of(sa));
	atomic_store_explicit(&t->sa[sa->index], NULL, memory_order_relaxed);
	s->count--;
	return true;
}

/* After a grace period: the place may be another's, and the reference goes. */
static void give_up(struct sad *s, struct sa *sa)
{
	s->next_free[sa->index] = s->free_place;
	s->free_place = sa->index;
	sa_unref(&sa);
}

void sad_retire(struct sad *s, struct sa *sa)
{
	if (!hide(s, sa))
		return;
	sa->retired = true;
	sa->next_retired = s->retired;
	s->retired = sa;
}

bool sad_has_retired(const struct sad *s)
{
	return s->retired != NULL;
}

void sad_reap(struct sad *s)
{
	while (s->retired) {
		struct sa *sa = s->retired;
		s->retired = sa->next_retired;
		give_up(s, sa);
	}
}

void sad_remove_many(struct sad *s, struct sa **sas, unsigned n)
{
	/* Hidden ones are gathered at the front: what was not installed, or named twice, is left
	 * alone. */
	unsigned hidden = 0;
	for (unsigned i = 0; i < n; i++) {
		struct sa *sa = sas[i];
		if (hide(s, sa)) {
			sas[i] = sas[hidden];
			sas[hidden++] = sa;
		}
	}
	if (hidden == 0)
		return;
	synchronize_rcu();
	for (unsigned i = 0; i < hidden; i++) {
		give_up(s, sas[i]);
		sas[i] = NULL;
	}
}

void sad_remove(struct sad *s, struct sa *sa)
{
	sad_remove_many(s, &sa, 1);
}

unsigned sad_count(const struct sad *s)
{
	return s->count;
}

void sad_each(struct sad *s, void (*cb)(struct sa *sa, void *arg), void *arg)
{
	for (uint32_t i = 0; i < s->next_place; i++) {
		struct sa *sa = s->table->sa[i];
		if (sa)
			cb(sa, arg);
	}
}

/* ---- readers ------------------------------------------------------------------------------- */

struct sa *sad_lookup(const struct sad *s, uint32_t spi, uint8_t proto)
{
	const struct sad_table *t = rcu_dereference(s->table);
	uint64_t word;

	if (spi == 0 || table_find(t, spi, key_of(spi, proto), &word) < 0)
		return NULL;
	/* NULL when it was removed between the two loads. */
	return sa_at(t, word);
}

bool sad_has_groups(const struct sad *s)
{
	return atomic_load_explicit(&s->groups, memory_order_relaxed) != 0;
}

struct sa *sad_lookup_group(const struct sad *s, uint32_t spi, uint8_t proto,
			    const struct ip_addr *dst, const struct ip_addr *src)
{
	const struct sad_table *t = rcu_dereference(s->table);
	uint64_t word;

	if (group_find(t, spi, proto, dst, src, &word) < 0 &&
	    group_find(t, spi, proto, dst, NULL, &word) < 0)
		return sad_lookup(s, spi, proto);
	return sa_at(t, word);
}

void sad_prefetch(const struct sad *s, uint32_t spi, uint8_t proto)
{
	(void)proto;
	const struct sad_table *t = rcu_dereference(s->table);
	__builtin_prefetch((const void *)&t->word[home_of(t, spi)]);
}
