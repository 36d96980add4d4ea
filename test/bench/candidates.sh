# The candidates; sourced by e2e.sh. For each NAME two functions:
#
#   have_NAME   succeeds when it can run here; else prints why not
#   up_NAME     puts its tunnel between the namespaces, appends the pids of its daemons to daemons=()
#               (side a first) and sets target= to the address in b that is measured to
#
# A name may carry words behind dashes (bumpwire-1-nooffload); up_NAME gets them as arguments.
# $work is a folder of its own for every run; tunnel MTU is $tun_mtu everywhere.

need_tool() {
	local t
	for t in "$@"; do
		command -v "$t" >/dev/null || { echo "no $t here"; return 1; }
	done
}

# ---- raw: no tunnel ------------------------------------------------------------------------------
have_raw() { :; }
up_raw() { target=$wan_b; }

# ---- relay [single]: TUN and UDP without crypto --------------------------------------------------
have_relay() { [ -x "$bench_bin/relay" ] || { echo "no $bench_bin/relay"; return 1; }; }
up_relay() {
	local flag=()
	[ "${1:-}" != single ] || flag=(-1)
	background "$ns_a" "$work/a.log" "$bench_bin/relay" "${flag[@]}" bw0 \
		$wan_a $wan_b 4500 $tun_a $tun_b "$tun_mtu"
	daemons+=("$last")
	background "$ns_b" "$work/b.log" "$bench_bin/relay" "${flag[@]}" bw0 \
		$wan_b $wan_a 4500 $tun_b $tun_a "$tun_mtu"
	daemons+=("$last")
	target=$tun_b
}

# ---- bumpwire [WORD...]: manual keys, AES-128-GCM, UDP port 4500 ---------------------------------
# Words: a number of workers; nogso nogro notun (the fall-backs, one by one), nooffload (all three);
# nocsum (UDP checksum 0); openssl (without ipsec-mb); busy (busy_poll); chacha, aes256, cbc (another suite).
have_bumpwire() { [ -x "$bumpwire" ] || { echo "no $bumpwire"; return 1; }; }

bytes_hex() { # bytes_hex COUNT SEED
	local i
	for ((i = 0; i < $1; i++)); do printf '%02x' $((($2 + i) % 256)); done
}

bumpwire_sa() { # bumpwire_sa NAME DIRECTION SPI SRC DST SEED
	printf 'sa %s {\n  direction = %s\n  spi = %s\n' "$1" "$2" "$3"
	printf '  src = "%s"\n  dst = "%s"\n  encap = udp\n' "$4" "$5"
	printf '  cipher = "%s"\n  key = "%s"\n' "$cipher" "$(bytes_hex "$key_len" "$6")"
	[ "$integ_len" = 0 ] || printf '  integ_key = "%s"\n' "$(bytes_hex "$integ_len" $(($6 + 64)))"
	printf '}\n'
}

bumpwire_conf() { # bumpwire_conf OWN_WAN PEER_WAN OWN_TUN PEER_TUN OUT_SPI IN_SPI
	printf '%s' "$top"
	printf 'tun bw0 {\n  address = {"%s/32"}\n  mtu = %s\n' "$3" "$tun_mtu"
	printf '  routes = {"%s/32"}\n%s}\n' "$4" "$tun"
	bumpwire_sa to-peer out "$5" "$1" "$2" "$5"
	bumpwire_sa from-peer in "$6" "$2" "$1" "$6"
	printf 'policy net {\n  local = {"%s/32"}\n  remote = {"%s/32"}\n  action = protect\n' "$3" "$4"
	printf '  out = {"to-peer"}\n  in = {"from-peer"}\n}\n'
}

up_bumpwire() {
	local word top='' tun='' cipher=aes128gcm16 key_len=20 integ_len=0
	for word in "$@"; do
		case $word in
		[0-9]*) top+="workers = $word"$'\n' ;;
		nogso) top+=$'gso = no\n' ;;
		nogro) top+=$'gro = no\n' ;;
		notun) tun+=$'  offload = no\n' ;;
		nooffload) top+=$'gso = no\ngro = no\n' tun+=$'  offload = no\n' ;;
		nocsum) top+=$'udp_checksum = no\n' ;;
		openssl) top+=$'crypto_backend = openssl\n' ;;
		busy) top+=$'busy_poll = 50us\n' ;;
		aes256) cipher=aes256gcm16 key_len=36 ;;
		chacha) cipher=chacha20poly1305 key_len=36 ;;
		cbc) cipher=aes128-sha256 key_len=16 integ_len=32 ;;
		*) echo "bumpwire-$word: unknown word" >&2; return 1 ;;
		esac
	done
	(umask 077
	bumpwire_conf $wan_a $wan_b $tun_a $tun_b 0x1001 0x1002 >"$work/a.conf"
	bumpwire_conf $wan_b $wan_a $tun_b $tun_a 0x1002 0x1001 >"$work/b.conf")
	background "$ns_a" "$work/a.log" "$bumpwire" run -c "$work/a.conf" --run-dir "$work/a.run"
	daemons+=("$last")
	background "$ns_b" "$work/b.log" "$bumpwire" run -c "$work/b.conf" --run-dir "$work/b.run"
	daemons+=("$last")
	target=$tun_b
}

# ---- strongswan: two charon-systemd (without systemd) with kernel-libipsec, UDP encapsulation ----
# Asking charon-systemd for its version would start it: only look whether it is there.
have_strongswan() {
	local p
	need_tool charon-systemd swanctl || return
	for p in kernel-libipsec gcm openssl; do   # in Debian: libcharon-extra-plugins, libstrongswan-standard-plugins
		[ -n "$(find /usr/lib/ipsec/plugins /usr/lib/strongswan/plugins -name "libstrongswan-$p.so" 2>/dev/null)" ] ||
			{ echo "no strongSwan plugin $p"; return 1; }
	done
}

strongswan_conf() { # strongswan_conf SIDE; kernel-libipsec before kernel-netlink, or the kernel does ESP
	cat <<-END
	charon-systemd {
		load = random nonce aesni openssl sha1 sha2 hmac kdf gcm pem pkcs1 kernel-libipsec kernel-netlink socket-default vici updown
		install_virtual_ip = no
		install_routes = yes
		plugins {
			vici { socket = unix://$work/$1.vici }
			kernel-libipsec { allow_peer_ts = no }
		}
		filelog { log { path = $work/$1.charon
			default = 1 } }
		journal { default = -1 }
	}
	END
}

swanctl_conf() { # swanctl_conf OWN_ID PEER_ID OWN_WAN PEER_WAN OWN_TUN PEER_TUN
	cat <<-END
	connections {
		peer {
			version = 2
			local_addrs = $3
			remote_addrs = $4
			encap = yes
			mobike = no
			proposals = aes128gcm16-prfsha256-ecp256
			local { auth = psk
				id = side-$1 }
			remote { auth = psk
				id = side-$2 }
			children { net {
				local_ts = $5/32
				remote_ts = $6/32
				esp_proposals = aes128gcm16
				mode = tunnel
				rekey_time = 0 } }
		}
	}
	secrets { ike-peer { id-a = side-a
		id-b = side-b
		secret = "for-measuring-only" } }
	END
}

up_strongswan() {
	local s ns
	swanctl_conf a b $wan_a $wan_b $tun_a $tun_b >"$work/a.swanctl"
	swanctl_conf b a $wan_b $wan_a $tun_b $tun_a >"$work/b.swanctl"
	for s in a b; do
		ns=ns_$s own=tun_$s
		ip -n "${!ns}" addr add "${!own}/32" dev lo
		strongswan_conf $s >"$work/$s.strongswan"
		background "${!ns}" "$work/$s.log" env STRONGSWAN_CONF="$work/$s.strongswan" charon-systemd
		daemons+=("$last")
		wait_for 5 test -S "$work/$s.vici" || return 1
		STRONGSWAN_CONF=$work/$s.strongswan timeout 10 swanctl --load-all --uri "unix://$work/$s.vici" \
			--file "$work/$s.swanctl" >"$work/$s.load" 2>&1 || return 1
	done
	timeout 15 swanctl --initiate --child net --uri "unix://$work/a.vici" >"$work/a.initiate" 2>&1 || return 1
	for s in a b; do
		ns=ns_$s
		ip -n "${!ns}" link set ipsec0 mtu "$tun_mtu" || return 1
	done
	target=$tun_b
}

# ---- wireguard_go --------------------------------------------------------------------------------
have_wireguard_go() { need_tool "${WIREGUARD_GO:-wireguard-go}" wg; }
up_wireguard_go() {
	local dev_a=bwa$$ dev_b=bwb$$ pub_a pub_b   # their sockets meet in one /run/wireguard
	(umask 077; wg genkey >"$work/a.key"; wg genkey >"$work/b.key")
	pub_a=$(wg pubkey <"$work/a.key") pub_b=$(wg pubkey <"$work/b.key")
	export WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error
	background "$ns_a" "$work/a.log" "${WIREGUARD_GO:-wireguard-go}" -f $dev_a
	daemons+=("$last")
	background "$ns_b" "$work/b.log" "${WIREGUARD_GO:-wireguard-go}" -f $dev_b
	daemons+=("$last")
	wait_for 5 test -S "/run/wireguard/$dev_a.sock" -a -S "/run/wireguard/$dev_b.sock" || return 1
	in_a wg set $dev_a private-key "$work/a.key" listen-port 51820 \
		peer "$pub_b" allowed-ips $tun_b/32 endpoint $wan_b:51820 || return 1
	in_b wg set $dev_b private-key "$work/b.key" listen-port 51820 \
		peer "$pub_a" allowed-ips $tun_a/32 endpoint $wan_a:51820 || return 1
	tunnel_device "$ns_a" $dev_a $tun_a $tun_b && tunnel_device "$ns_b" $dev_b $tun_b $tun_a || return 1
	target=$tun_b
}

# ---- openvpn: point to point over UDP, TLS with self-signed certificates, no kernel module -------
have_openvpn() { need_tool openvpn openssl; }

openvpn_conf() { # openvpn_conf ROLE OWN_WAN PEER_WAN OWN_TUN PEER_TUN SIDE PEER_SIDE
	cat <<-END
	dev ov
	dev-type tun
	proto udp4
	port 1194
	$1
	local $2
	remote $3 1194
	ifconfig $4 $5
	cipher AES-128-GCM
	data-ciphers AES-128-GCM
	disable-dco
	tun-mtu $tun_mtu
	mssfix 0
	txqueuelen 1000
	cert $work/$6.crt
	key $work/$6.key
	peer-fingerprint $(openssl x509 -in "$work/$7.crt" -noout -fingerprint -sha256 | cut -d= -f2)
	verb 1
	END
}

up_openvpn() {
	local s
	for s in a b; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=side-$s" \
			-keyout "$work/$s.key" -out "$work/$s.crt" 2>/dev/null || return 1
	done
	openvpn_conf tls-client $wan_a $wan_b $tun_a $tun_b a b >"$work/a.conf"
	openvpn_conf $'tls-server\ndh none' $wan_b $wan_a $tun_b $tun_a b a >"$work/b.conf"
	background "$ns_b" "$work/b.log" openvpn --config "$work/b.conf"
	local pid_b=$last
	background "$ns_a" "$work/a.log" openvpn --config "$work/a.conf"
	daemons+=("$last" "$pid_b")
	target=$tun_b
}
