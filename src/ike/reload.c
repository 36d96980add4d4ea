/*
 * A new configuration while the engine runs. Connections that mean the same keep all they have (and
 * the configuration they began with); the others are closed; then what is new is begun, in the
 * order of the new file: connections, and children of those that stay. Secrets, authorities and
 * limits are the new ones for every proof from now on.
 */
#include "ike/engine.h"

static const struct ike_conn_conf *find_same(const struct ike_conf *conf, const struct ike_conn *c)
{
	for (unsigned i = 0; i < conf->n_conn; i++)
		if (strcmp(conf->conn[i].name, c->conf->name) == 0 &&
		    ike_conn_same_itself(&conf->conn[i], c->conf))
			return &conf->conn[i];
	return NULL;
}

void ike_reload(struct ike *ike, struct ike_conf *conf)
{
	struct ike_conf *old = ike->conf;

	ike_enter(ike);
	ike->conf = ike_conf_ref(conf);
	ike_set_limits(ike);
	list_for_each_safe (l, &ike->conns) {
		struct ike_conn *c = list_entry(l, struct ike_conn, link);
		if (!find_same(conf, c))
			ike_conn_close(c);
	}
	for (unsigned i = 0; i < conf->n_conn; i++) {
		struct ike_conn *c = ike_conn_find(ike, conf->conn[i].name);
		if (c) { /* stays; its place in the order and its children may be others */
			list_del(&c->link);
			list_push_back(&ike->conns, &c->link);
			if (ike_conn_children_change(c, conf, &conf->conn[i]))
				log_error(LOG_IKE, "conn %s: out of memory: its children stay as they are",
					  conf->conn[i].name);
		} else if (ike_conns_add(ike, conf, &conf->conn[i])) {
			log_error(LOG_IKE, "conn %s: out of memory", conf->conn[i].name);
		} else {
			ike_conn_start_actions(list_entry(ike->conns.prev, struct ike_conn, link));
		}
	}
	ike_conf_unref(&old);
	ike_leave(ike);
}
