/* Capture files for tests: pcap (both byte orders, micro- and nanoseconds) and pcapng, down to IP. */
#ifndef TEST_PCAP_H
#define TEST_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcap {
	uint8_t *file; /* owned */
	size_t len;
	size_t at;     /* next record */
	bool ng;
	bool swapped;  /* the file's byte order is not ours */
	uint32_t link; /* LINKTYPE_* */
	uint32_t snap; /* pcapng: longest capture of the first interface, 0 for no limit */
};

#define PCAP_LINK_NULL 0
#define PCAP_LINK_ETHER 1

struct pcap_record {
	const uint8_t *frame; /* borrowed from the file */
	size_t frame_len;
	const uint8_t *ip;    /* what follows the link layer; NULL when that is not IP */
	size_t ip_len;
};

/* Reads a whole file; 0 or -errno. Free with pcap_close(). */
int pcap_open(struct pcap *p, const char *path);
/* The next packet; false at the end, or where the file is cut off. */
bool pcap_next(struct pcap *p, struct pcap_record *out);
void pcap_close(struct pcap *p);

/* The folder `name` of the published vectors ($BUMPWIRE_VECTORS, or shared/vectors beside the source tree), in
 * out[max]. False, after a message, where there is none. */
bool vectors_dir(const char *name, char *out, size_t max);
/* Calls f for every packet of every capture in the folder. Returns how many packets there were. */
unsigned pcap_each(const char *dir, void (*f)(const char *file, const struct pcap_record *r, void *arg),
		   void *arg);

#endif
