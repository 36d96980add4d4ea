# test programs of src/plane, src/flow and src/ipsec/esp
check_PROGRAMS += test/unit/test_plane test/unit/test_flow test/unit/test_esp
test_unit_test_plane_SOURCES = \
	test/unit/crypto_util.c \
	test/unit/crypto_util.h \
	test/unit/pkt.c \
	test/unit/pkt.h \
	test/unit/plane_rig.c \
	test/unit/plane_rig.h \
	test/unit/test_plane.c \
	test/unit/test_plane_ah.c \
	test/unit/test_plane_bridge.c \
	test/unit/test_plane_audit.c \
	test/unit/test_plane_bundle.c \
	test/unit/test_plane_drops.c \
	test/unit/test_plane_bytes.c \
	test/unit/test_plane_fragments.c \
	test/unit/test_plane_group.c \
	test/unit/test_plane_gso.c \
	test/unit/test_plane_icmp.c \
	test/unit/test_plane_ike.c \
	test/unit/test_plane_in.c \
	test/unit/test_plane_keying.c \
	test/unit/test_plane_out.c \
	test/unit/test_plane_pick.c \
	test/unit/test_plane_pmtu.c \
	test/unit/test_plane_sa.c \
	test/unit/test_plane_send.c \
	test/unit/test_plane_transport.c
test_unit_test_plane_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_plane_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmmsg
test_unit_test_plane_LDADD = $(LIBS_PLANE) $(UNIT_LDADD)

test_unit_test_flow_SOURCES = test/unit/test_flow.c
test_unit_test_flow_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_flow_LDADD = libflow.a $(LIBS_PACKET) $(UNIT_LDADD)

test_unit_test_esp_SOURCES = \
	test/unit/crypto_util.c \
	test/unit/crypto_util.h \
	test/unit/pcap.c \
	test/unit/pcap.h \
	test/unit/test_esp.c
test_unit_test_esp_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_esp_LDADD = $(LIBS_IPSEC) $(UNIT_LDADD)
TESTS += test/unit/test_plane test/unit/test_flow test/unit/test_esp
