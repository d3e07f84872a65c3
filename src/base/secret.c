/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/alloc.h"

void secret_set(struct secret *s, const void *bytes, size_t len)
{
	char *copy = alloc_bytes(len + 1);

	if (len)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	secret_release(s);
	*s = (struct secret){copy, len};
}

int secret_read(struct secret *s, const char *path, size_t max, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct secret found = {alloc_bytes(max + 2), 0};

	if (fd < 0) {
		secret_release(&found);
		return error_errno(err, "cannot open '%s'", path);
	}
	for (;;) {
		ssize_t got = read(fd, found.ptr + found.len, max + 1 - found.len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			secret_release(&found);
			return error_errno(err, "cannot read '%s'", path);
		}
		if (got == 0)
			break;
		found.len += (size_t)got;
		if (found.len > max) {
			secret_release(&found);
			return error_set(err, ERROR_PARSE, "'%s' is larger than %zu bytes", path,
					 max);
		}
	}
	secret_set(s, found.ptr, found.len);
	secret_release(&found);
	return 0;
}

void secret_release(struct secret *s)
{
	if (s->ptr)
		explicit_bzero(s->ptr, s->len);
	free(s->ptr);
	*s = (struct secret){0};
}

void secret_protect_process(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
