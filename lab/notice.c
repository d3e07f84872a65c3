/* SPDX-License-Identifier: MIT */
#include "lab/notice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"

struct notice {
	int fd;	    /* -1: the kernel gives no more of them */
	bool blind; /* something cannot be watched */
	uint64_t version;
};

struct notice *notice_new(void)
{
	struct notice *notice = ALLOC_NEW(struct notice);

	notice->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	notice->blind = notice->fd < 0;
	notice->version = 1;
	return notice;
}

void notice_free(struct notice *notice)
{
	if (!notice)
		return;
	if (notice->fd >= 0)
		close(notice->fd);
	free(notice);
}

void notice_add(struct notice *notice, const char *folder)
{
	const uint32_t what = IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVE |
			      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

	if (notice->fd < 0 || inotify_add_watch(notice->fd, folder, what) < 0)
		notice->blind = true;
}

uint64_t notice_version(struct notice *notice)
{
	static uint64_t always;
	union {
		struct inotify_event event;
		char bytes[4096];
	} read_now;
	ssize_t got;

	if (!notice)
		return ++always;
	if (notice->blind)
		return ++notice->version;
	while ((got = read(notice->fd, &read_now, sizeof(read_now))) > 0) {
		notice->version++;
		for (size_t at = 0; at < (size_t)got;) {
			struct inotify_event event;

			memcpy(&event, read_now.bytes + at, sizeof(event));
			/* the folder itself is gone, and what comes in its place is not watched */
			notice->blind |= (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
			at += sizeof(event) + event.len;
		}
	}
	return notice->version;
}
