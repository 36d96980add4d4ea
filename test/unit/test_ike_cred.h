/* What the tests of credentials and of chains share: authorities made anew for each test. */
#ifndef TEST_IKE_CRED_H
#define TEST_IKE_CRED_H

#include <check.h>

#include "ike/cred.h"
#include "ike_pki.h"

/* "CN=Root" signs "CN=Mid", which signs "CN=gw" (gw.example, 192.0.2.1, a@b.example); "CN=Foreign
 * CA" is another root. cas trusts Root, whose file is root.pem. */
extern struct pki root, mid, gw, foreign;
extern struct cred_cas *cas;

/* A case with these. */
TCase *must_case(const char *name);
/* n certificates are added to c from a file or folder. */
void must_add(struct cred_cas *c, const char *path, int n);
/* An identity from its text; ident_fini() is the caller's. */
struct ident must_parse(const char *text);

/* test_ike_chain.c */
TCase *cred_chain_case(void);

#endif
