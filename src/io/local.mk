noinst_LIBRARIES += libio.a
libio_a_SOURCES = \
	src/io/icmp.c \
	src/io/icmp.h \
	src/io/netlink.c \
	src/io/netlink.h \
	src/io/netlink_bridge.c \
	src/io/netlink_priv.h \
	src/io/netlink_route.c \
	src/io/port.c \
	src/io/port.h \
	src/io/sock.c \
	src/io/sock.h \
	src/io/sock_recv.c \
	src/io/sock_send.c \
	src/io/tun.c \
	src/io/tun.h \
	src/io/udp.c \
	src/io/udp.h
