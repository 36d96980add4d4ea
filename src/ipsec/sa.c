/*
 * A security association's life: made from a checked configuration (keys expanded, then wiped),
 * gives out sequence numbers, counts what it protected against its lifetimes, dies. What does not
 * fit RFC 4303 is refused here, with a sentence.
 */
#include "ipsec/sa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ipsec/ah.h"

#define SPI_MIN           256u /* 1..255 are IANA's (RFC 4303 2.1) */
#define ESP_HEADER        8u   /* SPI and sequence number */
#define ESP_TRAILER       2u   /* pad length and next header */
#define UDP_HEADER        8u
#define OUTER_MTU_MAX     65535u

static unsigned outer_header(int ver)
{
	return ver == 4 ? 20 : 40; /* not known yet: the larger */
}

/* What stands in front of and behind the padded text. */
static unsigned overhead_fixed(const struct sa *sa, int outer_ver)
{
	if (sa->proto == SA_AH)
		return outer_header(outer_ver) + ah_len(sa, outer_ver == 4 ? 4 : 6);
	return outer_header(outer_ver) + (sa->encap == SA_ENCAP_UDP ? UDP_HEADER : 0) + ESP_HEADER +
	       sa->iv_len + sa->icv_len;
}

uint32_t sa_inner_mtu(const struct sa *sa, uint32_t outer_mtu, int outer_ver)
{
	unsigned fixed = overhead_fixed(sa, outer_ver);

	if (outer_mtu > OUTER_MTU_MAX)
		outer_mtu = OUTER_MTU_MAX;
	if (outer_mtu < fixed)
		return 0;
	/* In transport mode the packet's own IP header is the outer one. */
	unsigned own = sa->mode == SA_TRANSPORT ? outer_header(outer_ver) : 0;
	if (sa->proto == SA_AH)
		return outer_mtu - fixed + own;
	uint32_t text = outer_mtu - fixed;
	if (text > CRYPT_TEXT_MAX)
		text = CRYPT_TEXT_MAX;
	/* The packet, its padding and the trailer fill whole blocks (RFC 4303 2.4). */
	text -= text % sa->align;
	return text > ESP_TRAILER ? text - ESP_TRAILER + own : 0;
}

/* ---- making one ---------------------------------------------------------------------------- */

static int refuse(int rc, char *why, size_t whylen, const char *sentence)
{
	snprintf(why, whylen, "%s", sentence);
	return rc;
}

static int check_keys(const struct sa_conf *c, char *why, size_t whylen)
{
	unsigned encr = c->suite.key_len + c->suite.encr->salt_len;
	unsigned integ = c->suite.integ ? c->suite.integ->key_len : 0;
	char name[48];

	if (c->encr_key.len != encr) {
		snprintf(why, whylen, "%s needs a key of %u bytes (%u of them salt), not %zu",
			 esp_suite_name(&c->suite, name), encr, c->suite.encr->salt_len,
			 c->encr_key.len);
		return -EINVAL;
	}
	if (c->integ_key.len != integ) {
		snprintf(why, whylen, "%s needs an integrity key of %u bytes, not %zu",
			 esp_suite_name(&c->suite, name), integ, c->integ_key.len);
		return -EINVAL;
	}
	return 0;
}

static int check_conf(const struct sa_conf *c, char *why, size_t whylen)
{
	if (c->proto == SA_AH && c->encap != SA_ENCAP_NONE)
		return refuse(
		    -EINVAL, why, whylen,
		    "AH covers the addresses and cannot cross a NAT: there is no AH in UDP");
	if (c->proto == SA_AH && c->suite.encr && c->suite.encr->id != ENCR_NULL &&
	    c->suite.encr->id != ENCR_NULL_AUTH_AES_GMAC)
		return refuse(-EINVAL, why, whylen, "AH does not encrypt");
	if ((c->mode == SA_TRANSPORT || (c->proto == SA_AH && !c->preserve)) && c->dir == DIR_OUT &&
	    (!c->src.ver || ip_addr_is_any(&c->src)))
		return refuse(
		    -EINVAL, why, whylen,
		    "transport mode and AH need the address their packets come from (src)");
	if (sa_conf_is_group(c) && !c->interface)
		return refuse(
		    -EINVAL, why, whylen,
		    "an SA to a multicast group needs the interface that the group is on");
	if (c->preserve &&
	    (!sa_conf_is_group(c) || c->mode != SA_TUNNEL || c->encap != SA_ENCAP_NONE))
		return refuse(
		    -EINVAL, why, whylen,
		    "addresses are preserved in tunnels to multicast groups, without UDP");
	if (sa_conf_is_group(c) && c->dir == DIR_IN && !sa_conf_is_from_one(c) &&
	    (c->replay_window || c->esn))
		return refuse(-EINVAL, why, whylen,
			      "an SA of several senders has no replay window and no extended "
			      "sequence numbers "
			      "(RFC 4303 2.2)");
	if (c->sender_bits &&
	    (c->sender_id >> c->sender_bits || c->sender_bits < 8 || c->sender_bits > 16))
		return refuse(-EINVAL, why, whylen,
			      "the number of the sender does not fit its size");
	if (c->spi < SPI_MIN)
		return refuse(-EINVAL, why, whylen, "an SPI below 256 is reserved");
	if (c->src.ver && c->dst.ver && c->src.ver != c->dst.ver)
		return refuse(-EINVAL, why, whylen,
			      "outer source and destination are of different IP versions");
	if (c->replay_window &&
	    (c->replay_window < REPLAY_WINDOW_MIN || c->replay_window > REPLAY_WINDOW_MAX))
		return refuse(-EINVAL, why, whylen, "a replay window is 0 or 32 to 65536 packets");
	if (c->dscp < -1 || c->dscp > 63)
		return refuse(-EINVAL, why, whylen,
			      "a DSCP is 0 to 63, or -1 to copy the inner one");
	if (!c->suite.encr)
		return refuse(-EINVAL, why, whylen, "no cipher");
	return check_keys(c, why, whylen);
}

static uint64_t or_never(uint64_t limit)
{
	return limit ? limit : UINT64_MAX;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The next count at which sa_count() has to look closer. */
static void set_limits(struct sa *sa)
{
	const struct sa_lifetime *l = &sa->conf->life;
	uint64_t bytes = UINT64_MAX, packets = UINT64_MAX;

	if (!atomic_load_explicit(&sa->hard_raised, memory_order_relaxed)) {
		bytes = or_never(l->hard_bytes);
		packets = or_never(l->hard_packets);
		if (!atomic_load_explicit(&sa->soft_raised, memory_order_relaxed)) {
			bytes = smaller(bytes, or_never(l->soft_bytes));
			packets = smaller(packets, or_never(l->soft_packets));
		}
	}
	atomic_store_explicit(&sa->limit_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&sa->limit_packets, packets, memory_order_relaxed);
}

/*
 * The explicit IV of a counter mode must never repeat under one key (RFC 4106 2, RFC 3686 2.1), and
 * a manual key outlives a restart while its sequence numbers begin at 1 again. So IVs count on from
 * the wall clock's nanoseconds at installation. One packet per nanosecond is more than any machine
 * sends: the clock is always ahead of the last IV, and the next start begins beyond it. The limit:
 * this breaks when the clock at the next start is behind the clock at this one plus the packets
 * sent since (set back, or a machine without a battery-backed clock); who cannot exclude that must
 * change the key.
 *
 * One of several senders has only what its number leaves (RFC 6054 3): 56, 52 or 48 bits for as
 * many years, so its clock ticks slower, every 16, 256 or 4096 ns since 2020, and begins anew in
 * 2056. What is left for counting packets until then is more than 2^47.
 */
#define EPOCH_2020_NS (1577836800ull * NS_PER_S)

static uint64_t first_iv(const struct sa_conf *c)
{
	uint64_t now = clock_wall_ns();

	if (!c->sender_bits)
		return now;
	unsigned left = 64u - c->sender_bits;
	uint64_t ticks = (now > EPOCH_2020_NS ? now - EPOCH_2020_NS : 0) >> (60 - left);
	return (uint64_t)c->sender_id << left | (ticks & ((1ull << left) - 1));
}

/* Copies what packets need to the front, and sets the counters' starting points. */
static void fill(struct sa *sa)
{
	const struct sa_conf *c = sa->conf;
	int ver = c->dst.ver ? c->dst.ver : c->src.ver;

	sa->spi = c->spi;
	sa->reqid = c->reqid;
	sa->proto = (uint8_t)c->proto;
	sa->mode = (uint8_t)c->mode & 3;
	sa->encap = (uint8_t)c->encap & 3;
	sa->iv_len = c->suite.iv_len;
	sa->icv_len = c->suite.icv_len;
	sa->align = c->suite.align;
	sa->df = (uint8_t)c->df & 3;
	sa->fragment = (uint8_t)c->fragment & 1;
	sa->esn = c->esn;
	sa->ecn = c->ecn;
	sa->dscp = (int8_t)c->dscp;
	sa->group = sa_conf_is_group(c);
	sa->preserve = c->preserve;
	sa->cycles = c->sender_bits != 0;
	if (c->mode == SA_TRANSPORT && c->encap == SA_ENCAP_UDP && c->dir == DIR_IN)
		sa->csum = (c->oa_src.ver && c->oa_dst.ver ? SA_CSUM_ADJUST : SA_CSUM_SET) & 3;
	unsigned padding = sa->proto == SA_AH ? 0 : ESP_TRAILER + sa->align - 1u;
	sa->overhead_max = (uint16_t)(overhead_fixed(sa, ver) + padding -
				      (sa->mode == SA_TRANSPORT ? outer_header(ver) : 0));
	sa->inner_mtu = sa_inner_mtu(sa, c->path_mtu ? c->path_mtu : SA_OUTER_MTU_DEFAULT, ver);
	sa->installed_ns = clock_now_ns();
	if (c->dir == DIR_OUT)
		sa->iv_base = first_iv(c);
	const struct sa_lifetime *l = &c->life;
	sa->limited = l->soft_bytes || l->hard_bytes || l->soft_packets || l->hard_packets;
	set_limits(sa);
}

static struct sa_path *first_path(const struct sa_conf *c)
{
	struct sa_path *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->src = c->src;
	p->dst.addr = c->dst;
	p->dst.port = c->encap == SA_ENCAP_UDP ? c->dst_port : 0;
	return p;
}

/* Everything but the struct itself; what was not made yet is NULL. */
static void sa_destroy(struct sa *sa)
{
	struct sa_path *path = atomic_load_explicit(&sa->path, memory_order_relaxed);
	sa_path_free(path);
	crypt_key_fini(&sa->key);
	if (sa->dir == DIR_IN)
		replay_fini(&sa->replay);
	sa_conf_free(&sa->conf);
	secret_release(sa, sizeof(*sa));
}

static int make(struct sa *sa, struct sa_conf *conf, unsigned threads, char *why, size_t whylen)
{
	sa->dir = (uint8_t)conf->dir & 1;
	int rc = crypt_key_init(
	    &sa->key, &conf->suite, conf->dir == DIR_OUT ? CRYPT_SEAL : CRYPT_OPEN, conf->esn,
	    secret_view(&conf->encr_key), secret_view(&conf->integ_key), threads);
	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return refuse(rc, why, whylen, "no crypto backend can do this cipher");
	sa->solo = threads == 1;
	rc = conf->dir == DIR_IN ? replay_init(&sa->replay, conf->replay_window, threads == 1) : 0;
	if (rc)
		return rc;
	if (conf->dir == DIR_OUT) {
		struct sa_path *path = first_path(conf);
		if (!path)
			return -ENOMEM;
		atomic_store_explicit(&sa->path, path, memory_order_relaxed);
	}
	sa->conf = malloc(sizeof(*sa->conf));
	return sa->conf ? 0 : -ENOMEM;
}

int sa_new(struct sa_conf *conf, unsigned threads, struct sa **out, char *why, size_t whylen)
{
	*out = NULL;
	if (whylen)
		why[0] = '\0';
	int rc = check_conf(conf, why, whylen);
	if (rc)
		return rc;

	/* beside the key tables and the replay window: a packet that needs one needs all, and they
	 * share huge pages */
	struct sa *sa = secret_alloc(sizeof(*sa));
	if (!sa)
		return refuse(-ENOMEM, why, whylen, "out of memory");
	rc = make(sa, conf, threads, why, whylen);
	if (rc) {
		sa_destroy(sa);
		return rc == -ENOMEM ? refuse(rc, why, whylen, "out of memory") : rc;
	}
	sa_conf_set_key_id(conf);
	secret_free(&conf->encr_key);
	secret_free(&conf->integ_key);
	*sa->conf = *conf;
	memset(conf, 0, sizeof(*conf));
	fill(sa);
	sa->refs = 1;
	*out = sa;
	return 0;
}

struct sa *sa_ref(struct sa *sa)
{
	atomic_fetch_add_explicit(&sa->refs, 1, memory_order_relaxed);
	return sa;
}

void sa_unref(struct sa **sap)
{
	struct sa *sa = *sap;

	*sap = NULL;
	if (sa && atomic_fetch_sub_explicit(&sa->refs, 1, memory_order_acq_rel) == 1)
		sa_destroy(sa);
}

size_t sa_bytes(const struct sa *sa)
{
	size_t n = sizeof(*sa) + (sa->dir == DIR_IN ? replay_bytes(&sa->replay) : 0);

	if (atomic_load_explicit(&((struct sa *)(uintptr_t)sa)->path, memory_order_relaxed))
		n += sizeof(struct sa_path);
	if (sa->conf)
		n += sizeof(*sa->conf) + sa->conf->n_sel * sizeof(*sa->conf->sel) +
		     (sa->conf->name ? strlen(sa->conf->name) + 1 : 0);
	return n;
}

struct sa_path *sa_set_path(struct sa *sa, struct sa_path *path)
{
	/* Release: who sees the pointer sees what it points to. */
	return atomic_exchange_explicit(&sa->path, path, memory_order_acq_rel);
}

void sa_path_free(struct sa_path *p)
{
	if (!p)
		return;
	if (p->prepared && p->prepared_free)
		p->prepared_free(p->prepared);
	free(p);
}

/* ---- what every batch does ----------------------------------------------------------------- */

bool sa_seq_take(struct sa *sa, unsigned n, uint64_t *first)
{
	uint64_t max = sa->esn | sa->cycles ? UINT64_MAX : UINT32_MAX;
	uint64_t last = atomic_load_explicit(&sa->seq, memory_order_relaxed);

	if (sa->solo) {
		if (max - last < n)
			return false;
		atomic_store_explicit(&sa->seq, last + n, memory_order_relaxed);
		*first = last + 1;
		return true;
	}
	do {
		if (max - last < n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &sa->seq, &last, last + n, memory_order_relaxed, memory_order_relaxed));
	*first = last + 1;
	return true;
}

static bool reached(uint64_t count, uint64_t limit)
{
	return limit && count >= limit;
}

/* Exactly one of many callers gets each bit. */
static unsigned expire(struct sa *sa, bool soft, bool hard)
{
	unsigned bits = 0;

	if (hard) {
		atomic_store_explicit(&sa->state, SA_DEAD, memory_order_relaxed);
		if (!atomic_exchange_explicit(&sa->hard_raised, 1, memory_order_relaxed))
			bits |= SA_HARD;
	}
	if (soft && !atomic_exchange_explicit(&sa->soft_raised, 1, memory_order_relaxed))
		bits |= SA_SOFT;
	if (bits)
		set_limits(sa);
	return bits;
}

/* Adds, and returns the sum. */
static uint64_t count_up(const struct sa *sa, _Atomic uint64_t *sum, uint64_t n)
{
	if (!sa->solo)
		return atomic_fetch_add_explicit(sum, n, memory_order_relaxed) + n;
	n += atomic_load_explicit(sum, memory_order_relaxed);
	atomic_store_explicit(sum, n, memory_order_relaxed);
	return n;
}

unsigned sa_count(struct sa *sa, uint64_t packets, uint64_t bytes)
{
	uint64_t p = count_up(sa, &sa->packets, packets);
	uint64_t b = count_up(sa, &sa->bytes, bytes);

	if (likely(!sa->limited) ||
	    (p < atomic_load_explicit(&sa->limit_packets, memory_order_relaxed) &&
	     b < atomic_load_explicit(&sa->limit_bytes, memory_order_relaxed)))
		return 0;
	const struct sa_lifetime *l = &sa->conf->life;
	return expire(sa, reached(p, l->soft_packets) || reached(b, l->soft_bytes),
		      reached(p, l->hard_packets) || reached(b, l->hard_bytes));
}

unsigned sa_seq_low(struct sa *sa)
{
	if (atomic_load_explicit(&sa->soft_raised, memory_order_relaxed))
		return 0;
	return expire(sa, true, false);
}

unsigned sa_check_time(struct sa *sa, uint64_t now_ns)
{
	const struct sa_lifetime *l = &sa->conf->life;
	uint64_t age = now_ns > sa->installed_ns ? now_ns - sa->installed_ns : 0;

	return expire(sa, reached(age, l->soft_ns), reached(age, l->hard_ns));
}
