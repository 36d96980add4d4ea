/*
 * What the parts of the test program of connections in configurations share: a folder with
 * certificates, keys and secrets, and the loading of a text there.
 *
 *	test_config_ike.c		defaults, keys by their effect; the runner
 *	test_config_ike_auth.c		secrets, certificates
 *	test_config_ike_same.c		when two connections mean the same
 *	test_config_ike_whole.c		examples, included files, very many connections
 */
#ifndef TEST_CONFIG_IKE_H
#define TEST_CONFIG_IKE_H

#include <check.h>
#include <string.h>

#include "config/config.h"
#include "ike/conf.h"
#include "ike_pki.h"

#define MINUTE (60 * NS_PER_S)
#define HOUR   (60 * MINUTE)

#define PSK_ENDS "local { auth = psk id = a.example } remote { auth = psk id = b.example }\n"
#define SECRET   "secret s { secret = x }\n"

/* A case whose tests have in pki_folder(): ca.pem and other.pem, authorities; NAME.pem, NAME.key
 * and NAME-pub.pem of a, b and locked (passphrase "open sesame", also in the file pass); a.p12;
 * ca.crl, which revokes b; psk. */
TCase *given_case(const char *name);
/* A file of the source, as a path good until the next call. */
const char *given_source(const char *name);
/* Loads a text from there: the result of config_load(); what is said about it is in given_said. */
int given_load(const char *text, struct config **c);
extern char given_said[8192];
/* Loads a text that is right and of which nothing is to be said. */
struct config *given_quiet(const char *text);
/* Its only connection. */
const struct ike_conn_conf *given_conn(const struct config *c);

/* the other files */
TCase *given_auth_case(void);
TCase *given_same_case(void);
TCase *given_whole_case(void);

#endif
