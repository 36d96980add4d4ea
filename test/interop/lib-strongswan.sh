# strongSwan from the distribution as the other end: charon-systemd with kernel-libipsec, whose ESP is in
# user space too, so the kernel needs none. Source after scenario/lib.sh; brings lib-pki.sh along.
#
#   swan_need                     skips the whole scenario where strongSwan is missing
#   swan_defaults                 resets the sw_* variables below to: responder b of topology(), PSK, one child
#   swan_conn [NAME]              prints swanctl.conf's connection made of them; several make one file
#   swan_config G TEXT            writes the swanctl.conf of instance G (the sections `connections' and `secrets')
#   swan_cred G CERT [CA...]      puts a certificate of lib-pki.sh, its key and the CAs where G looks for them
#   swan_more G NAME...           further certificates, to be named in `certs' (intermediates) or of peers
#   swan_raw_key G NAME OTHER     the key of NAME and the public key of OTHER, for authentication without certificates
#   swan_start G NS               starts charon in namespace NS and loads the configuration
#   swan_reload G                 loads it again
#   swan G SUBCOMMAND...          swanctl for that instance
#   swan_up G CHILD [SECONDS]     initiates; fails when it is not up after SECONDS (10); prints swanctl's progress
#   swan_down G IKE|CHILD         terminates
#   swan_sas G                    `swanctl --list-sas --raw`
#   swan_value G KEY              the first value of KEY in it, as in swan_value b encr-alg
#   swan_ike G / swan_children G  how many IKE SAs are established, CHILD SAs installed
#   swan_ready G [CHILDREN]       true when so many (1) CHILD SAs are installed
#   swan_log G                    what charon logged; swan_show G: the end of it as TAP notes
#   swan_freeze G; swan_thaw G    SIGSTOP and SIGCONT
#   swan_stop G                   ends it as systemd would; swan_kill G: SIGKILL, nothing is told to the peer
#
# G is any name, as in gw_start; logs are in $work/G.swan/. Variables of swan_conn and their defaults:
#   sw_version=2 sw_local=192.0.2.2 sw_remote=192.0.2.1 sw_proposals= sw_esp= sw_extra= (lines of the connection)
#   sw_auth=psk sw_id=b.example sw_local_extra=   sw_peer_auth=psk sw_peer_id=a.example sw_peer_extra=
#   sw_child=net sw_local_ts=10.2.0.0/16 sw_remote_ts=10.1.0.0/16 sw_mode=tunnel sw_child_extra=
#   sw_children=   text of more children
#   sw_charon=   lines of strongswan.conf's charon-systemd section, read by swan_start
# The secret that swan_config adds, unless its text has a section `secrets', is $swan_psk for both identities.
# shellcheck source=test/interop/lib-pki.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib-pki.sh"

swan_psk=a-secret-for-the-tests-of-IKE
swan_plugins=${swan_plugins:-random nonce openssl sha1 sha2 hmac kdf mgf1 gcm ccm ctr cmac xcbc aes chapoly curve25519 \
	pem pkcs1 pkcs8 pkcs12 x509 pubkey revocation constraints kernel-libipsec kernel-netlink socket-default vici updown}
declare -A swan_pid=()

swan_need() {
	local tool
	for tool in charon-systemd swanctl openssl; do
		command -v "$tool" >/dev/null || tap_skip_all "no $tool (Debian: charon-systemd strongswan-swanctl openssl)"
	done
	[ -n "$(find /usr/lib/ipsec/plugins /usr/lib/*/ipsec/plugins /usr/lib/strongswan/plugins \
		-name libstrongswan-kernel-libipsec.so 2>/dev/null)" ] ||
		tap_skip_all "strongSwan has no kernel-libipsec (Debian: libcharon-extra-plugins)"
	# AppArmor knows them by their path and would keep them out of our folders
	mkdir -p "$work/bin"
	cp "$(command -v charon-systemd)" "$(command -v swanctl)" "$work/bin/"
}

swan_defaults() {
	sw_version=2 sw_local=192.0.2.2 sw_remote=192.0.2.1 sw_proposals='' sw_esp='' sw_extra=''
	sw_auth=psk sw_id=b.example sw_local_extra='' sw_peer_auth=psk sw_peer_id=a.example sw_peer_extra=''
	sw_child=net sw_local_ts=10.2.0.0/16 sw_remote_ts=10.1.0.0/16 sw_mode=tunnel sw_child_extra='' sw_children=''
	sw_charon=''
}
swan_defaults

swan_conn() {
	local q='"' # the shell takes quotes away from inside of ${...}
	cat <<X
	${1:-peer} {
		version = $sw_version
		local_addrs = $sw_local
		remote_addrs = $sw_remote
		${sw_proposals:+proposals = $sw_proposals}
		mobike = no
		$sw_extra
		local {
			auth = $sw_auth
			${sw_id:+id = $q$sw_id$q}
			$sw_local_extra
		}
		remote {
			auth = $sw_peer_auth
			${sw_peer_id:+id = $q$sw_peer_id$q}
			$sw_peer_extra
		}
		children {
			$sw_child {
				local_ts = $sw_local_ts
				remote_ts = $sw_remote_ts
				mode = $sw_mode
				${sw_esp:+esp_proposals = $sw_esp}
				$sw_child_extra
			}
			$sw_children
		}
	}
X
}

# swan_dir G: makes the folders that swanctl looks into
swan_dir() {
	local d=$work/$1.swan sub
	for sub in conf.d x509 x509ca x509crl pubkey private rsa ecdsa pkcs8 pkcs12; do mkdir -p "$d/swanctl/$sub"; done
	chmod 700 "$d/swanctl/private"
	printf '%s' "$d"
}

swan_config() {
	local d
	d=$(swan_dir "$1")
	{
		printf 'connections {\n%s\n}\n' "$2"
		case $2 in
		*secrets\ {*) ;;
		*) printf 'secrets {\n\tike-test {\n\t\tid-a = "%s"\n\t\tid-b = "%s"\n\t\tsecret = "%s"\n\t}\n}\n' \
			"$sw_id" "$sw_peer_id" "$swan_psk" ;;
		esac
	} >"$d/swanctl/swanctl.conf"
}

swan_cred() {
	local g=$1 cert=$2 d ca
	shift 2
	d=$(swan_dir "$g")
	cp "$pki/$cert.pem" "$d/swanctl/x509/"
	cp "$pki/$cert.key" "$d/swanctl/private/"
	for ca in "$@"; do cp "$pki/$ca.pem" "$d/swanctl/x509ca/"; done
}

swan_more() {
	local g=$1 d n
	shift
	d=$(swan_dir "$g")
	for n in "$@"; do cp "$pki/$n.pem" "$d/swanctl/x509/"; done
}

swan_raw_key() {
	local d
	d=$(swan_dir "$1")
	pki_public "$2" && pki_public "$3" || return 1
	cp "$pki/$2.key" "$d/swanctl/private/"
	cp "$pki/$2.pub" "$pki/$3.pub" "$d/swanctl/pubkey/"
}

swan() {
	local g=$1
	shift
	env STRONGSWAN_CONF="$work/$g.swan/strongswan.conf" SWANCTL_DIR="$work/$g.swan/swanctl" \
		timeout "${swan_time:-20}" "$work/bin/swanctl" "$@" --uri "unix://$work/$g.swan/vici"
}

swan_start() {
	local g=$1 d
	d=$(swan_dir "$g")
	rm -f "$d/vici"
	cat >"$d/strongswan.conf" <<X
charon-systemd {
	load = $swan_plugins
	install_virtual_ip = no
	install_routes = yes
	retransmit_timeout = 1.0
	$sw_charon
	plugins {
		vici { socket = unix://$d/vici }
		kernel-libipsec { allow_peer_ts = yes }
	}
	filelog { log { path = $d/charon.log
		time_format = %H:%M:%S
		default = 1
		flush_line = yes } }
	journal { default = -1 }
}
X
	background "$2" "$d/out" env STRONGSWAN_CONF="$d/strongswan.conf" "$work/bin/charon-systemd"
	swan_pid[$g]=$last
	if ! wait_for 10 swan "$g" --stats || ! swan_reload "$g"; then
		fail "strongSwan $g starts"
		note "$(cat "$d/out" "$d/out.err" "$d/load.log" 2>/dev/null | tail -n 20)"
		swan_show "$g"
		return 1
	fi
}

swan_reload() {
	swan "$1" --load-all --noprompt --file "$work/$1.swan/swanctl/swanctl.conf" >"$work/$1.swan/load.log" 2>&1
}

swan_up() { swan "$1" --initiate --child "$2" --timeout "${3:-10}" 2>&1; }

swan_down() {
	swan "$1" --terminate --ike "$2" --timeout 10 2>/dev/null || swan "$1" --terminate --child "$2" --timeout 10
}

swan_sas() { swan "$1" --list-sas --raw 2>/dev/null; }
swan_value() { swan_sas "$1" | grep -oE "[ {]$2=[^ }]*" | head -n 1 | sed 's/^[^=]*=//'; }
swan_ike() { swan_sas "$1" | grep -o '[ {]state=ESTABLISHED' | wc -l; }
swan_children() { swan_sas "$1" | grep -o '[ {]state=INSTALLED' | wc -l; }
swan_ready() { [ "$(swan_children "$1")" -ge "${2:-1}" ]; }

swan_log() { cat "$work/$1.swan/charon.log"; }
swan_show() { note "$(tail -n "${2:-30}" "$work/$1.swan/charon.log" 2>/dev/null)"; }

swan_freeze() { kill -STOP "${swan_pid[$1]}"; }
swan_thaw() { kill -CONT "${swan_pid[$1]}"; }
swan_stop() {
	stop "${swan_pid[$1]}"
	unset "swan_pid[$1]"
}
swan_kill() {
	kill -KILL "${swan_pid[$1]}"
	wait "${swan_pid[$1]}" 2>/dev/null
	unset "swan_pid[$1]"
}
