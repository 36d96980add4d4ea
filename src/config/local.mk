noinst_LIBRARIES += libconfig.a
libconfig_a_SOURCES = \
	src/config/access.c \
	src/config/auth.c \
	src/config/bridge.c \
	src/config/check.c \
	src/config/check_ike.c \
	src/config/child.c \
	src/config/config.c \
	src/config/config.h \
	src/config/conflict.c \
	src/config/conn.c \
	src/config/group.c \
	src/config/internal.h \
	src/config/keymat.c \
	src/config/keys.c \
	src/config/parse.c \
	src/config/policy.c \
	src/config/psk.c \
	src/config/sa.c \
	src/config/text.c \
	src/config/tun.c \
	src/config/values.c \
	src/config/values_ike.c
