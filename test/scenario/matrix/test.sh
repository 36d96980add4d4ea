#!/usr/bin/env bash
# Every combination of offloads, backends and workers carries the same bytes.
. "$(dirname "$0")/../lib.sh"
need ping nc jq
topology
random_file "$work/file" 1000003
backends='openssl'
"$bin" version | grep -q 'ipsec-mb' && backends='openssl ipsec-mb'

for backend in $backends; do
	for offload in yes no; do
		for gso in yes no; do
			for workers in 1 2; do
				conf_defaults
				top=$(printf 'workers = %s\ncrypto_backend = %s\ngso = %s\ngro = %s' \
					$workers $backend $gso $gso)
				tun_extra=$'\toffload = '$offload
				conf_pair
				what="$backend, offload $offload, gso and gro $gso, $workers workers"
				if pair_start; then
					ok "$what: a file from A to B" \
						send_file "$ns_host_a" "$ns_host_b" 10.2.0.2 7000 "$work/file"
					ok "$what: a file from B to A over IPv6" \
						send_file "$ns_host_b" "$ns_host_a" fd01::2 7000 "$work/file"
				fi
				pair_stop || fail "$what: ends well"
			done
		done
	done
done
finish
