/* SPDX-License-Identifier: MIT */
#include "node/binary.h"

#include <elf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/file.h"

/* The budget of a static agent is 8 MB; with room for one that was not stripped. */
#define BINARY_MAX ((size_t)64 * 1024 * 1024)

static int binary_take(struct binary *b, const char *path, struct error *err)
{
	if (access(path, X_OK) < 0)
		return error_errno(err, "cannot use renumber-agent '%s'", path);
	b->path = alloc_text(path);
	return 0;
}

int binary_find(struct binary *b, const char *wanted, struct error *err)
{
	static const char *const places[] = {"", "../libexec/kubectl-renumber/"};
	char self[PATH_MAX];
	ssize_t len;

	if (b->path)
		return 0;
	if (!wanted)
		wanted = getenv("KUBECTL_RENUMBER_AGENT");
	if (wanted && wanted[0])
		return binary_take(b, wanted, err);
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return error_errno(err, "cannot tell where this program is");
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		auto_free char *path =
			alloc_format("%s/%s%s", self, places[i], PROTOCOL_AGENT_NAME);

		if (file_exists(path))
			return binary_take(b, path, err);
	}
	return error_set(err, ERROR_NOT_FOUND,
			 "'renumber-agent' is neither in '%s' nor in "
			 "'%s/../libexec/kubectl-renumber'; name it with $KUBECTL_RENUMBER_AGENT",
			 self, self);
}

static const char *binary_machine(const struct buffer *bytes)
{
	const Elf64_Ehdr *header = (const void *)bytes->ptr;

	if (bytes->len < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	switch (header->e_machine) {
	case EM_X86_64:
		return "x86_64";
	case EM_AARCH64:
		return "aarch64";
	case EM_S390:
		return "s390x";
	case EM_PPC64:
		return "ppc64le";
	case EM_RISCV:
		return "riscv64";
	default:
		return NULL;
	}
}

int binary_load(struct binary *b, struct error *err)
{
	if (b->machine)
		return 0;
	buffer_clear(&b->bytes);
	b->bytes.max = BINARY_MAX;
	if (file_read(b->path, BINARY_MAX, &b->bytes, err) < 0)
		return -1;
	b->machine = binary_machine(&b->bytes);
	if (!b->machine)
		return error_set(err, ERROR_PARSE,
				 "'%s' is not a program that can be sent to a node", b->path);
	return 0;
}

void binary_release(struct binary *b)
{
	free(b->path);
	buffer_release(&b->bytes);
	*b = (struct binary){0};
}
