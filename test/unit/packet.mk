# test programs of src/packet
check_PROGRAMS += test/unit/test_packet
test_unit_test_packet_SOURCES = \
	test/unit/pcap.c \
	test/unit/pcap.h \
	test/unit/pkt.c \
	test/unit/pkt.h \
	test/unit/pkt_feed.c \
	test/unit/pkt_feed.h \
	test/unit/test_packet.c \
	test/unit/test_packet_bad.c \
	test/unit/test_packet_cipso.c \
	test/unit/test_packet_frag.c \
	test/unit/test_packet_frame.c \
	test/unit/test_packet_gso.c \
	test/unit/test_packet_reasm.c \
	test/unit/test_packet_reply.c
test_unit_test_packet_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_packet_LDADD = $(LIBS_PACKET) $(UNIT_LDADD)
TESTS += test/unit/test_packet
