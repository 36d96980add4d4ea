/*
 * A TUN or TAP device: look at what already has the name -> open one queue per worker -> offer offloads,
 * most first, until the kernel agrees -> report what was granted. The virtio header in front of
 * every packet is always there, so that readers and writers have one format; without offloads it is
 * simply all zero.
 */
#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/why.h"
#include "io/netlink.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_DEVICE "/dev/net/tun"
#define TUN_F_TSO  (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* What is asked of TUNSETOFFLOAD, most first, and what a grant means. The kernel takes USO only for
 * both versions at once. */
static const struct {
	unsigned flags;
	unsigned can;
	const char *lacks; /* in words; NULL when nothing */
} offload_steps[] = {
	{ TUN_F_TSO | TUN_F_USO4 | TUN_F_USO6,
	  TUN_CAN_CSUM | TUN_CAN_TSO4 | TUN_CAN_TSO6 | TUN_CAN_USO4 | TUN_CAN_USO6, NULL },
	{ TUN_F_TSO, TUN_CAN_CSUM | TUN_CAN_TSO4 | TUN_CAN_TSO6, "UDP segmentation (Linux 6.2)" },
	{ TUN_F_CSUM, TUN_CAN_CSUM, "TCP and UDP segmentation" },
	{ 0, 0, "checksum and segmentation" },
};

/* The kernel's rules for a name (and no '%', which it would take for a pattern), in words. */
static int check_name(const char *name, char *why, size_t whylen)
{
	size_t len = name ? strlen(name) : 0;

	if (len == 0)
		return why_say(-EINVAL, why, whylen, "the device name is empty");
	if (len >= TUN_NAME_LEN)
		return why_say(-ENAMETOOLONG, why, whylen,
			    "device name \"%s\" has %zu characters, at most %d are possible", name,
			       len, TUN_NAME_LEN - 1);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return why_say(-EINVAL, why, whylen, "\"%s\" is not a device name", name);
	for (const char *c = name; *c; c++) {
		if (*c == '/' || *c == ':' || *c == '%' || (unsigned char)*c <= ' ' || *c == 0x7f)
			return why_say(
			    -EINVAL, why, whylen,
			    "device name \"%s\" must not contain '/', ':', '%%' or white space",
			    name);
	}
	return 0;
}

/* Looks at the device that has the name already, if any. *multi_queue: the mode it was made in,
 * which an opener has to match. */
static int check_existing(struct tun *t, bool *multi_queue, char *why, size_t whylen)
{
	struct netlink *n;
	struct netlink_link l;
	int err = netlink_open(&n);

	if (err)
		return why_say(err, why, whylen, "cannot ask for the list of links: %s",
			       strerror(-err));
	err = netlink_link_get(n, t->name, &l);
	if (err == -ENODEV)
		err = 0;
	else if (err)
		err = why_say(err, why, whylen,
			      "cannot look at link %s: %s", t->name, netlink_why(n));
	netlink_close(&n);
	if (err)
		return err;
	t->created = l.index == 0;
	*multi_queue = t->queues > 1;
	if (t->created)
		return 0;
	if (strcmp(l.kind, "tun") != 0)
		return why_say(-EEXIST, why, whylen, "%s exists and is not a %s device", t->name,
			       t->tap ? "TAP" : "TUN");
	if (l.tap != t->tap)
		return why_say(-EEXIST, why, whylen,
			       "%s exists and is a %s device, not %s", t->name,
			       l.tap ? "TAP" : "TUN", t->tap ? "TAP" : "TUN");
	if (l.queues > 0)
		return why_say(-EBUSY, why, whylen, "%s is in use by another process", t->name);
	if (t->queues > 1 && !l.multi_queue)
		return why_say(
		    -EINVAL, why, whylen,
		    "%s exists with a single queue, %u are needed: delete it, or use one worker",
		    t->name, t->queues);
	*multi_queue = l.multi_queue;
	return 0;
}

static int open_queue(struct tun *t, bool multi_queue, char *why, size_t whylen)
{
	struct ifreq ifr = { 0 };
	int vnet_len = TUN_VNET_LEN, err;
	int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		err = -errno;
		return why_say(err, why, whylen, "cannot open %s: %s%s", TUN_DEVICE, strerror(-err),
			       err == -ENOENT || err == -ENODEV
				? " (load the \"tun\" module, or give the container this device)"
				: "");
	}
	memcpy(ifr.ifr_name, t->name, sizeof(t->name));
	ifr.ifr_flags = (short)((t->tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR |
				(multi_queue ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		(void)close(fd);
		if (err == -EBUSY)
			return why_say(err, why, whylen,
				       "%s is in use by another process", t->name);
		if (err == -EPERM)
			return why_say(err, why, whylen,
				       "no permission to %s %s device %s (CAP_NET_ADMIN)",
				       t->created ? "create" : "use", t->tap ? "TAP" : "TUN",
				       t->name);
		return why_say(err, why, whylen, "cannot create %s device %s: %s",
			       t->tap ? "TAP" : "TUN", t->name, strerror(-err));
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &vnet_len) < 0) {
		err = -errno;
		(void)close(fd);
		return why_say(err, why, whylen, "%s: cannot set the packet header's length: %s",
			       t->name, strerror(-err));
	}
	return fd;
}

/* Offloads belong to the device, so one queue sets them for all. */
static int set_offload(struct tun *t, bool want, char *why, size_t whylen)
{
	const unsigned steps = ARRAY_LEN(offload_steps);

	for (unsigned i = want ? 0 : steps - 1; i < steps; i++) {
		if (ioctl(t->fd[0], TUNSETOFFLOAD, (unsigned long)offload_steps[i].flags) < 0)
			continue;
		t->can = offload_steps[i].can;
		if (want && offload_steps[i].lacks)
			log_notice(LOG_NET, "tun %s: no %s offload here, throughput will be lower",
				   t->name, offload_steps[i].lacks);
		return 0;
	}
	return why_say(-errno, why, whylen,
		       "%s: cannot set offloads: %s", t->name, strerror(errno));
}

int tun_open(struct tun *t, const struct tun_opts *o, char *why, size_t whylen)
{
	bool multi_queue = false;
	int err;

	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < TUN_MAX_QUEUES; i++)
		t->fd[i] = -1;
	err = check_name(o->name, why, whylen);
	if (err)
		return err;
	if (o->queues < 1 || o->queues > TUN_MAX_QUEUES)
		return why_say(-EINVAL, why, whylen, "%s: %u queues, 1 to %d are possible", o->name,
			       o->queues, TUN_MAX_QUEUES);
	memcpy(t->name, o->name, strlen(o->name) + 1);
	t->queues = o->queues;
	t->tap = o->tap;
	err = check_existing(t, &multi_queue, why, whylen);
	for (unsigned i = 0; !err && i < t->queues; i++) {
		t->fd[i] = open_queue(t, multi_queue, why, whylen);
		if (t->fd[i] < 0)
			err = t->fd[i];
	}
	if (!err)
		err = set_offload(t, o->offload, why, whylen);
	if (!err) {
		t->ifindex = (int)if_nametoindex(t->name);
		if (t->ifindex == 0)
			err =
			    why_say(-errno, why, whylen,
				    "%s vanished: %s", t->name, strerror(errno));
	}
	/* Last, so that a failure leaves nothing behind. */
	if (!err && o->persist && ioctl(t->fd[0], TUNSETPERSIST, 1UL) < 0)
		err = why_say(-errno, why, whylen, "%s: cannot make it persistent: %s", t->name,
			      strerror(errno));
	if (err) {
		tun_close(t);
		return err;
	}
	t->persist = o->persist || !t->created;
	log_info(LOG_NET, "tun %s: %s, %u queue%s", t->name, t->created ? "created" : "reused",
		 t->queues, t->queues == 1 ? "" : "s");
	return 0;
}

void tun_close(struct tun *t)
{
	for (unsigned i = 0; i < TUN_MAX_QUEUES; i++) {
		if (t->fd[i] >= 0)
			(void)close(t->fd[i]);
		t->fd[i] = -1;
	}
	t->queues = 0;
}
