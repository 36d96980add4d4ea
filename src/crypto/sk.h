/*
 * Sealing whole messages: the frame of IKEv2's Encrypted payload (RFC 7296 3.14, RFC 5282 3, RFC
 * 7383 2.5), which is also what any other protocol of header | IV | ciphertext | ICV needs. The
 * header stays in clear and is authenticated; the text gets the padding and Pad Length the cipher
 * wants. The transforms are those of transform.h. A key belongs to one IKE SA and one direction and
 * is a few bytes (the cipher is expanded for each message: IKE seals a few a second, and an SA
 * should cost little). All calls come from the thread that makes the packet keys (crypt_key_new()).
 */
#ifndef CRYPTO_SK_H
#define CRYPTO_SK_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/span.h"
#include "crypto/crypt.h"

struct sk_key;

/* IKE can use the suite: it encrypts (not NULL, not GMAC) and authenticates. */
bool sk_suite_ok(const struct esp_suite *s);

/*
 * Makes a key; call crypt_init() before. encr_key is key_len + salt_len bytes (SK_ei or SK_er),
 * integ_key integ->key_len bytes (SK_ai or SK_ar), empty for combined modes. The explicit IV of a
 * counter mode is counted here from zero, so for the same keying material there must never be a
 * second sealing key. Returns 0, -EINVAL (wrong length), -ENOTSUP (the suite) or -ENOMEM.
 */
int sk_key_new(const struct esp_suite *s, enum crypt_dir dir, struct span encr_key,
	       struct span integ_key, struct sk_key **out) warn_unused;
/* Wipes and frees; NULL is allowed; *k becomes NULL. */
void sk_key_free(struct sk_key **k);

/* Bytes that follow the header for a text of text_len bytes: IV, text, padding, Pad Length, ICV.
 * What the length fields of the header must say before sk_seal(). */
size_t sk_sealed_len(const struct esp_suite *s, size_t text_len);
/* The longest text that fits in `room` such bytes; 0 when not even an empty one fits. */
size_t sk_text_max(const struct esp_suite *s, size_t room);

/*
 * msg[0..head_len) is the header, complete; after it sk_sealed_len() bytes are written. text may
 * lie anywhere, in msg too. cap: bytes at msg. *len: of the whole message. Returns 0, -ENOSPC
 * (cap), -EOVERFLOW (the IVs are used up: rekey) or -EIO (the library failed); then msg behind the
 * header is undefined and must not be sent.
 */
int sk_seal(struct sk_key *k, uint8_t *msg, size_t cap, size_t head_len, struct span text,
	    size_t *len) warn_unused;

/*
 * Checks and decrypts msg[0..len) in place, msg[0..head_len) being the header. *text: a view into
 * msg without padding. The ICV covers all in front of it; with separate integrity nothing is
 * decrypted before it is right. Returns 0, or -EBADMSG (not authentic, malformed): then *text is
 * empty and what follows the header is undefined.
 */
int sk_open(const struct sk_key *k, uint8_t *msg, size_t len, size_t head_len,
	    struct span *text) warn_unused;

#endif
