/* Answers of the daemon for people to read. What is missing in the JSON is left out; nothing here
 * fails. */
#ifndef CONTROL_FORMAT_H
#define CONTROL_FORMAT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

void format_status(const json_t *status, FILE *to);
void format_sas(const json_t *sas, FILE *to);
void format_policies(const json_t *policies, FILE *to);
void format_conns(const json_t *conns, FILE *to);
void format_certs(const json_t *certs, FILE *to);
void format_leases(const json_t *leases, FILE *to);
void format_drops(const json_t *drops, FILE *to);
void format_event(const json_t *event, FILE *to);
/* An event of an order that somebody at a terminal waits for. */
void format_progress(const json_t *event, FILE *to);

#define FORMAT_LEN 32
/* "1.4 MB": powers of 1000. */
const char *format_bytes(uint64_t bytes, char out[FORMAT_LEN]);
/* "3d 4h", "2h 5m", "41s": the two largest units. */
const char *format_seconds(uint64_t s, char out[FORMAT_LEN]);
/* "12.3 Mbit/s". */
const char *format_rate(double bits_per_s, char out[FORMAT_LEN]);

#endif
