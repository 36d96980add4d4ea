# One Check program per layer; a newcomer's test for folder X goes into test_X.c or a file listed beside it.
UNIT_LDADD = $(CHECK_LIBS)
# must.h: assertions for loops, which any of them may use
EXTRA_DIST += test/unit/must.h
include test/unit/base.mk
include test/unit/packet.mk
include test/unit/crypto.mk
include test/unit/ipsec.mk
include test/unit/io.mk
include test/unit/plane.mk
include test/unit/ike.mk
include test/unit/config.mk
include test/unit/control.mk
