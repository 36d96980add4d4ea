/*
 * UDP packets at a rate that iperf3 cannot offer on few CPUs: 64 of them a system call.
 *
 *   udp_load receive ADDRESS PORT SECONDS          says "ready"; then, counted from the first packet on,
 *                                                  for SECONDS: prints the packets that arrived
 *   udp_load send ADDRESS PORT SIZE RATE SECONDS   RATE packets a second with SIZE bytes of payload,
 *                                                  evenly, or as many as there can be; prints how many went
 *
 * What the local system refuses for want of room (ENOBUFS) has been offered all the same: the queue it
 * would have gone to is the tunnel's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define SIZE_MAX_UDP 9000
#define WAIT_FIRST_MS 10000
#define BUFFER (4 * 1024 * 1024)

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static bool address(const char *text, const char *port, struct sockaddr_in *to)
{
	*to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	return inet_pton(AF_INET, text, &to->sin_addr) == 1;
}

static int receive(int s, double seconds)
{
	static uint8_t room[BATCH][SIZE_MAX_UDP];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	struct pollfd p = { .fd = s, .events = POLLIN };
	int64_t end = 0, span = (int64_t)(seconds * 1e9);
	uint64_t got = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){ room[i], sizeof(room[i]) };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		int64_t left = end ? end - now_ns() : INT64_C(1000000) * WAIT_FIRST_MS;
		if (left <= 0 || poll(&p, 1, (int)(left / 1000000 + 1)) == 0)
			break;
		int n = recvmmsg(s, m, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail("recvmmsg");
		if (n > 0 && !end)
			end = now_ns() + span;
		if (n > 0 && now_ns() < end)
			got += (unsigned)n;
	}
	printf("%llu\n", (unsigned long long)got);
	return 0;
}

/* Every half millisecond what is due by then, but no more than BATCH at a time: who is late stays late. */
static int offer(int s, size_t size, double rate, double seconds)
{
	static uint8_t data[SIZE_MAX_UDP];
	struct mmsghdr m[BATCH];
	struct iovec v = { data, size };
	int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
	uint64_t sent = 0;

	for (unsigned i = 0; i < BATCH; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	for (int64_t now = start; now < end; now = now_ns()) {
		double due = (double)(now - start) * rate / 1e9 - (double)sent;
		if (due < 1) {
			nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
			continue;
		}
		int n = sendmmsg(s, m, due < BATCH ? (unsigned)due : BATCH, 0);
		if (n < 0 && errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR)
			return fail("sendmmsg");
		sent += n > 0 ? (unsigned)n : 1;
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

int main(int argc, char **argv)
{
	bool sends = argc == 7 && strcmp(argv[1], "send") == 0;
	bool receives = argc == 5 && strcmp(argv[1], "receive") == 0;
	struct sockaddr_in a;

	if ((!sends && !receives) || !address(argv[2], argv[3], &a)) {
		fputs("udp_load receive ADDRESS PORT SECONDS\n"
		      "udp_load send ADDRESS PORT SIZE RATE SECONDS\n", stderr);
		return 2;
	}
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = BUFFER;
	if (s < 0)
		return fail("socket");
	/* beyond what an ordinary process may have: what is measured is the tunnel, not this queue */
	(void)setsockopt(s, SOL_SOCKET, receives ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &room, sizeof(room));
	if (receives) {
		if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0)
			return fail("bind");
		return receive(s, atof(argv[4]));
	}
	size_t size = (size_t)atoi(argv[4]);
	if (size < 1 || size > SIZE_MAX_UDP)
		return fail("size");
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) != 0)
		return fail("connect");
	return offer(s, size, atof(argv[5]), atof(argv[6]));
}
