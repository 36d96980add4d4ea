include src/base/local.mk
include src/packet/local.mk
include src/crypto/local.mk
include src/io/local.mk
include src/ipsec/local.mk
include src/flow/local.mk
include src/plane/local.mk
include src/ike/local.mk
include src/config/local.mk
include src/control/local.mk

bin_PROGRAMS += bumpwire
bumpwire_SOURCES = src/main.c
bumpwire_LDADD = $(LIBS_ALL)
