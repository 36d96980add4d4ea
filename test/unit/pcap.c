/* A small bounded reader of capture files. */
#include "pcap.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define NG_SECTION 0x0a0d0d0au
#define NG_ORDER 0x1a2b3c4du
#define NG_INTERFACE 1
#define NG_SIMPLE 3
#define NG_ENHANCED 6

static uint32_t get32(const struct pcap *p, size_t at)
{
	uint32_t v;
	memcpy(&v, p->file + at, sizeof(v));
	return p->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct pcap *p, size_t at)
{
	uint16_t v;
	memcpy(&v, p->file + at, sizeof(v));
	return p->swapped ? __builtin_bswap16(v) : v;
}

static int read_file(struct pcap *p, const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return -errno;
	p->file = malloc(FILE_MAX_BYTES);
	if (!p->file) {
		fclose(f);
		return -ENOMEM;
	}
	p->len = fread(p->file, 1, FILE_MAX_BYTES, f);
	fclose(f);
	return 0;
}

int pcap_open(struct pcap *p, const char *path)
{
	memset(p, 0, sizeof(*p));
	int rc = read_file(p, path);
	if (rc)
		return rc;
	uint32_t magic = p->len >= 24 ? get32(p, 0) : 0;
	if (magic == NG_SECTION) {
		p->ng = true;
		return 0;
	}
	p->swapped = magic == __builtin_bswap32(MAGIC_US) || magic == __builtin_bswap32(MAGIC_NS);
	if (!p->swapped && magic != MAGIC_US && magic != MAGIC_NS) {
		pcap_close(p);
		return -EINVAL;
	}
	p->link = get32(p, 20) & 0xffff; /* the upper half tells of frame check sequences */
	p->at = 24;
	return 0;
}

void pcap_close(struct pcap *p)
{
	free(p->file);
	memset(p, 0, sizeof(*p));
}

/* Finds the IP packet behind the link layer. */
static void find_ip(const struct pcap *p, struct pcap_record *r)
{
	const uint8_t *f = r->frame;
	size_t n = r->frame_len, off = 0;

	r->ip = NULL;
	r->ip_len = 0;
	switch (p->link) {
	case 0:   /* NULL: address family in the byte order of the machine that captured */
	case 108: /* LOOP: the same in network byte order */
		off = 4;
		break;
	case 1:
		for (off = 14; off <= n && f[off - 2] == 0x81 && f[off - 1] == 0x00;)
			off += 4;
		if (off > n)
			return;
		if (!(f[off - 2] == 0x08 && f[off - 1] == 0x00) &&
		    !(f[off - 2] == 0x86 && f[off - 1] == 0xdd))
			return;
		break;
	case 12: /* raw IP: as BSD, OpenBSD and everybody else number it */
	case 14:
	case 101:
	case 228:
	case 229:
		break;
	case 113: /* Linux cooked */
		off = 16;
		break;
	default:
		return;
	}
	if (off > n)
		return;
	r->ip = f + off;
	r->ip_len = n - off;
}

/* Takes the packet at [at, at + n), clipped to the file. */
static void take(const struct pcap *p, size_t at, size_t n, struct pcap_record *r)
{
	r->frame = p->file + at;
	r->frame_len = n < p->len - at ? n : p->len - at;
	find_ip(p, r);
}

static bool next_classic(struct pcap *p, struct pcap_record *r)
{
	if (p->len - p->at < 16)
		return false;
	size_t n = get32(p, p->at + 8), at = p->at + 16;
	take(p, at, n, r);
	p->at = at + r->frame_len;
	return true;
}

/* One block; true when it holds a packet. */
static bool ng_block(struct pcap *p, size_t at, uint32_t type, size_t n, struct pcap_record *r)
{
	if (type == NG_INTERFACE && n >= 16) {
		p->link = get16(p, at + 8);
		p->snap = get32(p, at + 12);
	} else if (type == NG_SIMPLE && n >= 16) {
		size_t size = get32(p, at + 8);
		if (p->snap && size > p->snap)
			size = p->snap;
		take(p, at + 12, size < n - 16 ? size : n - 16, r);
		return true;
	} else if (type == NG_ENHANCED && n >= 32) {
		size_t size = get32(p, at + 20);
		take(p, at + 28, size < n - 32 ? size : n - 32, r);
		return true;
	}
	return false;
}

static bool next_ng(struct pcap *p, struct pcap_record *r)
{
	while (p->len - p->at >= 12) {
		size_t at = p->at;
		if (get32(p, at) == NG_SECTION) {
			p->swapped = false;
			p->swapped = get32(p, at + 8) != NG_ORDER;
		}
		uint32_t type = get32(p, at);
		size_t n = get32(p, at + 4);
		if (n < 12 || n % 4 || n > p->len - at)
			return false;
		p->at += n;
		if (ng_block(p, at, type, n, r))
			return true;
	}
	return false;
}

bool pcap_next(struct pcap *p, struct pcap_record *out)
{
	return p->ng ? next_ng(p, out) : next_classic(p, out);
}

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool vectors_dir(const char *name, char *out, size_t max)
{
	const char *env = getenv("BUMPWIRE_VECTORS"), *src = getenv("srcdir");
	/* from the top of the tree, from a build directory inside it, from $(srcdir) of automake */
	static const char *const up[] = { "../shared/vectors", "../../shared/vectors" };

	if (env) {
		snprintf(out, max, "%s/%s", env, name);
		if (is_dir(out))
			return true;
	} else {
		for (unsigned i = 0; i < sizeof(up) / sizeof(up[0]); i++) {
			snprintf(out, max, "%s/%s", up[i], name);
			if (is_dir(out))
				return true;
			snprintf(out, max, "%s/%s/%s", src ? src : ".", up[i], name);
			if (is_dir(out))
				return true;
		}
	}
	printf("skipped: no folder %s of published vectors (set BUMPWIRE_VECTORS)\n", name);
	return false;
}

unsigned pcap_each(const char *dir, void (*f)(const char *file, const struct pcap_record *r, void *arg),
		   void *arg)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		char path[4096];
		struct pcap p;
		struct pcap_record r;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.' || pcap_open(&p, path))
			continue;
		for (; pcap_next(&p, &r); n++)
			f(e->d_name, &r, arg);
		pcap_close(&p);
	}
	closedir(d);
	return n;
}
