if HAVE_CHECK
include test/unit/local.mk
endif
