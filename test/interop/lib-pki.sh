# Certificates for tests, with the openssl command. Source after scenario/lib.sh; nothing else is needed.
# Everything lies in $pki: NAME.pem (certificate), NAME.key (private key, PKCS#8, PEM).
#
#   pki_ca NAME SUBJECT [ISSUER] [OPTION=VALUE...]           an authority, self-signed without ISSUER ("-")
#   pki_cert NAME SUBJECT ISSUER [OPTION=VALUE...]           an end certificate
#     key=p256|p384|p521|rsa|rsa3072|pss|ed25519|ed448       kind of key (p256)
#     san=DNS:a.example,IP:192.0.2.1                         subjectAltName
#     eku=serverAuth,1.3.6.1.5.5.7.3.17                      extendedKeyUsage
#     usage=... basic=...                                    keyUsage, basicConstraints instead of the usual ones
#     days=N                                                 valid from now for so long (365)
#     from=-9 to=-1                                          valid from and to, in days from now
#     sha=sha384                                             hash of the signature (sha256)
#     sigopt="-sigopt rsa_padding_mode:pss"                  more for the signature
#   pki_bundle FILE NAME...    the certificates one after the other, the end certificate first
#   pki_crl CA [NAME...]       CA.crl: the CA's revocation list with those certificates in it
#   pki_p12 NAME PASS CA...    NAME.p12: key, certificate and those of the CAs
#   pki_encrypt NAME PASS      NAME.enc.key: its private key encrypted
#   pki_public NAME            NAME.pub: its public key
#
# Subjects are in openssl's form: /C=DE/O=Example/CN=gw.

pki=$work/pki
mkdir -p "$pki"

pki_key() { # pki_key NAME KIND
	local alg
	case $2 in
	p256 | p384) alg="-algorithm EC -pkeyopt ec_paramgen_curve:P-${2#p}" ;;
	p521) alg="-algorithm EC -pkeyopt ec_paramgen_curve:P-521" ;;
	rsa) alg="-algorithm RSA -pkeyopt rsa_keygen_bits:2048" ;;
	rsa[1-9]*) alg="-algorithm RSA -pkeyopt rsa_keygen_bits:${2#rsa}" ;;
	pss) alg="-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048" ;;
	ed25519 | ed448) alg="-algorithm ${2^^}" ;;
	*) note "pki_key: no kind $2"; return 1 ;;
	esac
	# shellcheck disable=SC2086
	(umask 077 && openssl genpkey $alg -out "$pki/$1.key" 2>/dev/null)
}

# pki_issue NAME SUBJECT ISSUER CA|END OPTION=VALUE...
pki_issue() {
	local name=$1 subject=$2 issuer=$3 kind=$4 o ext
	local key=p256 san='' eku='' usage='' basic='' days=365 from='' to='' sha=sha256 sigopt=''
	shift 4
	for o in "$@"; do local "${o%%=*}=${o#*=}"; done
	if [ "$kind" = CA ]; then
		: "${basic:=critical,CA:TRUE}" "${usage:=critical,keyCertSign,cRLSign}"
	else
		: "${basic:=CA:FALSE}" "${usage:=digitalSignature}"
	fi
	ext="[x]
basicConstraints=$basic
keyUsage=$usage
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
${eku:+extendedKeyUsage=$eku
}${san:+subjectAltName=$san}"
	[ -e "$pki/$name.key" ] || pki_key "$name" "$key" || return 1
	case $key in ed*) sha='' ;; esac
	[ "$issuer" = - ] && issuer=$name
	# `openssl ca` is what can choose both dates
	mkdir -p "$pki/$issuer.db" && touch "$pki/$issuer.db/index"
	printf '%s\n[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=%s\npolicy=p\nunique_subject=no\npreserve=yes\n[p]\n' \
		"$ext" "$pki/$issuer.db" "$pki/$issuer.db" "${sha:-default}" >"$pki/$name.cnf"
	printf '%s=optional\n' countryName organizationName organizationalUnitName commonName emailAddress \
		>>"$pki/$name.cnf"
	openssl req -new -config /dev/null -key "$pki/$name.key" -subj "$subject" -out "$pki/$name.csr" 2>"$pki/$name.err" ||
		{ note "$(cat "$pki/$name.err")"; return 1; }
	local selfsign=()
	if [ "$issuer" = "$name" ]; then selfsign=(-selfsign); else selfsign=(-cert "$pki/$issuer.pem"); fi
	# shellcheck disable=SC2086
	openssl ca -batch -notext -config "$pki/$name.cnf" -extensions x -in "$pki/$name.csr" \
		-keyfile "$pki/$issuer.key" "${selfsign[@]}" $sigopt -out "$pki/$name.pem" \
		-startdate "$(date -u -d "${from:-0} days" +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d "${to:-$days} days" +%Y%m%d%H%M%SZ)" 2>"$pki/$name.err" ||
		{ note "$(cat "$pki/$name.err")"; return 1; }
}

pki_ca() {
	local name=$1 subject=$2 issuer=${3:--}
	shift $(($# < 3 ? $# : 3))
	pki_issue "$name" "$subject" "$issuer" CA "$@"
}

pki_cert() {
	local name=$1 subject=$2 issuer=$3
	shift 3
	pki_issue "$name" "$subject" "$issuer" END "$@"
}

pki_bundle() {
	local out=$1 n
	shift
	for n in "$@"; do cat "$pki/$n.pem"; done >"$out"
}

pki_crl() {
	local ca=$1 n
	shift
	for n in "$@"; do
		openssl ca -config "$pki/$ca.cnf" -keyfile "$pki/$ca.key" -cert "$pki/$ca.pem" -revoke "$pki/$n.pem" 2>"$pki/crl.err" ||
			{ note "$(cat "$pki/crl.err")"; return 1; }
	done
	openssl ca -config "$pki/$ca.cnf" -keyfile "$pki/$ca.key" -cert "$pki/$ca.pem" -gencrl -crldays 30 -out "$pki/$ca.crl" 2>"$pki/crl.err" ||
		{ note "$(cat "$pki/crl.err")"; return 1; }
}

pki_p12() {
	local name=$1 pass=$2
	shift 2
	pki_bundle "$pki/$name.more" "$@"
	(umask 077 && openssl pkcs12 -export -inkey "$pki/$name.key" -in "$pki/$name.pem" -certfile "$pki/$name.more" \
		-passout "pass:$pass" -out "$pki/$name.p12")
}

pki_encrypt() {
	(umask 077 && openssl pkcs8 -topk8 -v2 aes-256-cbc -in "$pki/$1.key" -passout "pass:$2" -out "$pki/$1.enc.key")
}

pki_public() { openssl pkey -in "$pki/$1.key" -pubout -out "$pki/$1.pub"; }
