# One folder a scenario, each a script that speaks TAP. The longest first: they run side by side.
SCENARIOS = \
	test/scenario/combinations/test.sh \
	test/scenario/bridge/test.sh \
	test/scenario/multicast/test.sh \
	test/scenario/pmtu/test.sh \
	test/scenario/negative/test.sh \
	test/scenario/ah/test.sh \
	test/scenario/ciphers/test.sh \
	test/scenario/fragments/test.sh \
	test/scenario/bridge-gateway/test.sh \
	test/scenario/bridge-ike/test.sh \
	test/scenario/ike-reboot/test.sh \
	test/scenario/ike-v1-exchanges/test.sh \
	test/scenario/audit/test.sh \
	test/scenario/selectors/test.sh \
	test/scenario/ike-basic/test.sh \
	test/scenario/tunnel-udp/test.sh \
	test/scenario/overload/test.sh \
	test/scenario/ike-ah/test.sh \
	test/scenario/matrix/test.sh \
	test/scenario/ah-fragments/test.sh \
	test/scenario/ike-v1-xauth/test.sh \
	test/scenario/full-tunnel/test.sh \
	test/scenario/ike-v1-bundle/test.sh \
	test/scenario/replay/test.sh \
	test/scenario/ike-flood/test.sh \
	test/scenario/transport/test.sh \
	test/scenario/lifetimes/test.sh \
	test/scenario/tutorial/test.sh \
	test/scenario/mtu/test.sh \
	test/scenario/reload/test.sh \
	test/scenario/router/test.sh \
	test/scenario/ike-selectors/test.sh \
	test/scenario/ike-conflict/test.sh \
	test/scenario/ip-versions/test.sh \
	test/scenario/nat/test.sh \
	test/scenario/ike-trap/test.sh \
	test/scenario/policies/test.sh \
	test/scenario/idle/test.sh \
	test/scenario/ike-transport/test.sh \
	test/scenario/tamper/test.sh \
	test/scenario/malformed/test.sh \
	test/scenario/ike-reload/test.sh \
	test/scenario/ike-examples/test.sh \
	test/scenario/ike-names/test.sh \
	test/scenario/cleanup/test.sh \
	test/scenario/bench/test.sh \
	test/scenario/config/test.sh \
	test/scenario/privileges/test.sh \
	test/scenario/instances/test.sh \
	test/scenario/manpages/test.sh
TESTS += $(SCENARIOS)
EXTRA_DIST += test/scenario

# Every scenario with keys by hand in every combination of offloads, backends and workers. COMBINATIONS and MATRIX choose some.
.PHONY: check-matrix
check-matrix: bumpwire$(EXEEXT)
	$(AM_TESTS_ENVIRONMENT) COMBINATIONS='$(COMBINATIONS)' bash '$(srcdir)/test/scenario/matrix.sh' $(MATRIX)
