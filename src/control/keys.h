/* `bumpwire keys`: decryption tables for Wireshark. */
#ifndef CONTROL_KEYS_H
#define CONTROL_KEYS_H

#include <jansson.h>

#include "base/bytes.h"
#include "config/config.h"
#include "ike/ike.h"

/*
 * Writes the SAs of a configuration as Wireshark's table "esp_sa" into the file esp_sa in dir, mode
 * 0600; dir may be a Wireshark profile. Keys must still be in the configuration. lines: more of
 * them, from the running process (NULL: none). Refused (-EPERM) unless the configuration says
 * export_keys = yes. Returns how many SAs were written, or -errno with a sentence. SAs whose cipher
 * Wireshark does not know are left out: *skipped.
 */
int keys_wireshark(const struct config *c, const json_t *lines, const char *dir, unsigned *skipped,
		   char *why, size_t whylen) warn_unused;
/* The same for IKE SAs of version 1 or 2: the file ikev1_decryption_table or
 * ikev2_decryption_table. */
int keys_ike_table(unsigned version, const json_t *lines, const char *dir, char *why,
		   size_t whylen) warn_unused;

/* One line of a table (of IKE: of the SA's version), with the newline. The keys are in it: wipe it.
 * False when Wireshark has no name for the cipher, or max is too small. */
bool keys_esp_line(const struct sa_conf *c, char *out, size_t max) warn_unused;
bool keys_ike_line(const struct ike_sa_view *v, const struct ike_keys *k, const struct esp_suite *s,
		   char *out, size_t max) warn_unused;

#endif
