/* Selectors: what they match, field by field, and how they read. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ipsec/selector.h"
#include "test_ipsec.h"

static struct ip_range range(const char *text)
{
	struct ip_range r;
	ck_assert_int_eq(ip_range_parse(text, &r), 0);
	return r;
}

static const struct port_range any = { .match = PORT_ANY }, opaque = { .match = PORT_OPAQUE };

static struct port_range ports(uint16_t lo, uint16_t hi)
{
	return (struct port_range){ PORT_RANGE, lo, hi };
}

static struct flow_key packet(const char *src, uint16_t sport, const char *dst, uint16_t dport,
			      uint8_t proto)
{
	struct flow_key k = { .sport = sport, .dport = dport, .proto = proto };
	struct ip_addr s, d;

	ck_assert_int_eq(ip_addr_parse(src, &s), 0);
	ck_assert_int_eq(ip_addr_parse(dst, &d), 0);
	memcpy(k.src, s.b, 16);
	memcpy(k.dst, d.b, 16);
	k.ver = s.ver;
	return k;
}

START_TEST(test_addresses)
{
	struct selector s = { range("10.1.0.0/16"), range("10.2.0.5-10.2.0.9"), PROTO_ANY, any,
			      any };
	struct flow_key k = packet("10.1.255.255", 1, "10.2.0.9", 2, 6);

	ck_assert(selector_match(&s, DIR_OUT, &k));
	ck_assert(!selector_match(&s, DIR_IN, &k));
	k = packet("10.1.0.0", 1, "10.2.0.10", 2, 6);
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	k = packet("10.2.0.5", 1, "10.1.0.0", 2, 6);
	ck_assert(selector_match(&s, DIR_IN, &k));
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	k = packet("10.2.0.4", 1, "10.1.0.0", 2, 6);
	ck_assert(!selector_match(&s, DIR_IN, &k));
	/* ::/0 is about IPv6 only. */
	s.local = s.remote = range("::/0");
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	k = packet("::1", 1, "ffff::1", 2, 6);
	ck_assert(selector_match(&s, DIR_OUT, &k));
}
END_TEST

START_TEST(test_ports)
{
	struct selector s = { range("0.0.0.0/0"), range("0.0.0.0/0"), IPPROTO_TCP,
			      ports(1024, 65535), ports(80, 81) };
	struct flow_key k = packet("10.0.0.1", 1024, "10.0.0.2", 81, IPPROTO_TCP);
	struct flow_key back = packet("10.0.0.2", 81, "10.0.0.1", 1024, IPPROTO_TCP);

	ck_assert(selector_match(&s, DIR_OUT, &k));
	ck_assert(!selector_match(&s, DIR_IN, &k));
	ck_assert(selector_match(&s, DIR_IN, &back));
	ck_assert(!selector_match(&s, DIR_OUT, &back));
	k.dport = 82;
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	k.dport = 80;
	k.sport = 1023;
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	k.sport = 1024;
	k.proto = IPPROTO_UDP;
	ck_assert(!selector_match(&s, DIR_OUT, &k));
}
END_TEST

START_TEST(test_hidden_ports)
{
	struct selector s = { range("0.0.0.0/0"), range("0.0.0.0/0"), IPPROTO_TCP, any,
			      ports(0, 65535) };
	struct flow_key k = packet("10.0.0.1", 0, "10.0.0.2", 0, IPPROTO_TCP);

	ck_assert(selector_match(&s, DIR_OUT, &k));
	k.flags = FLOW_OPAQUE;
	ck_assert(!selector_match(&s, DIR_OUT, &k)); /* not even by the range of all ports */
	s.remote_port = opaque;
	ck_assert(selector_match(&s, DIR_OUT, &k));
	ck_assert(selector_match(&s, DIR_IN, &k));
	k.flags = 0;
	ck_assert(!selector_match(&s, DIR_OUT, &k));
	s.remote_port = any;
	ck_assert(selector_match(&s, DIR_OUT, &k));
}
END_TEST

START_TEST(test_message_types)
{
	/* Echo requests, type 8: the type stands in dport of either direction. */
	struct selector s = { range("10.0.0.1"), range("10.0.0.2"), IPPROTO_ICMP, any,
			      ports(0x0800, 0x08ff) };
	struct flow_key out = packet("10.0.0.1", 0, "10.0.0.2", 0x0800, IPPROTO_ICMP);
	struct flow_key in = packet("10.0.0.2", 0, "10.0.0.1", 0x0800, IPPROTO_ICMP);

	ck_assert(selector_match(&s, DIR_OUT, &out));
	ck_assert(selector_match(&s, DIR_IN, &in));
	out.dport = in.dport = 0x0000;
	ck_assert(!selector_match(&s, DIR_OUT, &out));
	ck_assert(!selector_match(&s, DIR_IN, &in));
	/* The same two ports of UDP change sides. */
	s.proto = out.proto = in.proto = IPPROTO_UDP;
	in.sport = 0x0800;
	ck_assert(selector_match(&s, DIR_IN, &in));
	in.proto = s.proto = IPPROTO_MH;
	ck_assert(!selector_match(&s, DIR_IN, &in));
}
END_TEST

START_TEST(test_format)
{
	char text[SELECTOR_STRLEN];
	struct selector s = { range("10.1.0.0/16"), range("10.2.0.0/16"), PROTO_ANY, any, any };

	ck_assert_str_eq(selector_format(&s, text), "10.1.0.0/16 === 10.2.0.0/16");
	s.proto = IPPROTO_TCP;
	s.remote_port = ports(80, 80);
	ck_assert_str_eq(selector_format(&s, text), "10.1.0.0/16[tcp/any] === 10.2.0.0/16[tcp/80]");
	s.local_port = opaque;
	s.remote_port = ports(1, 1023);
	ck_assert_str_eq(selector_format(&s, text),
			 "10.1.0.0/16[tcp/opaque] === 10.2.0.0/16[tcp/1-1023]");
	s.proto = IPPROTO_ICMP;
	s.local_port = any;
	s.remote_port = ports(0x0800, 0x08ff);
	ck_assert_str_eq(selector_format(&s, text),
			 "10.1.0.0/16[icmp/any] === 10.2.0.0/16[icmp/type 8]");
	s.remote_port = ports(0x0304, 0x0304);
	ck_assert_str_eq(selector_format(&s, text),
			 "10.1.0.0/16[icmp/any] === 10.2.0.0/16[icmp/type 3 code 4]");
	s.proto = 132;
	s.remote_port = any;
	ck_assert_str_eq(selector_format(&s, text),
			 "10.1.0.0/16[sctp/any] === 10.2.0.0/16[sctp/any]");
	/* The longest there is fits. */
	s.local = s.remote =
	    range("2001:db8:1111:2222:3333:4444:5555:6666-2001:db8:1111:2222:3333:4444:5555:7777");
	s.proto = IPPROTO_ICMPV6;
	s.local_port = s.remote_port = ports(0x6465, 0xc8c9);
	ck_assert_uint_lt(strlen(selector_format(&s, text)), SELECTOR_STRLEN - 1);
	ck_assert_ptr_nonnull(strstr(text, "ipv6-icmp/type 100/101-200/201"));
}
END_TEST

TCase *tcase_selector(void)
{
	TCase *t = tcase_create("selector");

	tcase_add_test(t, test_addresses);
	tcase_add_test(t, test_ports);
	tcase_add_test(t, test_hidden_ports);
	tcase_add_test(t, test_message_types);
	tcase_add_test(t, test_format);
	return t;
}
