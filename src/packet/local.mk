noinst_LIBRARIES += libpacket.a
libpacket_a_SOURCES = \
	src/packet/cipso.c \
	src/packet/cipso.h \
	src/packet/csum.c \
	src/packet/csum.h \
	src/packet/ecn.c \
	src/packet/ecn.h \
	src/packet/frag.c \
	src/packet/frag.h \
	src/packet/fragtab.c \
	src/packet/fragtab.h \
	src/packet/frame.c \
	src/packet/frame.h \
	src/packet/gro.c \
	src/packet/gso.c \
	src/packet/gso.h \
	src/packet/icmp.c \
	src/packet/icmp.h \
	src/packet/parse.c \
	src/packet/parse.h \
	src/packet/pieces.h \
	src/packet/quote.c \
	src/packet/quote.h \
	src/packet/reasm.c \
	src/packet/reasm.h \
	src/packet/tcp.c
