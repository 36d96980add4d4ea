# Against implementations that are not ours. The longest first; and before the scenarios, for the same reason.
TESTS += \
	test/interop/ike-v1/test.sh \
	test/interop/scapy/test.sh \
	test/interop/ike-v1-xauth/test.sh \
	test/interop/ike-dpd/test.sh \
	test/interop/ike-rekey/test.sh \
	test/interop/scapy-transport/test.sh \
	test/interop/ike-v1-lifetimes/test.sh \
	test/interop/ike-lifetimes/test.sh \
	test/interop/ike-fragment/test.sh \
	test/interop/ike-certs/test.sh \
	test/interop/ike-psk/test.sh \
	test/interop/ike-nat/test.sh \
	test/interop/ike-v1-nat/test.sh \
	test/interop/ike-algorithms/test.sh \
	test/interop/capture/test.sh \
	test/interop/keys/test.sh \
	test/interop/ike-v1-vpnc/test.sh \
	test/interop/ike-scan/test.sh \
	test/interop/ike-ipv6/test.sh \
	test/interop/ike-narrow/test.sh \
	test/interop/esp-algorithms/test.sh \
	test/interop/ike-cert-fail/test.sh \
	test/interop/ike-trap/test.sh
EXTRA_DIST += test/interop
