/*
 * Public-key work for an SA: an exchange hands over copies of all that is needed, another thread
 * computes, the result comes back to the exchange on the engine's thread. An SA that ended
 * meanwhile leaves the job without an owner: it then frees itself.
 */
#include "ike/engine.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ike/version.h"

void ike_work_free(struct ike_work **wp)
{
	struct ike_work *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	dh_free(&w->dh);
	free(w->peer.p);
	secret_free(&w->shared);
	if (w->bytes)
		secret_release(w->bytes, w->n_bytes);
	EVP_PKEY_free(w->key);
	X509_free(w->cert);
	sk_X509_pop_free(w->chain, X509_free);
	cred_cas_unref(&w->cas);
	ident_fini(&w->id);
	free(w->hash);
	free(w->auth);
	free(w);
}

void ike_work_abandon(struct ike_work *w)
{
	w->sa = NULL;
}

static void run_dh(struct ike_work *w)
{
	if (!w->dh)
		w->rc = dh_new(w->group, &w->dh);
	if (w->rc == 0 && w->peer.len)
		w->rc = dh_shared(w->dh, span_of(w->peer.p, w->peer.len), &w->shared);
	if (w->rc)
		snprintf(w->why, sizeof(w->why),
			 w->rc == -EBADMSG ? "the peer's public value for %s is not valid"
					   : "the key exchange with %s could not be computed",
			 w->group->keyword);
}

static void run_sign(struct ike_work *w)
{
	w->auth = malloc(AUTH_DATA_MAX);
	w->rc = w->auth ? auth_sign(&w->octets, w->sig, w->method, w->key, w->auth, &w->n_auth)
			: -ENOMEM;
	if (w->rc)
		snprintf(w->why, sizeof(w->why),
			 "our private key could not make the signature (%s)", w->sig->name);
}

static void run_verify(struct ike_work *w)
{
	w->rc = 0;
	if (w->cert)
		w->rc =
		    cred_verify(w->cas, w->cert, w->chain, w->at, &w->id, w->why, sizeof(w->why));
	if (w->rc == 0)
		w->rc = auth_verify(&w->octets, w->method, w->data, w->key, w->hashes, w->why,
				    sizeof(w->why));
}

static void run_password(struct ike_work *w)
{
	w->rc = crypto_pwhash_str_verify(w->hash, (const char *)w->data.p, w->data.len) ? -EACCES : 0;
	if (w->rc)
		snprintf(w->why, sizeof(w->why), "the password is wrong");
}

static void work_run(struct ike_job *job)
{
	struct ike_work *w = list_entry(job, struct ike_work, job);

	switch (w->kind) {
	case IKE_WORK_DH:
		run_dh(w);
		break;
	case IKE_WORK_SIGN:
		run_sign(w);
		break;
	case IKE_WORK_VERIFY:
		run_verify(w);
		break;
	case IKE_WORK_PASSWORD:
		run_password(w);
		break;
	}
}

static void work_done(struct ike_job *job)
{
	struct ike_work *w = list_entry(job, struct ike_work, job);

	w->ike->stats.jobs--;
	if (w->sa)
		ike_version(w->sa)->work_done(w);
	else
		ike_work_free(&w);
}

static struct ike_work *work_new(struct ike_sa *sa, enum ike_work_kind kind)
{
	struct ike_work *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->job.run = work_run;
	w->job.done = work_done;
	w->ike = sa->ike;
	w->sa = sa;
	w->kind = kind;
	return w;
}

/* IKE_DROP: w is still the caller's. */
static enum ike_rc submit(struct ike_work *w)
{
	struct ike *ike = w->ike;
	struct ike_work **flying = ike_version(w->sa)->flying(w->sa);

	ike->stats.jobs++;
	*flying = w;
	if (ike->env.submit(ike->env.ctx, &w->job) == 0)
		return IKE_WAIT;
	*flying = NULL;
	ike->stats.jobs--;
	return IKE_DROP;
}

enum ike_rc ike_work_dh(struct ike_sa *sa, const struct dh_info *group, struct dh **dh,
			struct span peer)
{
	struct ike_work *w = work_new(sa, IKE_WORK_DH);

	if (!w)
		return IKE_DROP;
	w->group = group;
	if (peer.len) {
		w->peer.p = malloc(peer.len);
		if (!w->peer.p) {
			ike_work_free(&w);
			return IKE_DROP;
		}
		memcpy(w->peer.p, peer.p, peer.len);
		w->peer.len = peer.len;
	}
	if (dh) {
		w->dh = *dh;
		*dh = NULL;
	}
	if (submit(w) == IKE_WAIT)
		return IKE_WAIT;
	if (dh) {
		*dh = w->dh;
		w->dh = NULL;
	}
	ike_work_free(&w);
	return IKE_DROP;
}

/* Copies what is signed, and data, into one guarded block. */
static int keep_octets(struct ike_work *w, const struct auth_octets *o, struct span data)
{
	struct span *part[] = { &w->octets.message, &w->octets.nonce, &w->octets.sk_p,
				&w->octets.id_body, &w->data };

	w->octets = *o;
	w->data = data;
	for (unsigned i = 0; i < ARRAY_LEN(part); i++)
		w->n_bytes += part[i]->len;
	uint8_t *p = w->bytes = secret_alloc(w->n_bytes);
	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_LEN(part); i++) {
		if (part[i]->len)
			memcpy(p, part[i]->p, part[i]->len);
		part[i]->p = p;
		p += part[i]->len;
	}
	return 0;
}

static bool keep_key(struct ike_work *w, EVP_PKEY *key)
{
	if (!key || EVP_PKEY_up_ref(key) != 1)
		return false;
	w->key = key;
	return true;
}

enum ike_rc ike_work_sign(struct ike_sa *sa, const struct auth_octets *o, const struct sig_info *s,
			  uint8_t method, EVP_PKEY *key)
{
	struct ike_work *w = work_new(sa, IKE_WORK_SIGN);

	if (!w)
		return IKE_DROP;
	w->sig = s;
	w->method = method;
	if (keep_key(w, key) && keep_octets(w, o, span_of(NULL, 0)) == 0 && submit(w) == IKE_WAIT)
		return IKE_WAIT;
	ike_work_free(&w);
	return IKE_DROP;
}

enum ike_rc ike_work_verify(struct ike_sa *sa, const struct auth_octets *o, uint8_t method,
			    struct span data, uint32_t hashes, EVP_PKEY *key, X509 *cert,
			    STACK_OF(X509) * chain, struct cred_cas *cas, const struct ident *id)
{
	struct ike_work *w = work_new(sa, IKE_WORK_VERIFY);

	if (!w) {
		sk_X509_pop_free(chain, X509_free);
		return IKE_DROP;
	}
	w->chain = chain;
	w->method = method;
	w->hashes = hashes;
	w->at = (int64_t)(clock_wall_ns() / NS_PER_S);
	if (cert && X509_up_ref(cert) == 1) {
		w->cert = cert;
		key = X509_get0_pubkey(cert);
	}
	if (cas)
		w->cas = cred_cas_ref(cas);
	if (keep_key(w, key) && keep_octets(w, o, data) == 0 && ident_copy(id, &w->id) == 0 &&
	    submit(w) == IKE_WAIT)
		return IKE_WAIT;
	ike_work_free(&w);
	return IKE_DROP;
}

enum ike_rc ike_work_password(struct ike_sa *sa, struct span password, const char *hash)
{
	struct ike_work *w = work_new(sa, IKE_WORK_PASSWORD);
	struct auth_octets none = { .prf = NULL };

	if (!w)
		return IKE_DROP;
	w->hash = strdup(hash);
	if (w->hash && keep_octets(w, &none, password.len ? password : span_of("", 1)) == 0 &&
	    submit(w) == IKE_WAIT)
		return IKE_WAIT;
	ike_work_free(&w);
	return IKE_DROP;
}
