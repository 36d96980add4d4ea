noinst_LIBRARIES += libcrypt.a
libcrypt_a_SOURCES = \
	src/crypto/backend.h \
	src/crypto/cbc.c \
	src/crypto/cbc.h \
	src/crypto/crypt.c \
	src/crypto/crypt.h \
	src/crypto/dh.c \
	src/crypto/dh.h \
	src/crypto/ecdsa_raw.c \
	src/crypto/ecdsa_raw.h \
	src/crypto/gather.h \
	src/crypto/hash.c \
	src/crypto/hash.h \
	src/crypto/ivgen.c \
	src/crypto/ivgen.h \
	src/crypto/openssl.c \
	src/crypto/openssl_mac.c \
	src/crypto/openssl_mac.h \
	src/crypto/prf.c \
	src/crypto/prf.h \
	src/crypto/sig.c \
	src/crypto/sig.h \
	src/crypto/sig_digest.c \
	src/crypto/sig_digest.h \
	src/crypto/sig_key.c \
	src/crypto/sk.c \
	src/crypto/sk.h \
	src/crypto/sodium.c \
	src/crypto/transform.c \
	src/crypto/transform.h
if HAVE_IPSEC_MB
libcrypt_a_SOURCES += \
	src/crypto/ipsec_mb.c \
	src/crypto/ipsec_mb.h \
	src/crypto/ipsec_mb_gcm.c \
	src/crypto/ipsec_mb_job.c \
	src/crypto/ipsec_mb_key.c
endif
