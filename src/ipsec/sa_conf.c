/* What an SA is made from: ownership, the hash of its keys, and comparing two of them when a
 * configuration is read again. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "ipsec/label.h"
#include "ipsec/sa.h"

void sa_conf_fini(struct sa_conf *conf)
{
	free(conf->name);
	free(conf->sel);
	free(conf->label);
	free(conf->interface);
	secret_free(&conf->encr_key);
	secret_free(&conf->integ_key);
	memset(conf, 0, sizeof(*conf));
}

void sa_conf_free(struct sa_conf **conf)
{
	if (!*conf)
		return;
	sa_conf_fini(*conf);
	free(*conf);
	*conf = NULL;
}

bool sa_conf_is_group(const struct sa_conf *conf)
{
	return ip_addr_is_multicast(&conf->dst);
}

bool sa_conf_is_from_one(const struct sa_conf *conf)
{
	return conf->src.ver && !ip_addr_is_any(&conf->src);
}

static int cmp_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

int sa_conf_order(const struct sa_conf *a, const struct sa_conf *b)
{
	static const struct ip_addr none;
	int c = cmp_u32(a->dir, b->dir);

	c = c ? c : cmp_u32(a->spi, b->spi);
	c = c ? c : cmp_u32(a->proto, b->proto);
	if (c || a->dir == DIR_OUT)
		return c;
	bool ga = sa_conf_is_group(a), gb = sa_conf_is_group(b);
	c = ip_addr_cmp(ga ? &a->dst : &none, gb ? &b->dst : &none);
	return c ? c : ip_addr_cmp(ga && sa_conf_is_from_one(a) ? &a->src : &none,
				   gb && sa_conf_is_from_one(b) ? &b->src : &none);
}

static void hash_secret(crypto_generichash_state *h, const struct secret *s)
{
	uint64_t len =
	    s->len; /* in front, so that where one key ends and the next begins matters */
	crypto_generichash_update(h, (const uint8_t *)&len, sizeof(len));
	if (s->len)
		crypto_generichash_update(h, s->p, s->len);
}

void sa_conf_set_key_id(struct sa_conf *conf)
{
	static uint8_t process_key[crypto_generichash_KEYBYTES];
	static bool have_key;
	crypto_generichash_state h;

	if (!conf->encr_key.p && !conf->integ_key.p)
		return;
	if (!have_key) {
		random_bytes(process_key, sizeof(process_key));
		have_key = true;
	}
	crypto_generichash_init(&h, process_key, sizeof(process_key), sizeof(conf->key_id));
	hash_secret(&h, &conf->encr_key);
	hash_secret(&h, &conf->integ_key);
	crypto_generichash_final(&h, conf->key_id, sizeof(conf->key_id));
	crypto_generichash_init(&h, NULL, 0, sizeof(conf->key_print));
	crypto_generichash_update(&h, (const uint8_t *)&conf->spi, sizeof(conf->spi));
	hash_secret(&h, &conf->encr_key);
	hash_secret(&h, &conf->integ_key);
	crypto_generichash_final(&h, conf->key_print, sizeof(conf->key_print));
	wipe(&h, sizeof(h));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_suite(const struct esp_suite *a, const struct esp_suite *b)
{
	return a->encr == b->encr && a->integ == b->integ && a->key_len == b->key_len &&
	       a->iv_len == b->iv_len && a->icv_len == b->icv_len && a->align == b->align;
}

static bool same_life(const struct sa_lifetime *a, const struct sa_lifetime *b)
{
	return a->soft_bytes == b->soft_bytes && a->hard_bytes == b->hard_bytes &&
	       a->soft_packets == b->soft_packets && a->hard_packets == b->hard_packets &&
	       a->soft_ns == b->soft_ns && a->hard_ns == b->hard_ns;
}

static bool same_ports(const struct port_range *a, const struct port_range *b)
{
	return a->match == b->match &&
	       (a->match != PORT_RANGE || (a->lo == b->lo && a->hi == b->hi));
}

static bool same_range(const struct ip_range *a, const struct ip_range *b)
{
	return ip_addr_eq(&a->lo, &b->lo) && ip_addr_eq(&a->hi, &b->hi);
}

static bool same_label(const struct label_range *a, const struct label_range *b)
{
	return a == b || (a && b && label_range_eq(a, b));
}

static bool same_selectors(const struct sa_conf *a, const struct sa_conf *b)
{
	if (a->n_sel != b->n_sel)
		return false;
	for (unsigned i = 0; i < a->n_sel; i++) {
		const struct selector *x = &a->sel[i], *y = &b->sel[i];
		if (x->proto != y->proto || !same_range(&x->local, &y->local) ||
		    !same_range(&x->remote, &y->remote) ||
		    !same_ports(&x->local_port, &y->local_port) ||
		    !same_ports(&x->remote_port, &y->remote_port))
			return false;
	}
	return true;
}

bool sa_conf_same(const struct sa_conf *a, const struct sa_conf *b)
{
	return same_text(a->name, b->name) && a->proto == b->proto && a->mode == b->mode &&
	       a->dir == b->dir && a->spi == b->spi && a->reqid == b->reqid &&
	       a->bundle_n == b->bundle_n && a->bundle_at == b->bundle_at &&
	       ip_addr_eq(&a->src, &b->src) && ip_addr_eq(&a->dst, &b->dst) &&
	       a->src_port == b->src_port && a->dst_port == b->dst_port && a->encap == b->encap &&
	       ip_addr_eq(&a->oa_src, &b->oa_src) && ip_addr_eq(&a->oa_dst, &b->oa_dst) &&
	       same_suite(&a->suite, &b->suite) &&
	       memcmp(a->key_id, b->key_id, sizeof(a->key_id)) == 0 && a->esn == b->esn &&
	       a->replay_window == b->replay_window && same_text(a->interface, b->interface) &&
	       a->preserve == b->preserve && a->sender_id == b->sender_id &&
	       a->sender_bits == b->sender_bits && same_life(&a->life, &b->life) &&
	       a->df == b->df && a->fragment == b->fragment && a->ecn == b->ecn &&
	       a->dscp == b->dscp && a->match_dscp == b->match_dscp &&
	       same_label(a->label, b->label) && a->path_mtu == b->path_mtu &&
	       a->mss_clamp == b->mss_clamp && same_selectors(a, b);
}
