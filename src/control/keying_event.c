/*
 * What the engine tells: every event is a line for `monitor`; one that belongs to an order also
 * goes to the client that gave the order, once the answer with its number is out. When keys are
 * told and the configuration allows it, they are kept as lines for Wireshark.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/secret.h"
#include "control/keying_priv.h"
#include "control/keys.h"
#include "ike/keymat.h"

#define KEPT_MAX 4096 /* lines of each table: the latest */
#define KEY_LINE 1024

/* ---- events -----------------------------------------------------------------------------------
 */

static const char *const event_name[] = {
	[IKE_EV_SA_UP] = "ike_up",
	[IKE_EV_SA_DOWN] = "ike_down",
	[IKE_EV_SA_REKEYED] = "ike_rekeyed",
	[IKE_EV_CHILD_UP] = "child_up",
	[IKE_EV_CHILD_DOWN] = "child_down",
	[IKE_EV_CHILD_REKEYED] = "child_rekeyed",
	[IKE_EV_PROGRESS] = "ike_progress",
	[IKE_EV_DONE] = "order_done",
	[IKE_EV_FAILED] = "ike_failed",
	[IKE_EV_PEER_MOVED] = "ike_peer_moved",
	[IKE_EV_LEASE_GIVEN] = "lease_given",
	[IKE_EV_LEASE_BACK] = "lease_returned",
	[IKE_EV_KEYS] = NULL, /* nobody's business */
};

static void set_text(json_t *v, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(v, key, json_string(text));
}

static void set_number(json_t *v, const char *key, uint64_t n)
{
	if (n)
		json_object_set_new(v, key, json_integer((json_int_t)n));
}

static void set_lease(json_t *v, const struct ike_lease *l)
{
	char addr[IP_ADDR_STRLEN];

	set_text(v, "pool", l->pool);
	set_text(v, "addr", ip_addr_format(&l->addr, addr));
	set_text(v, "who", l->who);
}

static void keep_ike(struct keying *k, uint32_t sa_id);

void kevent_tell(void *keying, const struct ike_event *e)
{
	struct keying *k = keying;
	const char *name = e->type < ARRAY_LEN(event_name) ? event_name[e->type] : NULL;

	if (e->type == IKE_EV_KEYS)
		keep_ike(k, e->sa_id);
	if (e->type == IKE_EV_SA_DOWN)
		knet_dirty(k); /* an address it had given us goes */
	if (e->type == IKE_EV_CHILD_UP || e->type == IKE_EV_CHILD_DOWN || e->type == IKE_EV_SA_DOWN)
		knet_dns(k);
	if (!name)
		return;
	json_t *v = json_object();
	set_text(v, "conn", e->conn);
	set_text(v, "child", e->child);
	set_number(v, "ike", e->sa_id);
	set_number(v, "id", e->child_id);
	set_number(v, "order", e->order);
	if (e->lease)
		set_lease(v, e->lease);
	set_text(v, "text", e->text);
	if (e->order && v) {
		json_t *told = json_copy(v);
		if (told) {
			json_object_set_new(told, "event", json_string(name));
			json_array_append_new(k->told, told);
		}
	}
	daemon_event(k->d, name, v);
}

void kevent_audit(void *keying, const struct audit_event *e)
{
	struct keying *k = keying;

	audit_tell(k->d, e);
}

void kevent_flush(struct keying *k)
{
	size_t i;
	json_t *v;

	if (json_array_size(k->told) == 0)
		return;
	knet_flush(k); /* the policies that an `up` waits for are in force when it ends */
	json_array_foreach(k->told, i, v)
	{
		const char *name = json_string_value(json_object_get(v, "event"));
		json_int_t order = json_integer_value(json_object_get(v, "order"));
		bool last = strcmp(name, event_name[IKE_EV_DONE]) == 0 ||
			    strcmp(name, event_name[IKE_EV_FAILED]) == 0;
		if (k->d->server)
			server_tell(k->d->server, (uint64_t)order, v, last);
	}
	json_array_clear(k->told);
}

/* ---- keys for Wireshark -----------------------------------------------------------------------
 */

struct kline {
	struct kline *next;
	char *text; /* secret_alloc() */
	size_t len;
};

static void free_line(struct kline *n)
{
	secret_release(n->text, n->len);
	free(n);
}

static void keep(struct klines *l, char *text)
{
	struct kline *n = calloc(1, sizeof(*n));

	size_t len = strlen(text);

	if (!l->last)
		l->last = &l->first;
	if (n)
		n->text = secret_alloc(n->len = len);
	if (n && n->text)
		memcpy(n->text, text, len);
	wipe(text, len);
	if (!n || !n->text) {
		free(n);
		return;
	}
	*l->last = n;
	l->last = &n->next;
	if (++l->n <= KEPT_MAX)
		return;
	struct kline *oldest = l->first;
	l->first = oldest->next;
	l->n--;
	free_line(oldest);
}

static void drop(struct klines *l)
{
	while (l->first) {
		struct kline *n = l->first;
		l->first = n->next;
		free_line(n);
	}
	*l = (struct klines){ .n = 0 };
}

static bool allowed(struct keying *k)
{
	return k->d->cfg && k->d->cfg->export_keys;
}

static void keep_ike(struct keying *k, uint32_t sa_id)
{
	const struct ike_keys *keys;
	const struct esp_suite *suite;
	struct ike_sa_view v;
	char line[KEY_LINE];

	if (!allowed(k) || ike_keys_of(k->ike, sa_id, &v, &keys, &suite))
		return;
	if (keys_ike_line(&v, keys, suite, line, sizeof(line)))
		keep(v.version == 1 ? &k->ike1_keys : &k->ike_keys, line);
}

void kevent_keep_esp(struct keying *k, const struct sa_conf *c)
{
	char line[KEY_LINE];

	if (allowed(k) && keys_esp_line(c, line, sizeof(line)))
		keep(&k->esp_keys, line);
}

static json_t *lines_of(const struct klines *l)
{
	json_t *v = json_array();

	for (const struct kline *n = l->first; n; n = n->next)
		json_array_append_new(v, json_stringn(n->text, n->len));
	return v;
}

json_t *report_keys(struct daemon *d)
{
	static const struct klines none;
	struct keying *k = d->keying;

	if (!d->cfg || !d->cfg->export_keys)
		return NULL;
	return json_pack("{s:s, s:o, s:o, s:o}", "config", d->conf_path, "esp",
			 lines_of(k ? &k->esp_keys : &none), "ikev1",
			 lines_of(k ? &k->ike1_keys : &none), "ikev2",
			 lines_of(k ? &k->ike_keys : &none));
}

void kevent_fini(struct keying *k)
{
	drop(&k->esp_keys);
	drop(&k->ike1_keys);
	drop(&k->ike_keys);
}
