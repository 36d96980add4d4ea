# test programs of src/io
check_PROGRAMS += test/unit/test_io
test_unit_test_io_SOURCES = \
	test/unit/test_io.c \
	test/unit/test_io.h \
	test/unit/test_io_icmp.c \
	test/unit/test_io_lacking.c \
	test/unit/test_io_netlink.c \
	test/unit/test_io_port.c \
	test/unit/test_io_sock.c \
	test/unit/test_io_sock.h \
	test/unit/test_io_sock_fail.c \
	test/unit/test_io_tun.c \
	test/unit/test_io_udp.c
test_unit_test_io_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_unit_test_io_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmmsg -Wl,--wrap=ioctl \
	-Wl,--wrap=setsockopt -Wl,--wrap=getsockopt
test_unit_test_io_LDADD = $(LIBS_IO) $(UNIT_LDADD)
TESTS += test/unit/test_io
