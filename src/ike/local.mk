noinst_LIBRARIES += libike.a
libike_a_SOURCES = \
	src/ike/auth.h \
	src/ike/conf.h \
	src/ike/cred.h \
	src/ike/dump.c \
	src/ike/engine.h \
	src/ike/gate.h \
	src/ike/ident.c \
	src/ike/ident.h \
	src/ike/ident_dn.c \
	src/ike/ident_dn.h \
	src/ike/ident_match.c \
	src/ike/ike.h \
	src/ike/keymat.h \
	src/ike/msg.h \
	src/ike/msg_build.c \
	src/ike/msg_list.c \
	src/ike/msg_parse.c \
	src/ike/msg_rule.c \
	src/ike/msg_rule.h \
	src/ike/msg_write.c \
	src/ike/names.c \
	src/ike/names.h \
	src/ike/proposal.c \
	src/ike/proposal.h \
	src/ike/proposal_select.c \
	src/ike/proto.h \
	src/ike/sa_table.h \
	src/ike/seal.h \
	src/ike/timer.h \
	src/ike/ts.h \
	src/ike/v2/v2.h \
	src/ike/vendor.c
