noinst_LIBRARIES += libplane.a
libplane_a_SOURCES = \
	src/plane/audit.c \
	src/plane/audit_ring.h \
	src/plane/bench.c \
	src/plane/bench.h \
	src/plane/bridge.c \
	src/plane/bridge.h \
	src/plane/bump.c \
	src/plane/bump.h \
	src/plane/deliver.c \
	src/plane/early.c \
	src/plane/fragments.c \
	src/plane/frame.c \
	src/plane/hold.c \
	src/plane/icmp_error.c \
	src/plane/ike.c \
	src/plane/ike_ring.h \
	src/plane/inbound.c \
	src/plane/internal.h \
	src/plane/neighbour.c \
	src/plane/neighbour.h \
	src/plane/nest.c \
	src/plane/outbound.c \
	src/plane/plane.c \
	src/plane/plane.h \
	src/plane/reply.c \
	src/plane/ring.h \
	src/plane/route.c \
	src/plane/send.c \
	src/plane/whole.c \
	src/plane/worker.c \
	src/plane/worker.h \
	src/plane/wrap.c
