/* `bumpwire keys`: decryption tables for Wireshark. */
#ifndef CONTROL_KEYS_H
#define CONTROL_KEYS_H

#include "base/bytes.h"
#include "config/config.h"

/*
 * Writes the SAs of a configuration as Wireshark's table "esp_sa" into the file esp_sa in dir, mode
 * 0600; dir may be a Wireshark profile. Keys must still be in the configuration. Refused (-EPERM)
 * unless it says export_keys = yes. Returns how many SAs were written, or -errno with a sentence.
 * SAs whose cipher Wireshark does not know are left out: *skipped.
 */
int keys_wireshark(const struct config *c, const char *dir, unsigned *skipped, char *why,
		   size_t whylen) warn_unused;

#endif
