noinst_LIBRARIES += libipsec.a
libipsec_a_SOURCES = \
	src/ipsec/ah.c \
	src/ipsec/ah.h \
	src/ipsec/esp.c \
	src/ipsec/esp.h \
	src/ipsec/event.h \
	src/ipsec/label.c \
	src/ipsec/label.h \
	src/ipsec/pick.c \
	src/ipsec/pick.h \
	src/ipsec/pmtu.c \
	src/ipsec/pmtu.h \
	src/ipsec/replay.c \
	src/ipsec/replay.h \
	src/ipsec/sa.c \
	src/ipsec/sa.h \
	src/ipsec/sa_conf.c \
	src/ipsec/sad.c \
	src/ipsec/sad.h \
	src/ipsec/selector.c \
	src/ipsec/selector.h \
	src/ipsec/spd.c \
	src/ipsec/spd.h \
	src/ipsec/spd_class.c \
	src/ipsec/spd_class.h \
	src/ipsec/spd_tree.c \
	src/ipsec/spd_tree.h \
	src/ipsec/transport.c \
	src/ipsec/transport.h
