/* What people read, from JSON as the daemon makes it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/format.h"
#include "test_control.h"

static char *text;

static void clean(void)
{
	free(text);
	text = NULL;
}

static const char *by(void (*format)(const json_t *v, FILE *to), const char *json)
{
	size_t len;
	json_error_t err;
	json_t *v = json_loads(json, JSON_DECODE_ANY, &err);

	ck_assert_msg(v != NULL, "%s", err.text);
	clean();
	FILE *f = open_memstream(&text, &len);
	format(v, f);
	fclose(f);
	json_decref(v);
	return text;
}

START_TEST(test_numbers)
{
	char out[FORMAT_LEN];

	ck_assert_str_eq(format_bytes(0, out), "0 B");
	ck_assert_str_eq(format_bytes(999, out), "999 B");
	ck_assert_str_eq(format_bytes(1000, out), "1.0 kB");
	ck_assert_str_eq(format_bytes(999949, out), "999.9 kB");
	ck_assert_str_eq(format_bytes(999950, out), "1.0 MB");
	ck_assert_str_eq(format_bytes(UINT64_MAX, out), "18.4 EB");
	ck_assert_str_eq(format_seconds(59, out), "59s");
	ck_assert_str_eq(format_seconds(60, out), "1m 0s");
	ck_assert_str_eq(format_seconds(7265, out), "2h 1m");
	ck_assert_str_eq(format_seconds(90000, out), "1d 1h");
	ck_assert_str_eq(format_rate(12345678, out), "12.3 Mbit/s");
	ck_assert_str_eq(format_rate(3, out), "3 bit/s");
}
END_TEST

START_TEST(test_sa)
{
	const char *t =
	    by(format_sas,
	       "[{\"name\":\"a-to-b\",\"dir\":\"out\",\"spi\":\"0x00001001\",\"proto\":\"esp\","
	       "\"mode\":\"tunnel\","
	       "\"state\":\"alive\",\"src\":\"192.0.2.1\",\"dst\":\"%any\",\"encap\":\"udp\","
	       "\"peer\":\"198.51.100.7:1024\","
	       "\"cipher\":\"aes128gcm16\",\"backend\":\"openssl\",\"esn\":false,\"mtu\":1438,"
	       "\"seq\":5,\"packets\":5,"
	       "\"bytes\":1500,\"age_s\":61,\"idle_s\":null,\"lifetime\":{\"soft_left\":{\"bytes\":"
	       "null,\"packets\":null,"
	       "\"seconds\":null},\"hard_left\":{\"bytes\":2000,\"packets\":7,\"seconds\":90}},"
	       "\"drops\":{\"replay\":1,\"auth\":2,\"policy\":0,\"other\":0}}]");

	ck_assert_ptr_nonnull(strstr(t, "a-to-b: out, spi 0x00001001, esp tunnel, alive\n"));
	ck_assert_ptr_nonnull(strstr(t, "192.0.2.1 -> %any in UDP, peer at 198.51.100.7:1024\n"));
	ck_assert_ptr_nonnull(strstr(t, "inner packets up to 1438 bytes"));
	ck_assert_ptr_nonnull(strstr(t, "hard lifetime left: 2.0 kB, 7 packets, 1m 30s\n"));
	ck_assert_ptr_null(strstr(t, "soft lifetime"));
	ck_assert_ptr_null(strstr(t, "used"));
	ck_assert_ptr_nonnull(strstr(t, "1 replayed or too old, 2 failed authentication"));
}
END_TEST

START_TEST(test_policy)
{
	const char *t =
	    by(format_policies,
	       "[{\"order\":0,\"name\":\"net\",\"action\":\"protect\",\"dir\":\"both\","
	       "\"selectors\":[\"10.1.0.0/16 === "
	       "10.2.0.0/16\",\"x === "
	       "y\"],\"out\":[\"a\"],\"in\":[\"b\",\"c\"],\"hits\":3,\"last_hit_s\":null},"
	       "{\"order\":1,\"name\":\"rest\",\"action\":\"discard\",\"dir\":\"out\","
	       "\"selectors\":[\"any\"],\"out\":[],"
	       "\"in\":[],\"hits\":0,\"last_hit_s\":5}]");

	ck_assert_str_eq(t, "0 net: protect\n  10.1.0.0/16 === 10.2.0.0/16\n  x === y\n  out by a; "
			    "in by b, c\n  3 flows\n"
			    "1 rest: discard (out only)\n  any\n  0 flows, the last 5s ago\n");
}
END_TEST

START_TEST(test_status)
{
	const char *t =
	    by(format_status, "{\"version\":\"1.2\",\"pid\":7,\"config\":\"/"
			      "x\",\"started\":0,\"uptime_s\":5,\"workers\":2,\"tun\":{\"name\":"
			      "\"bw0\",\"mtu\":1400,\"offloads\":[\"tso4\"],\"table\":25186,"
			      "\"fwmark\":25207},\"sockets\":{\"udp4\":true,"
			      "\"raw6\":true,\"port\":4500,\"gso\":true,\"gro\":false},\"sas\":{"
			      "\"in\":1,\"out\":2,\"expired\":1},"
			      "\"policies\":4,\"traffic\":{\"out\":{\"packets\":10,\"bytes\":1000,"
			      "\"bits_per_s\":2000,\"packets_per_s\":3}},"
			      "\"drops\":[{\"reason\":\"auth\",\"packets\":9,\"why\":\"because\"}],"
			      "\"last_error\":{\"when\":0,\"what\":\"oh\"}}");

	ck_assert_ptr_nonnull(strstr(t, "bumpwire 1.2, up since 1970-01-01 "));
	ck_assert_ptr_nonnull(strstr(
	    t, "bw0, mtu 1400, offloads tso4, routes in table 25186 (all but fwmark 0x6277)"));
	ck_assert_ptr_nonnull(strstr(t, "UDP over IPv4, raw ESP over IPv6; port 4500, segmentation "
					"offload on, receive coalescing off"));
	ck_assert_ptr_nonnull(strstr(t, "2 out, 1 in, 1 of them expired"));
	ck_assert_ptr_nonnull(strstr(t, "10 packets, 1.0 kB (now 2.0 kbit/s, 3 packets/s)"));
	ck_assert_ptr_nonnull(strstr(t, "auth                        9  because\n"));
	ck_assert_ptr_nonnull(strstr(t, ": oh\n"));
}
END_TEST

START_TEST(test_event)
{
	const char *t = by(format_event, "{\"event\":\"peer_moved\",\"time\":1.5,\"sa\":\"a\","
					 "\"from\":null,\"to\":\"x y\",\"n\":3,"
					 "\"warnings\":[],\"errors\":[\"p\",\"q\"]}");

	ck_assert_ptr_nonnull(strstr(t, ".500 peer_moved sa=a to=\"x y\" n=3 errors=p; q\n"));
}
END_TEST

#define IKE_SA                                                                                      \
	"{\"name\":\"site-b\",\"proto\":\"ike\",\"id\":3,\"state\":\"established\",\"version\":2,"       \
	"\"started_by\":\"us\",\"spi_i\":\"0102\",\"spi_r\":\"0304\",\"local\":\"192.0.2.1:4500\","      \
	"\"remote\":\"192.0.2.2:4500\",\"local_id\":\"a.example\",\"remote_id\":\"b.example\","           \
	"\"proposal\":\"aes256gcm16-prfsha384-ecp384\",\"age_s\":90,\"rekey_in_s\":3600,"                \
	"\"reauth_in_s\":null,\"nat\":{\"local\":false,\"remote\":true,\"udp\":true},"                   \
	"\"children\":[{\"name\":\"net\",\"state\":\"up\",\"local_ts\":[\"10.1.0.0/16\"],"                \
	"\"remote_ts\":[\"10.2.0.0/16\",\"10.3.0.0/16\"],\"proto\":\"esp\",\"mode\":\"tunnel\","          \
	"\"encap\":\"udp\",\"proposal\":\"aes128gcm16\",\"spi_in\":\"0x00000101\","                      \
	"\"spi_out\":\"0x00000202\",\"reqid\":1,\"age_s\":61,\"rekey_in_s\":1800,"                       \
	"\"out\":{\"packets\":5,\"bytes\":420},\"in\":{\"packets\":4,\"bytes\":336,\"idle_s\":7}}]}"

#define IKE_SA_TEXT                                                                                 \
	"site-b: IKEv2 #3 established for 1m 30s, started by us, NAT in front of the peer\n"         \
	"  192.0.2.1:4500 (a.example) === 192.0.2.2:4500 (b.example)\n"                             \
	"  aes256gcm16-prfsha384-ecp384, next rekey in 1h 0m, spi 0102 0304\n"                      \
	"  net: up, 10.1.0.0/16 === 10.2.0.0/16 10.3.0.0/16\n"                                      \
	"    esp tunnel in UDP, aes128gcm16, spi in 0x00000101 out 0x00000202, reqid 1, installed "  \
	"1m 1s ago, next rekey in 30m 0s\n"                                                         \
	"    out 5 packets, 420 B; in 4 packets, 336 B, last received 7s ago\n"

START_TEST(test_ike_sa)
{
	ck_assert_str_eq(by(format_sas, "[" IKE_SA "]"), IKE_SA_TEXT);
}
END_TEST

START_TEST(test_conns)
{
	const char *t =
	    by(format_conns,
	       "[{\"name\":\"site-b\",\"version\":2,\"local\":{\"addrs\":[\"192.0.2.1\"],\"id\":"
	       "\"a.example\",\"auth\":\"psk\"},\"remote\":{\"addrs\":[\"b.example\"],\"id\":null,"
	       "\"auth\":\"pubkey\"},\"proposals\":[\"p1\",\"p2\"],\"children\":[{\"name\":\"net\","
	       "\"mode\":\"tunnel\",\"proto\":\"esp\",\"local_ts\":[\"10.1.0.0/16\"],\"remote_ts\":["
	       "\"dynamic\"],\"proposals\":[\"e\"],\"start_action\":\"trap\"}],\"n_sas\":0,"
	       "\"n_children\":0,\"sas\":[],\"last_failure\":{\"when\":0,\"what\":\"it said no\"}}]");

	ck_assert_str_eq(t, "site-b: IKEv2, 0 IKE SAs, 0 children\n"
			    "  local   192.0.2.1, id a.example, by shared secret\n"
			    "  remote  b.example, id %any, by public key\n"
			    "  proposals p1, p2\n"
			    "  child net: esp tunnel, start_action trap\n"
			    "    10.1.0.0/16 === dynamic\n"
			    "    e\n"
			    "  last failure 1970-01-01 00:00:00: it said no\n");
}
END_TEST

START_TEST(test_connections_of_status)
{
	const char *t =
	    by(format_status, "{\"connections\":[{\"name\":\"site-b\",\"n_sas\":3,\"sas\":[" IKE_SA
			      "],\"last_failure\":null},{\"name\":\"c\",\"n_sas\":0,\"sas\":[],"
			      "\"last_failure\":{\"when\":60,\"what\":\"no answer\"}}]}");

	ck_assert_ptr_nonnull(strstr(t, "connections:\n  site-b: IKEv2 #3 established"));
	ck_assert_ptr_nonnull(strstr(t, "\n  and 2 more: bumpwire list sas\n"));
	ck_assert_ptr_nonnull(
	    strstr(t, "\n  c: down\n    last failure 1970-01-01 00:01:00: no answer\n"));
	ck_assert_ptr_null(strstr(by(format_status, "{\"connections\":[]}"), "connections"));
}
END_TEST

START_TEST(test_certs)
{
	const char *t = by(format_certs,
			   "[{\"kind\":\"certificate\",\"subject\":\"CN=a\",\"issuer\":\"CN=ca\",\"key\":"
			   "\"EC P-256\",\"private_key\":true,\"file\":\"/etc/a.pem\",\"not_before\":0,"
			   "\"not_after\":86400,\"alt_names\":[\"DNS:a.example\"],\"used_by\":[\"x\",\"y\"]},"
			   "{\"kind\":\"public key\",\"key\":\"ED25519\",\"file\":\"p.pem\"}]");

	ck_assert_str_eq(t, "certificate CN=a\n"
			    "  EC P-256, with its private key, from /etc/a.pem\n"
			    "  issued by CN=ca\n"
			    "  valid from 1970-01-01 00:00:00 until 1970-01-02 00:00:00: expired\n"
			    "  names: DNS:a.example\n"
			    "  used by x, y\n"
			    "public key p.pem\n"
			    "  ED25519, from p.pem\n");
}
END_TEST

START_TEST(test_progress)
{
	ck_assert_str_eq(by(format_progress, "{\"event\":\"ike_progress\",\"conn\":\"b\",\"text\":"
					     "\"sending IKE_SA_INIT\"}"),
			 "b: sending IKE_SA_INIT\n");
	ck_assert_str_eq(by(format_progress,
			    "{\"event\":\"child_up\",\"conn\":\"b\",\"child\":\"net\",\"text\":\"is up\"}"),
			 "b/net: is up\n");
	ck_assert_str_eq(by(format_progress, "{\"event\":\"order_done\"}"), "done\n");
}
END_TEST

/* A newer or older daemon, or nonsense: something is printed, nothing breaks. */
START_TEST(test_missing)
{
	static const char *const odd[] = {
		"{}",   "[]",        "[{}]",
		"null", "[null, 7]", "{\"tun\":7,\"traffic\":[],\"drops\":\"x\"}"
	};

	by(format_status, odd[_i]);
	by(format_sas, odd[_i]);
	by(format_policies, odd[_i]);
	by(format_drops, odd[_i]);
	by(format_conns, odd[_i]);
	by(format_certs, odd[_i]);
	by(format_progress, odd[_i]);
	by(format_event, odd[_i]);
	ck_assert_ptr_nonnull(text);
}
END_TEST

TCase *control_format_tests(void)
{
	TCase *c = tcase_create("format");

	setenv("TZ", "UTC", 1);
	tzset();
	tcase_add_checked_fixture(c, NULL, clean);
	tcase_add_test(c, test_numbers);
	tcase_add_test(c, test_sa);
	tcase_add_test(c, test_policy);
	tcase_add_test(c, test_status);
	tcase_add_test(c, test_event);
	tcase_add_test(c, test_ike_sa);
	tcase_add_test(c, test_conns);
	tcase_add_test(c, test_connections_of_status);
	tcase_add_test(c, test_certs);
	tcase_add_test(c, test_progress);
	tcase_add_loop_test(c, test_missing, 0, 6);
	return c;
}
