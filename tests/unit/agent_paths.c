/* SPDX-License-Identifier: MIT */
#include "agent/paths.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "lib/test.h"

static void test_permit(void)
{
	static const struct {
		const char *path;
		unsigned int use; /* 0: refused for every use */
		unsigned int not_use;
	} rows[] = {
		{"/etc/kubernetes/manifests", PATHS_LIST, PATHS_WRITE},
		{"/etc/kubernetes/manifests/kube-apiserver.yaml", PATHS_READ | PATHS_WRITE,
		 PATHS_PKI},
		{"/etc/kubernetes/admin.conf", PATHS_READ | PATHS_WRITE | PATHS_KEEP, 0},
		{"/etc/kubernetes/pki", PATHS_LIST | PATHS_PKI, PATHS_READ},
		{"/etc/kubernetes/pki/ca.key", PATHS_KEEP, PATHS_WRITE},
		{"/etc/kubernetes/pki/etcd/ca.crt", PATHS_READ | PATHS_KEEP, PATHS_WRITE},
		{"/etc/kubernetes/ssl/apiserver.crt", PATHS_READ, PATHS_WRITE},
		{"/var/lib/kubelet/config.yaml", PATHS_READ | PATHS_WRITE, 0},
		{"/var/lib/kubelet/pods/x/token", 0, 0},
		{"/etc/cni/net.d/calico-kubeconfig", PATHS_READ | PATHS_WRITE, 0},
		{"/etc/cni/net.d/sub/x.conf", PATHS_READ, 0},
		{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", PATHS_READ, 0},
		{"/etc/systemd/system/sshd.service.d/x.conf", 0, 0},
		{"/etc/resolv.conf", PATHS_READ, PATHS_WRITE},
		{"/etc/environment", PATHS_READ | PATHS_WRITE, 0},
		{"/etc/hosts", PATHS_READ, PATHS_WRITE},
		{"/etc/shadow", 0, 0},
		{"/", 0, 0},
		{"/etc", 0, 0},
		{"/etc/kubernetes/", 0, 0},
		{"", 0, 0},
		{"etc/hosts", 0, 0},
		{"//etc/hosts", 0, 0},
		{"/etc//hosts", 0, 0},
		{"/etc/./hosts", 0, 0},
		{"/etc/kubernetes/../hosts", 0, 0},
		{"/etc/kubernetes/pki/../../shadow", 0, 0},
		{"/etc/kubernetes/pki/..", 0, 0},
		{"/etc/kubernetes/manifests/../../shadow", 0, 0},
		{"/etc/kubernetes/manifests/a/b", 0, 0},
		{"/etc/kubernetes/a.conf/b", 0, 0},
		{"/etc/hosts\n", 0, 0},
		{"/etc/kubernetes/pki/a\tb", 0, 0},
		{"/etc/kubernetes/passwd", 0, 0},
		{"/var/lib/kubectl-renumber/run/manifest.json", 0, 0},
		{"/proc/1/environ", 0, 0},
	};
	static const unsigned int uses[] = {PATHS_LIST, PATHS_READ, PATHS_WRITE, PATHS_KEEP,
					    PATHS_PKI};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("path '%s'", rows[i].path);
		for (size_t k = 0; k < sizeof(uses) / sizeof(uses[0]); k++) {
			auto_error struct error err = {0};
			int result = paths_permit(rows[i].path, (enum paths_use)uses[k], &err);

			if (rows[i].use & uses[k])
				CHECK_OK(result, &err);
			else if (rows[i].use == 0 || (rows[i].not_use & uses[k]))
				CHECK_ERROR(result, &err, ERROR_REFUSED, "");
		}
	}
	TEST("a path longer than the kernel takes is refused");
	{
		auto_buffer struct buffer path = {0};
		auto_error struct error err = {0};

		buffer_text(&path, "/etc/kubernetes/pki");
		for (int i = 0; i < 5000; i++)
			buffer_text(&path, "/a");
		CHECK_ERROR(paths_permit(path.ptr, PATHS_READ, &err), &err, ERROR_REFUSED, "plain");
	}
}

/* A small node below root. */
static void put(const char *root, const char *path, const char *text)
{
	auto_free char *full = alloc_format("%s%s", root, path);
	auto_free char *folder = alloc_text_n(full, (size_t)(strrchr(full, '/') - full));
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(folder, 0755, &err), &err);
	CHECK_OK(file_replace(full, text, strlen(text), 0644, 0, &err), &err);
}

static void make_link(const char *root, const char *path, const char *target)
{
	auto_free char *full = alloc_format("%s%s", root, path);

	CHECK_INT(symlink(target, full), 0);
}

static void check_read(const char *root, const char *path, const char *want)
{
	auto_secret struct secret bytes = {0};
	auto_error struct error err = {0};
	auto_free char *real = NULL;

	TEST("reading '%s'", path);
	CHECK_OK(paths_read(root, path, PATHS_READ, &bytes, NULL, &real, &err), &err);
	CHECK_STR(bytes.ptr, want);
}

static void check_refused(const char *root, const char *path, enum paths_use use,
			  enum error_kind kind, const char *text)
{
	auto_secret struct secret bytes = {0};
	auto_error struct error err = {0};

	TEST("'%s' for use %u is refused", path, (unsigned int)use);
	CHECK_ERROR(paths_read(root, path, use, &bytes, NULL, NULL, &err), &err, kind, text);
}

static void test_links(const char *root)
{
	auto_free char *outside = alloc_format("%s/outside", root);
	auto_free char *pipe = alloc_format("%s/node/etc/kubernetes/pipe.conf", root);

	TEST("a node is made");
	put(root, "/outside/secret", "outside");
	put(root, "/node/etc/shadow", "shadow");
	put(root, "/node/etc/hosts", "hosts");
	put(root, "/node/etc/kubernetes/ssl/apiserver.crt", "crt");
	put(root, "/node/etc/kubernetes/admin.conf", "admin");
	put(root, "/node/etc/kubernetes/manifests/a.yaml", "a");
	put(root, "/node/run/systemd/resolve/stub-resolv.conf", "nameserver 1.2.3.4");
	put(root, "/node/etc/cni/net.d/x.conf", "x");
	make_link(root, "/node/etc/kubernetes/pki", "ssl");
	make_link(root, "/node/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
	make_link(root, "/node/etc/kubernetes/evil.conf", "../shadow");
	make_link(root, "/node/etc/kubernetes/far.conf", "../../../outside/secret");
	make_link(root, "/node/etc/kubernetes/abs.conf", outside);
	make_link(root, "/node/etc/kubernetes/good.conf", "admin.conf");
	make_link(root, "/node/etc/kubernetes/loop.conf", "loop.conf");
	make_link(root, "/node/etc/kubernetes/manifests/gone.yaml", "nowhere");
	make_link(root, "/node/etc/cni/net.d/up", "../../..");
	CHECK_INT(mkfifo(pipe, 0600), 0);
}

int main(void)
{
	const char *folder = test_folder();
	auto_free char *real = realpath(folder, NULL);
	auto_free char *node = alloc_format("%s/node", real);
	auto_error struct error err = {0};
	auto_free char *resolved = NULL;

	test_permit();
	test_links(real);
	check_read(node, "/etc/hosts", "hosts");
	check_read(node, "/etc/kubernetes/admin.conf", "admin");
	check_read(node, "/etc/kubernetes/good.conf", "admin");
	check_read(node, "/etc/kubernetes/pki/apiserver.crt", "crt");
	check_read(node, "/etc/resolv.conf", "nameserver 1.2.3.4");
	check_refused(node, "/etc/kubernetes/evil.conf", PATHS_READ, ERROR_REFUSED, "is a link");
	check_refused(node, "/etc/kubernetes/far.conf", PATHS_READ, ERROR_REFUSED, "leads out");
	check_refused(node, "/etc/kubernetes/abs.conf", PATHS_READ, ERROR_REFUSED, "leads out");
	check_refused(node, "/etc/kubernetes/loop.conf", PATHS_READ, ERROR_IO, "symbolic links");
	check_refused(node, "/etc/kubernetes/good.conf", PATHS_WRITE, ERROR_REFUSED,
		      "symbolic link");
	check_refused(node, "/etc/kubernetes/good.conf", PATHS_KEEP, ERROR_REFUSED,
		      "symbolic link");
	check_refused(node, "/etc/kubernetes/pipe.conf", PATHS_READ, ERROR_REFUSED, "regular");
	check_refused(node, "/etc/kubernetes/manifests/gone.yaml", PATHS_READ, ERROR_NOT_FOUND, "");
	check_refused(node, "/etc/kubernetes/none.conf", PATHS_READ, ERROR_NOT_FOUND, "No such");
	check_refused(node, "/etc/cni/net.d/up/etc/shadow", PATHS_READ, ERROR_REFUSED, "is a link");
	check_refused(node, "/etc/cni/net.d/up/etc/hosts", PATHS_WRITE, ERROR_REFUSED, "is a link");
	check_refused(node, "/etc/shadow", PATHS_READ, ERROR_REFUSED, "list for reading");

	TEST("a link that turns up after the path was resolved is not followed");
	CHECK_OK(paths_resolve(node, "/etc/kubernetes/admin.conf", PATHS_READ, &resolved, &err),
		 &err);
	{
		auto_free char *full = alloc_format("%s%s", node, resolved);
		int fd = -1;

		CHECK_INT(unlink(full), 0);
		make_link(node, resolved, "../shadow");
		CHECK_ERROR(paths_open(node, resolved, O_RDONLY, &fd, &err), &err, ERROR_IO,
			    "symbolic links");
	}
	return test_done();
}
