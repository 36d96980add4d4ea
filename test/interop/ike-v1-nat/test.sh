#!/usr/bin/env bash
# IKEv1 through NAT with strongSwan: what ike-nat does with IKEv2.
BW_IKE_VERSION=1 exec bash "$(dirname "$0")/../ike-nat/test.sh"
