/* Connections, IKE SAs, certificates and the progress of orders, from JSON to text. */
#include "control/format_priv.h"

static void pad(int indent, FILE *to)
{
	fprintf(to, "%*s", indent, "");
}

/* ", next rekey in 2h 5m": when it is known. */
static void in_time(const json_t *o, const char *key, const char *label, FILE *to)
{
	char t[FORMAT_LEN];

	if (json_is_integer(json_object_get(o, key)))
		fprintf(to, ", %s %s", label, format_seconds(number(o, key), t));
}

/* ---- IKE SAs ----------------------------------------------------------------------------------
 */

static void child(const json_t *c, int indent, FILE *to)
{
	const json_t *out = json_object_get(c, "out"), *in = json_object_get(c, "in");
	char a[FORMAT_LEN], b[FORMAT_LEN];

	pad(indent, to);
	fprintf(to, "%s: %s, ", text(c, "name"), text(c, "state"));
	format_names(json_object_get(c, "local_ts"), " ", to);
	fprintf(to, " === ");
	format_names(json_object_get(c, "remote_ts"), " ", to);
	fputc('\n', to);
	pad(indent + 2, to);
	fprintf(to, "%s %s%s, %s, spi in %s out %s, reqid %d", text(c, "proto"), text(c, "mode"),
		strcmp(text(c, "encap"), "udp") == 0 ? " in UDP" : "", text(c, "proposal"),
		text(c, "spi_in"), text(c, "spi_out"), (int)number(c, "reqid"));
	const json_t *ah = json_object_get(c, "ah");
	if (ah)
		fprintf(to, ", inside ah %s spi in %s out %s", text(ah, "proposal"), text(ah, "spi_in"),
			text(ah, "spi_out"));
	in_time(c, "age_s", "installed", to);
	fprintf(to, "%s", json_is_integer(json_object_get(c, "age_s")) ? " ago" : "");
	in_time(c, "rekey_in_s", "next rekey in", to);
	fputc('\n', to);
	pad(indent + 2, to);
	fprintf(to, "out %llu packets, %s; in %llu packets, %s",
		(unsigned long long)number(out, "packets"), format_bytes(number(out, "bytes"), a),
		(unsigned long long)number(in, "packets"), format_bytes(number(in, "bytes"), b));
	in_time(in, "idle_s", "last received", to);
	fprintf(to, "%s\n", json_is_integer(json_object_get(in, "idle_s")) ? " ago" : "");
}

static const char *nat_words(const json_t *nat)
{
	bool here = yes(nat, "local"), there = yes(nat, "remote");

	if (here && there)
		return ", NAT in front of us and of the peer";
	if (here)
		return ", NAT in front of us";
	return there ? ", NAT in front of the peer" : "";
}

/* What only peers from afar have. */
static void inner(const json_t *sa, int indent, FILE *to)
{
	static const struct {
		const char *key, *words;
	} row[] = { { "vips", "our address by it: " }, { "leases", "the peer's address by us: " } };

	if (json_is_string(json_object_get(sa, "user"))) {
		pad(indent, to);
		fprintf(to, "user %s\n", text(sa, "user"));
	}
	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		const json_t *v = json_object_get(sa, row[i].key);
		if (!json_array_size(v))
			continue;
		pad(indent, to);
		fputs(row[i].words, to);
		format_names(v, ", ", to);
		fputc('\n', to);
	}
}

void format_ike_sa(const json_t *sa, int indent, FILE *to)
{
	char t[FORMAT_LEN];
	size_t i;
	json_t *c;

	pad(indent, to);
	fprintf(to, "%s: IKEv%d #%d %s", text(sa, "name"), (int)number(sa, "version"),
		(int)number(sa, "id"), text(sa, "state"));
	if (json_is_integer(json_object_get(sa, "age_s")))
		fprintf(to, " for %s", format_seconds(number(sa, "age_s"), t));
	fprintf(to, ", started by %s%s\n",
		strcmp(text(sa, "started_by"), "us") == 0 ? "us" : "the peer",
		nat_words(json_object_get(sa, "nat")));
	pad(indent + 2, to);
	fprintf(to, "%s (%s) === %s (%s)\n", text(sa, "local"), text(sa, "local_id"),
		text(sa, "remote"), text(sa, "remote_id"));
	inner(sa, indent + 2, to);
	pad(indent + 2, to);
	fprintf(to, "%s", text(sa, "proposal"));
	in_time(sa, "rekey_in_s", "next rekey in", to);
	in_time(sa, "reauth_in_s", "new authentication in", to);
	fprintf(to, ", spi %s %s\n", text(sa, "spi_i"), text(sa, "spi_r"));
	json_array_foreach(json_object_get(sa, "children"), i, c) child(c, indent + 2, to);
}

/* ---- connections ------------------------------------------------------------------------------
 */

static void last_failure(const json_t *conn, int indent, FILE *to)
{
	const json_t *f = json_object_get(conn, "last_failure");
	char at[FORMAT_LEN];

	if (!json_is_object(f))
		return;
	pad(indent, to);
	fprintf(to, "last failure %s: %s\n", format_when((time_t)number(f, "when"), at),
		text(f, "what"));
}

static void sas_of(const json_t *conn, int indent, FILE *to)
{
	const json_t *sas = json_object_get(conn, "sas");
	size_t i, shown = json_array_size(sas);
	json_t *sa;

	json_array_foreach(sas, i, sa) format_ike_sa(sa, indent, to);
	if (number(conn, "n_sas") > shown) {
		pad(indent, to);
		fprintf(to, "and %llu more: bumpwire list sas\n",
			(unsigned long long)(number(conn, "n_sas") - shown));
	}
}

void format_connections(const json_t *conns, FILE *to)
{
	size_t i;
	json_t *c;

	if (json_array_size(conns) == 0)
		return;
	fprintf(to, "connections:\n");
	json_array_foreach(conns, i, c)
	{
		if (number(c, "n_sas") == 0)
			fprintf(to, "  %s: down\n", text(c, "name"));
		sas_of(c, 2, to);
		last_failure(c, 4, to);
	}
}

static const char *auth_words(const char *auth)
{
	static const char *const row[][2] = { { "psk", "shared secret" },
					      { "psk+xauth", "shared secret, then XAUTH" },
					      { "pubkey+xauth", "public key, then XAUTH" },
					      { "xauth", "XAUTH alone" } };

	for (unsigned i = 0; i < ARRAY_LEN(row); i++)
		if (strcmp(row[i][0], auth) == 0)
			return row[i][1];
	return "public key";
}

static void side(const json_t *conn, const char *key, FILE *to)
{
	const json_t *s = json_object_get(conn, key);

	fprintf(to, "  %-7s ", key);
	format_names(json_object_get(s, "addrs"), ", ", to);
	fprintf(to, ", id %s, by %s\n",
		json_is_string(json_object_get(s, "id")) ? text(s, "id") : "%any",
		auth_words(text(s, "auth")));
}

void format_conns(const json_t *conns, FILE *to)
{
	size_t i, j;
	json_t *c, *ch;

	json_array_foreach(conns, i, c)
	{
		fprintf(to, "%s: %s%.0d, %llu IKE SAs, %llu children\n", text(c, "name"),
			number(c, "version") ? "IKEv" : "any version of IKE",
			(int)number(c, "version"), (unsigned long long)number(c, "n_sas"),
			(unsigned long long)number(c, "n_children"));
		side(c, "local", to);
		side(c, "remote", to);
		fprintf(to, "  proposals ");
		format_names(json_object_get(c, "proposals"), ", ", to);
		fputc('\n', to);
		json_array_foreach(json_object_get(c, "children"), j, ch)
		{
			fprintf(to, "  child %s: %s %s, start_action %s\n    ", text(ch, "name"),
				text(ch, "proto"), text(ch, "mode"), text(ch, "start_action"));
			format_names(json_object_get(ch, "local_ts"), " ", to);
			fprintf(to, " === ");
			format_names(json_object_get(ch, "remote_ts"), " ", to);
			fprintf(to, "\n    ");
			format_names(json_object_get(ch, "proposals"), ", ", to);
			fputc('\n', to);
		}
		sas_of(c, 2, to);
		last_failure(c, 2, to);
	}
}

/* ---- leases ------------------------------------------------------------------------------------
 */

void format_leases(const json_t *leases, FILE *to)
{
	char t[FORMAT_LEN];
	size_t i;
	json_t *l;

	json_array_foreach(leases, i, l)
	{
		fprintf(to, "%s: %s, pool %s, ", text(l, "addr"), text(l, "who"), text(l, "pool"));
		if (number(l, "held"))
			fprintf(to, "in use at %s\n", text(l, "peer"));
		else
			fprintf(to, "given back %s\n",
				format_when((time_t)number(l, "returned"), t));
	}
}

/* ---- certificates -----------------------------------------------------------------------------
 */

static void validity(const json_t *c, FILE *to)
{
	char from[FORMAT_LEN], until[FORMAT_LEN], in[FORMAT_LEN];
	time_t now = time(NULL), a = (time_t)number(c, "not_before"),
	       b = (time_t)number(c, "not_after");

	fprintf(to, "  valid from %s until %s", format_when(a, from), format_when(b, until));
	if (now < a)
		fprintf(to, ": not yet");
	else if (now > b)
		fprintf(to, ": expired");
	else
		fprintf(to, " (%s left)", format_seconds((uint64_t)(b - now), in));
	fputc('\n', to);
}

void format_certs(const json_t *certs, FILE *to)
{
	size_t i;
	json_t *c;

	json_array_foreach(certs, i, c)
	{
		bool cert = json_is_string(json_object_get(c, "subject"));
		fprintf(to, "%s %s\n  %s%s", text(c, "kind"),
			cert ? text(c, "subject") : text(c, "file"), text(c, "key"),
			yes(c, "private_key") ? ", with its private key" : "");
		if (json_is_string(json_object_get(c, "file")))
			fprintf(to, ", from %s", text(c, "file"));
		fputc('\n', to);
		if (cert) {
			fprintf(to, "  issued by %s\n", text(c, "issuer"));
			validity(c, to);
		}
		if (json_array_size(json_object_get(c, "alt_names"))) {
			fprintf(to, "  names: ");
			format_names(json_object_get(c, "alt_names"), ", ", to);
			fputc('\n', to);
		}
		if (json_array_size(json_object_get(c, "used_by"))) {
			fprintf(to, "  used by ");
			format_names(json_object_get(c, "used_by"), ", ", to);
			fputc('\n', to);
		}
	}
}

/* ---- orders -----------------------------------------------------------------------------------
 */

void format_progress(const json_t *ev, FILE *to)
{
	const char *conn = json_string_value(json_object_get(ev, "conn")),
		   *name = json_string_value(json_object_get(ev, "child")),
		   *said = json_string_value(json_object_get(ev, "text"));

	if (!said && strcmp(text(ev, "event"), "order_done") == 0)
		said = "done";
	fprintf(to, "%s%s%s%s%s\n", conn ? conn : "", conn && name ? "/" : "", name ? name : "",
		conn || name ? ": " : "", said ? said : text(ev, "event"));
}
