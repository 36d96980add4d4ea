/* Two engines that prove themselves by certificates of one root. */
#ifndef UNIT_IKE_DUO_PKI_H
#define UNIT_IKE_DUO_PKI_H

#include "ike_duo.h"
#include "ike_pki.h"

/* A root, and of it a certificate with a key of the given kind for a.example and one for
 * b.example; both nodes (before duo_start()) prove themselves so, want it of the other, and
 * trust the root. The clock is set into the time the certificates are good for. Once a test. */
void duo_certs(struct duo *d, enum pki_key kind);
/* Certificates, keys and their files go; the engines keep what they have loaded. */
void duo_certs_end(void);

#endif
