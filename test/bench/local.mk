# Benchmarks: built and run by `make bench` only. See test/bench/README.md.
bench_targets = test/bench/relay test/bench/crypt_speed test/bench/ike_load test/bench/spd_speed \
	test/bench/udp_load
EXTRA_PROGRAMS += $(bench_targets)
CLEANFILES += $(bench_targets)

test_bench_relay_SOURCES = test/bench/relay.c
test_bench_relay_LDADD = $(LIBS_IO)
test_bench_crypt_speed_SOURCES = test/bench/crypt_speed.c
test_bench_crypt_speed_LDADD = $(LIBS_CRYPTO)
test_bench_ike_load_SOURCES = test/bench/ike_load.c
test_bench_ike_load_LDADD = $(LIBS_IKE)
test_bench_spd_speed_SOURCES = test/bench/spd_speed.c
test_bench_spd_speed_LDADD = $(LIBS_IPSEC)
test_bench_udp_load_SOURCES = test/bench/udp_load.c

bench-programs: bumpwire$(EXEEXT) $(bench_targets)
bench: bench-programs
	@BUMPWIRE='$(abs_top_builddir)/bumpwire' BENCH_BIN='$(abs_top_builddir)/test/bench' \
		BENCH_OUT="$${BENCH_OUT-$(abs_top_builddir)/test/bench/out}" \
		bash '$(top_srcdir)/test/bench/e2e.sh'
bench-ike: bench-programs
	@BUMPWIRE='$(abs_top_builddir)/bumpwire' BENCH_BIN='$(abs_top_builddir)/test/bench' \
		IKE_OUT="$${IKE_OUT-$(abs_top_builddir)/test/bench/out}" \
		bash '$(top_srcdir)/test/bench/ike-load.sh'
.PHONY: bench bench-ike bench-programs

EXTRA_DIST += \
	test/bench/README.md \
	test/bench/candidates.sh \
	test/bench/chart.gp \
	test/bench/e2e.sh \
	test/bench/ike-load.sh \
	test/bench/measure.py \
	test/bench/pipeline.py \
	test/bench/report.py \
	test/bench/topology.sh
