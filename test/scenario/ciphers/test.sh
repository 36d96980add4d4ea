#!/usr/bin/env bash
# Every cipher and every integrity algorithm once: pings of odd sizes, and a megabyte each way.
. "$(dirname "$0")/../lib.sh"
need ping nc jq
topology
random_file "$work/file" 1000000

aead='aes128gcm16 aes192gcm16 aes256gcm16 aes128gcm12 aes192gcm12 aes256gcm12 aes128gcm8 aes192gcm8 aes256gcm8
	aes128ccm16 aes192ccm16 aes256ccm16 aes128ccm12 aes256ccm12 aes128ccm8 aes256ccm8
	aes128gmac aes192gmac aes256gmac chacha20poly1305'
plain='aes128-sha256 aes192-sha384 aes256-sha512 aes128ctr-sha256 aes192ctr-sha1 aes256ctr-sha512
	aes128-sha1 aes128-aesxcbc aes256-aescmac aes128ctr-aescmac 3des-sha1 aes128-md5
	null-sha1 null-md5 null-sha256 null-sha384 null-sha512 null-aesxcbc null-aescmac'

for suite in $aead $plain; do
	conf_defaults
	cipher=$suite
	top='allow_weak = yes'
	# both kinds of sequence numbers get their share
	[ $((tap_n % 4)) -lt 2 ] || sa_extra=$'\tesn = yes'
	conf_pair
	if pair_start; then
		ok "$suite: pings" eval 'ping_ok "$ns_host_a" 10.2.0.2 -s 57 && ping_ok "$ns_host_b" fd01::2 -s 1'
		ok "$suite: a file" send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
	fi
	pair_stop || fail "$suite: ends well"
done

for weak in des-sha1 3des-sha1 aes128-md5; do
	conf_defaults
	cipher=$weak
	conf_pair
	ok "$weak is refused without allow_weak" not "$bin" check -c "$work/a.conf"
done
finish
