# Examples only: nothing is put into $(sysconfdir), where no configuration would suit every machine.
examplesdir = $(docdir)/examples
dist_examples_DATA = \
	etc/ah-a.conf \
	etc/ah-b.conf \
	etc/bridge-gateway-a.conf \
	etc/bridge-gateway-b.conf \
	etc/bridge-host-a.conf \
	etc/bridge-host-b.conf \
	etc/bridge-ike-a.conf \
	etc/bridge-ike-b.conf \
	etc/bumpwire.conf \
	etc/hosts-a.conf \
	etc/hosts-b.conf \
	etc/ikev1-bundle-a.conf \
	etc/ikev1-bundle-b.conf \
	etc/ikev1-client.conf \
	etc/ikev1-gateway.conf \
	etc/ikev1.conf \
	etc/ipv6-a.conf \
	etc/ipv6-b.conf \
	etc/labels-a.conf \
	etc/labels-b.conf \
	etc/manual-a.conf \
	etc/manual-b.conf \
	etc/multicast.conf \
	etc/names.conf \
	etc/nat-inside.conf \
	etc/nat-outside.conf \
	etc/parallel-a.conf \
	etc/parallel-b.conf \
	etc/raw-esp-a.conf \
	etc/raw-esp-b.conf \
	etc/site-to-site-certs-a.conf \
	etc/site-to-site-certs-b.conf \
	etc/site-to-site-psk-a.conf \
	etc/site-to-site-psk-b.conf \
	etc/trap-each.conf \
	etc/trap.conf
