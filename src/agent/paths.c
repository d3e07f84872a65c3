/* SPDX-License-Identifier: MIT */
#include "agent/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

#define PATHS_EDIT (PATHS_READ | PATHS_WRITE | PATHS_KEEP)

/*
 * '*' stands for any characters but the slash; a last component '**' for everything below.
 * Certificates are written only by pki/, hence no PATHS_WRITE there.
 */
static const struct {
	const char *pattern;
	unsigned int use;
} paths_table[] = {
	{"/etc/kubernetes", PATHS_LIST | PATHS_PKI},
	{"/etc/kubernetes/*.conf*", PATHS_EDIT},
	{"/etc/kubernetes/*.yaml*", PATHS_EDIT},
	{"/etc/kubernetes/*.yml*", PATHS_EDIT},
	{"/etc/kubernetes/*.json", PATHS_EDIT},
	{"/etc/kubernetes/*.env", PATHS_EDIT},
	{"/etc/kubernetes/manifests", PATHS_LIST},
	{"/etc/kubernetes/manifests/*", PATHS_LIST | PATHS_EDIT},
	{"/etc/kubernetes/pki", PATHS_LIST | PATHS_PKI},
	{"/etc/kubernetes/pki/**", PATHS_LIST | PATHS_READ | PATHS_KEEP},
	/* kubespray */
	{"/etc/kubernetes/ssl", PATHS_LIST | PATHS_PKI},
	{"/etc/kubernetes/ssl/**", PATHS_LIST | PATHS_READ | PATHS_KEEP},
	{"/var/lib/kubelet/config.yaml", PATHS_EDIT},
	{"/var/lib/kubelet/instance-config.yaml", PATHS_READ},
	{"/var/lib/kubelet/kubeadm-flags.env", PATHS_EDIT},
	{"/var/lib/kubelet/pki", PATHS_LIST},
	{"/var/lib/kubelet/pki/*", PATHS_READ},
	{"/etc/cni/net.d", PATHS_LIST},
	{"/etc/cni/net.d/**", PATHS_LIST | PATHS_EDIT},
	{"/etc/default/kubelet", PATHS_EDIT},
	{"/etc/sysconfig/kubelet", PATHS_EDIT},
	{"/etc/systemd/system/kubelet.service", PATHS_READ},
	{"/lib/systemd/system/kubelet.service", PATHS_READ},
	{"/usr/lib/systemd/system/kubelet.service", PATHS_READ},
	{"/etc/systemd/system/kubelet.service.d", PATHS_LIST},
	{"/etc/systemd/system/kubelet.service.d/*", PATHS_EDIT},
	{"/lib/systemd/system/kubelet.service.d", PATHS_LIST},
	{"/lib/systemd/system/kubelet.service.d/*", PATHS_READ},
	{"/usr/lib/systemd/system/kubelet.service.d", PATHS_LIST},
	{"/usr/lib/systemd/system/kubelet.service.d/*", PATHS_READ},
	/* NO_PROXY of the container runtime */
	{"/etc/systemd/system/containerd.service.d", PATHS_LIST},
	{"/etc/systemd/system/containerd.service.d/*", PATHS_EDIT},
	{"/etc/systemd/system/crio.service.d", PATHS_LIST},
	{"/etc/systemd/system/crio.service.d/*", PATHS_EDIT},
	{"/etc/systemd/system/docker.service.d", PATHS_LIST},
	{"/etc/systemd/system/docker.service.d/*", PATHS_EDIT},
	{"/etc/environment", PATHS_EDIT},
	{"/etc/hosts", PATHS_READ},
	{"/etc/resolv.conf", PATHS_READ},
	{"/run/systemd/resolve/*.conf", PATHS_READ},
	{"/run/resolvconf/resolv.conf", PATHS_READ},
	{"/run/NetworkManager/resolv.conf", PATHS_READ},
};

static bool paths_match(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);

	if (len > 3 && strcmp(pattern + len - 3, "/**") == 0)
		return strncmp(pattern, path, len - 2) == 0 && path[len - 2];
	return fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE) == 0;
}

static bool paths_is_clean(const char *path)
{
	struct slice rest = slice_of(path);
	struct slice part;

	if (path[0] != '/' || rest.len >= PATH_MAX)
		return false;
	for (size_t i = 0; i < rest.len; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return false;
	rest = (struct slice){path + 1, rest.len - 1};
	while (slice_next(&rest, '/', &part))
		if (part.len == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return false;
	return true;
}

int paths_permit(const char *path, enum paths_use use, struct error *err)
{
	unsigned int permitted = 0;

	if (!paths_is_clean(path))
		return error_set(err, ERROR_REFUSED, "'%s' is not a plain absolute path", path);
	for (size_t i = 0; i < sizeof(paths_table) / sizeof(paths_table[0]); i++)
		if (paths_match(paths_table[i].pattern, path))
			permitted |= paths_table[i].use;
	if ((permitted & (unsigned int)use) != (unsigned int)use)
		return error_set(err, ERROR_REFUSED, "'%s' is not in the agent's list for %s", path,
				 use & PATHS_WRITE  ? "writing"
				 : use & PATHS_KEEP ? "backup"
				 : use & PATHS_READ ? "reading"
				 : use & PATHS_PKI  ? "certificates"
						    : "listing");
	return 0;
}

/* realpath() within root: NULL with errno, also when the path leads out of root. */
static char *paths_real(const char *root, const char *path)
{
	auto_free char *full = alloc_format("%s%s", root, path);
	auto_free char *real = realpath(full, NULL);
	size_t len = strlen(root);

	if (!real)
		return NULL;
	if (strncmp(real, root, len) != 0 || real[len] != '/') {
		errno = EXDEV;
		return NULL;
	}
	return alloc_text(real + len);
}

static int paths_resolve_error(const char *path, struct error *err)
{
	if (errno == EXDEV)
		return error_set(err, ERROR_REFUSED, "'%s' leads out of the agent's root", path);
	return error_errno(err, "cannot open '%s'", path);
}

/* Links in the way to the last component, but not that one itself. */
static char *paths_real_parent(const char *root, const char *path, struct error *err)
{
	const char *name = strrchr(path, '/');
	auto_free char *folder = alloc_text_n(path, (size_t)(name - path));
	auto_free char *real = NULL;

	if (name == path)
		return alloc_text(path);
	real = paths_real(root, folder);
	if (!real) {
		paths_resolve_error(path, err);
		return NULL;
	}
	return alloc_format("%s%s", real, name);
}

static bool paths_is_link(const char *root, const char *path)
{
	auto_free char *full = alloc_format("%s%s", root, path);
	struct stat st;

	return lstat(full, &st) == 0 && S_ISLNK(st.st_mode);
}

int paths_resolve(const char *root, const char *path, enum paths_use use, char **ret_real,
		  struct error *err)
{
	auto_free char *real = NULL;

	if (paths_permit(path, use, err) < 0)
		return -1;
	real = paths_real_parent(root, path, err);
	if (!real)
		return -1;
	if (paths_is_link(root, real)) {
		if (use & (PATHS_WRITE | PATHS_KEEP))
			return error_set(
				err, ERROR_REFUSED,
				"'%s' is a symbolic link; the agent does not write through "
				"links",
				path);
		free(real);
		real = paths_real(root, path);
		if (!real)
			return paths_resolve_error(path, err);
	}
	if (strcmp(real, path) != 0 && paths_permit(real, use, err) < 0)
		return error_wrap(err, "'%s' is a link", path);
	*ret_real = steal(real);
	return 0;
}

int paths_open(const char *root, const char *real, int flags, int *ret_fd, struct error *err)
{
	auto_close int fd = open(root[0] ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct slice rest = slice_of(real + 1);
	struct slice part;

	if (fd < 0)
		return error_errno(err, "cannot open '%s'", root[0] ? root : "/");
	while (slice_next(&rest, '/', &part)) {
		auto_free char *name = slice_dup(part);
		int next = openat(fd, name,
				  rest.ptr ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
					   : flags | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0)
			return error_errno(err, "cannot open '%s'", real);
		close(fd);
		fd = next;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int paths_read_all(int fd, const char *path, size_t size, struct secret *ret,
			  struct error *err)
{
	/* One byte more than expected shows a file that grew. */
	auto_secret struct secret bytes = {alloc_bytes(size + 2), 0};

	while (bytes.len <= size) {
		ssize_t got = read(fd, bytes.ptr + bytes.len, size + 1 - bytes.len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read '%s'", path);
		if (got == 0)
			break;
		bytes.len += (size_t)got;
	}
	if (bytes.len > size)
		return error_set(err, ERROR_CONFLICT, "'%s' grew while it was read", path);
	bytes.ptr[bytes.len] = '\0';
	*ret = bytes;
	bytes = (struct secret){0};
	return 0;
}

int paths_read(const char *root, const char *path, enum paths_use use, struct secret *ret,
	       struct stat *ret_stat, char **ret_real, struct error *err)
{
	auto_free char *real = NULL;
	auto_close int fd = -1;
	struct stat st;

	if (paths_resolve(root, path, use, &real, err) < 0)
		return -1;
	/* O_NONBLOCK: opening a named pipe must not hang. */
	if (paths_open(root, real, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_REFUSED, "'%s' is not a regular file", path);
	/* the other name would keep what is replaced here */
	if ((use & PATHS_WRITE) && st.st_nlink > 1)
		return error_set(err, ERROR_REFUSED,
				 "'%s' has another name besides (hard link); the agent does not "
				 "part them",
				 path);
	if ((size_t)st.st_size > LIMIT_CONFIG_FILE)
		return error_set(err, ERROR_PARSE,
				 "'%s' is larger than %zu bytes, which is more than can be right",
				 path, LIMIT_CONFIG_FILE);
	if (paths_read_all(fd, path, (size_t)st.st_size, ret, err) < 0)
		return -1;
	if (ret_stat)
		*ret_stat = st;
	if (ret_real)
		*ret_real = steal(real);
	return 0;
}
