# Against implementations that are not ours.
TESTS += test/interop/scapy/test.sh
EXTRA_DIST += test/interop
