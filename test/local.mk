# What the tests find in their environment. The scenarios' scripts end in .sh and speak TAP.
AM_TESTS_ENVIRONMENT = \
	BUMPWIRE='$(abs_top_builddir)/bumpwire'; export BUMPWIRE; \
	BW_SRC='$(abs_top_srcdir)'; export BW_SRC; \
	BW_SKIP_SCENARIOS="$${BW_SKIP_SCENARIOS-$(BW_SKIP_SCENARIOS)}"; export BW_SKIP_SCENARIOS; \
	BUMPWIRE_VECTORS="$${BUMPWIRE_VECTORS-$(abs_top_srcdir)/../shared/vectors}"; export BUMPWIRE_VECTORS; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;
TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = bash
SH_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh

if HAVE_CHECK
include test/unit/local.mk
endif
include test/interop/local.mk
include test/scenario/local.mk
include test/fuzz/local.mk
include test/bench/local.mk

# Logs lie beside the tests where the tree is built in place.
dist-hook:
	find '$(distdir)/test' \( -name '*.log' -o -name '*.trs' -o -name '*.o' \) -type f -exec rm -f {} +
	find '$(distdir)/test' -name __pycache__ -prune -exec rm -rf {} +
