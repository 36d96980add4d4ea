/* See ike_duo_pki.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike_duo_pki.h"

static struct pki root, cert_a, cert_b;

static struct cred *load(const char *name, const struct pki *p)
{
	char why[300] = "", cert[32], key[32];
	struct cred *c = NULL;

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	ck_assert_msg(cred_load(pki_write_cert(cert, &p->cert, 1), pki_write_key(key, p->key, NULL),
				NULL, &c, why, sizeof(why)) == 0,
		      "%s", why);
	return c;
}

static void by_cert(struct duo_node *n, const char *name, const struct pki *p)
{
	char why[300] = "";

	n->conn->auth.method = n->conn->peer.method = IKE_BY_PUBKEY;
	n->conn->auth.cred = calloc(1, sizeof(struct cred *));
	n->conn->auth.cred[0] = load(name, p);
	n->conn->auth.n_cred = 1;
	n->conf->cas = cred_cas_new();
	ck_assert_int_eq(
	    cred_cas_add(n->conf->cas, pki_write_cert("root.pem", &root.cert, 1), why, sizeof(why)),
	    1);
}

void duo_certs(struct duo *d, enum pki_key kind)
{
	root = pki_make(&(struct pki_opt){ .subject = "CN=Root", .ca = true }, NULL);
	cert_a = pki_make(
	    &(struct pki_opt){ .subject = "CN=a", .san = "DNS:a.example", .kind = kind }, &root);
	cert_b = pki_make(
	    &(struct pki_opt){ .subject = "CN=b", .san = "DNS:b.example", .kind = kind }, &root);
	d->wall_ns = (uint64_t)PKI_NOW * NS_PER_S;
	by_cert(&d->a, "a", &cert_a);
	by_cert(&d->b, "b", &cert_b);
}

void duo_certs_end(void)
{
	pki_fini(&root);
	pki_fini(&cert_a);
	pki_fini(&cert_b);
	pki_folder_remove();
}
