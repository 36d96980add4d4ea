noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	src/base/addr.c \
	src/base/addr.h \
	src/base/audit.c \
	src/base/audit.def \
	src/base/audit.h \
	src/base/bytes.h \
	src/base/clock.c \
	src/base/clock.h \
	src/base/drop.c \
	src/base/drop.def \
	src/base/drop.h \
	src/base/hex.c \
	src/base/hex.h \
	src/base/log.c \
	src/base/log.h \
	src/base/random.c \
	src/base/random.h \
	src/base/rd.h \
	src/base/secret.c \
	src/base/secret.h \
	src/base/span.h \
	src/base/why.c \
	src/base/why.h \
	src/base/wr.h \
	src/base/list.h
