# Against implementations that are not ours. Takes long, so it starts before the scenarios.
TESTS += \
	test/interop/scapy/test.sh \
	test/interop/keys/test.sh
EXTRA_DIST += test/interop
