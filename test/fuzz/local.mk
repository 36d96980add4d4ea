# Fuzz targets: every test/fuzz/fuzz_NAME.c has one LLVMFuzzerTestOneInput() and is found by itself; its
# seeds, if any, lie in test/fuzz/corpus/NAME/. They need clang and are built in a tree of their own,
# so that the libraries are instrumented too.
#   make fuzz              all of them, FUZZ_SECONDS each (600)
#   make fuzz-short        the same, 3 seconds each: for CI
#   make fuzz FUZZ=parse   one of them
# Last comes the chaos of two IKE engines (test/unit/test_ike_chaos.c), of IKEv2 and of IKEv1, five
# seeds each for each of the seconds (FUZZ=ike_chaos, FUZZ=ike_v1_chaos alone; FUZZ_SEED is the first).
# What a run learns stays in fuzz-build/corpus/NAME; what breaks one in fuzz-build/.
FUZZ_CC = clang
FUZZ_SECONDS = 600
FUZZ_CFLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ = *
EXTRA_DIST += test/fuzz

fuzz_sources = $(wildcard $(top_srcdir)/test/fuzz/fuzz_*.c)
# what a target shares with the unit tests
fuzz_packet_extra = test/unit/pkt_feed.c
fuzz_ike_inner_extra = test/unit/ike_duo.c test/unit/ike_duo_conf.c test/unit/ike_duo_sad.c
fuzz_ike_v1_inner_extra = $(fuzz_ike_inner_extra) test/unit/ike_duo_road.c
fuzz_programs = $(patsubst $(top_srcdir)/%.c,%,$(fuzz_sources))

# Inside fuzz-build.
fuzz-programs: $(fuzz_programs) test/unit/test_ike_chaos
$(fuzz_programs): %: $(top_srcdir)/%.c $(noinst_LIBRARIES)
	$(AM_V_CCLD)$(MKDIR_P) test/fuzz && $(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) \
		$(AM_CFLAGS) $(CFLAGS) -fsanitize=fuzzer -o $@ $< \
		$(addprefix $(top_srcdir)/,$($(notdir $@)_extra)) $(AM_LDFLAGS) $(LDFLAGS) $(LIBS_ALL) $(LIBS)

fuzz-build:
	@test -f fuzz-build/config.status || { $(MKDIR_P) fuzz-build && cd fuzz-build && \
		'$(abs_top_srcdir)/configure' -q CC='$(FUZZ_CC)' CFLAGS='$(FUZZ_CFLAGS)'; }
	@cd fuzz-build && $(MAKE) $(AM_MAKEFLAGS) fuzz-programs

fuzz: fuzz-build
	@'$(top_srcdir)/test/fuzz/run' fuzz-build '$(abs_top_srcdir)/test/fuzz' '$(FUZZ)' '$(FUZZ_SECONDS)'

fuzz-short:
	@$(MAKE) $(AM_MAKEFLAGS) fuzz FUZZ_SECONDS=3

clean-local:
	rm -rf fuzz-build

.PHONY: fuzz fuzz-short fuzz-build fuzz-programs
