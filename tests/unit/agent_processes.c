/* SPDX-License-Identifier: MIT */
#include "agent/processes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/host.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "lib/test.h"
#include "text/json.h"

#define UID_1 "0f9a8b7c-1111-2222-3333-444455556666"
#define UID_1_SYSTEMD "0f9a8b7c_1111_2222_3333_444455556666"
#define STATIC_UID "ae2587bf8758db04d19468406b672174"
#define ID_1 "9706e230e4794b0f73daf21f380d40e0e90936869ebef25ee91c4fd3be4bf551"
#define ID_2 "a11bdad4a538b8f03b24da87b498c194c179ff67236050cc04dcae3ab5000000"

static void test_cgroup(void)
{
	static const struct {
		const char *what;
		const char *text;
		const char *pod; /* NULL: no container */
		const char *container;
	} rows[] = {
		{"v2, systemd",
		 "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_1_SYSTEMD
		 ".slice/cri-containerd-" ID_1 ".scope\n",
		 UID_1, ID_1},
		{"v2, cgroupfs", "0::/kubepods/besteffort/pod" UID_1 "/" ID_1 "\n", UID_1, ID_1},
		{"v1, cgroupfs, below a root of its own",
		 "12:cpuset:/\n11:memory:/cp1/kubepods/burstable/pod" UID_1 "/" ID_1
		 "\n1:name=x:/\n",
		 UID_1, ID_1},
		{"static Pod", "0::/kubepods/burstable/pod" STATIC_UID "/" ID_1 "\n", STATIC_UID,
		 ID_1},
		{"containerd with the wrong driver",
		 "0::/system.slice/containerd.service/kubepods-besteffort-pod" UID_1_SYSTEMD
		 ".slice:cri-containerd:" ID_1 "\n",
		 UID_1, ID_1},
		{"cri-o",
		 "0::/kubepods.slice/kubepods-pod" UID_1_SYSTEMD ".slice/crio-" ID_1
		 ".scope/container\n",
		 UID_1, ID_1},
		{"docker",
		 "4:cpu:/kubepods.slice/kubepods-pod" UID_1_SYSTEMD ".slice/docker-" ID_1
		 ".scope\n",
		 UID_1, ID_1},
		{"the Pod's own cgroup", "0::/kubepods/pod" UID_1 "\n", NULL, NULL},
		{"a service", "0::/system.slice/kubelet.service\n", NULL, NULL},
		{"a container of no Pod", "0::/docker/" ID_1 "\n", NULL, NULL},
		{"a short UID", "0::/kubepods/pod0f9a8b7c-1111/" ID_1 "\n", NULL, NULL},
		{"a long digest", "0::/kubepods/pod" UID_1 "/" ID_1 "00\n", NULL, NULL},
		{"nothing", "", NULL, NULL},
		{"pod at the end", "0::/pod", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct processes_cgroup cgroup = {0};
		bool found = processes_cgroup_parse(slice_of(rows[i].text), &cgroup);

		TEST("cgroup: %s", rows[i].what);
		CHECK_INT(found, rows[i].pod != NULL);
		CHECK_STR(cgroup.pod_uid, rows[i].pod ? rows[i].pod : "");
		CHECK_STR(cgroup.container_id, rows[i].pod ? rows[i].container : "");
	}
}

static void test_resolv_conf(void)
{
	auto_free char *text =
		alloc_text("# c\nnameserver 10.96.0.10 # x\n nameserver\t10.17.0.10\r\n"
			   "search a.b c.d\nnameserverx 1.1.1.1\n;nameserver 2.2.2.2\n"
			   "nameserver");
	auto_json json_t *servers = processes_resolv_conf(slice_of(text), false);
	auto_json json_t *search = processes_resolv_conf(slice_of(text), true);

	TEST("resolv.conf");
	CHECK_INT(json_array_size(servers), 2);
	CHECK_STR(json_string_value(json_array_get(servers, 0)), "10.96.0.10");
	CHECK_STR(json_string_value(json_array_get(servers, 1)), "10.17.0.10");
	CHECK_INT(json_array_size(search), 2);
	CHECK_STR(json_string_value(json_array_get(search, 1)), "c.d");
}

static const char *folder;

static void put(const char *path, const char *bytes, size_t len)
{
	auto_free char *full = file_join(folder, path);
	auto_free char *parent = alloc_text_n(full, (size_t)(strrchr(full, '/') - full));
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(parent, 0755, &err), &err);
	CHECK_OK(file_replace(full, bytes, len, 0644, 0, &err), &err);
}

#define PUT(path, literal) put((path), "" literal, sizeof(literal) - 1)

static void put_net(const char *pid, const char *net)
{
	auto_free char *path = alloc_format("%s/proc/%s/ns/net", folder, pid);
	auto_free char *parent = alloc_format("%s/proc/%s/ns", folder, pid);
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(parent, 0755, &err), &err);
	CHECK_INT(symlink(net, path), 0);
}

/* A process that was started `ticks` after boot. */
static void put_process(const char *pid, const char *comm, const char *ticks, const char *net,
			const char *cgroup)
{
	auto_free char *stat_path = alloc_format("proc/%s/stat", pid);
	auto_free char *cgroup_path = alloc_format("proc/%s/cgroup", pid);
	auto_free char *stat = alloc_format("%s (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
					    "%s 1000 100 18446744073709551615\n",
					    pid, comm, ticks);

	put(stat_path, stat, strlen(stat));
	put(cgroup_path, cgroup, strlen(cgroup));
	put_net(pid, net);
}

static void make_proc(void)
{
	PUT("proc/uptime", "1000.50 3000.00\n");
	PUT("proc/123abc/stat", "no process");
	put_net("self", "net:[1]");
	/* 100 ticks a second on every Linux machine */
	put_process("100", "kube-apiserver", "20000", "net:[1]",
		    "0::/kubepods/burstable/pod" STATIC_UID "/" ID_2 "\n");
	PUT("proc/100/cmdline", "kube-apiserver\0--service-cluster-ip-range=10.96.0.0/16\0"
				"--token=SECRET\0--oidc-client-secret\0SECRET\0--x\0");
	PUT("proc/100/environ", "KUBERNETES_SERVICE_HOST=10.96.0.1\0");
	put_process("50", "kube-apiserver", "20000", "net:[2]", "0::/\n");
	PUT("proc/50/cmdline", "/usr/bin/kube-apiserver\0--another-node\0");
	put_process("60", "kubelet", "90000", "net:[1]", "0::/system.slice/kubelet.service\n");
	PUT("proc/60/cmdline", "/usr/bin/kubelet\0--node-ip=10.1.15.121\0");
	/* a name with a parenthesis and blanks */
	put_process("201", "odd) S 1 (x", "70000", "net:[3]",
		    "0::/kubepods/besteffort/pod" UID_1 "/" ID_1 "\n");
	PUT("proc/201/cmdline", "child\0");
	PUT("proc/201/environ", "KUBERNETES_SERVICE_HOST=1.2.3.4\0");
	put_process("300", "app", "60000", "net:[3]",
		    "0::/kubepods/besteffort/pod" UID_1 "/" ID_1 "\n");
	PUT("proc/300/cmdline", "/app\0--flag\0");
	PUT("proc/300/environ",
	    "HOME=/\0KUBERNETES_SERVICE_HOST=10.96.0.1\0KUBERNETES_SERVICE_PORT=443\0"
	    "DB_SERVICE_HOST=10.96.3.4\0OTHER_SERVICE_HOST=192.0.2.1\0PASSWORD=SECRET\0"
	    "X_SERVICE_HOST=SECRET\0KUBERNETES_PORT=tcp://10.96.0.1:443\0noequals\0");
	PUT("proc/300/root/etc/resolv.conf", "nameserver 10.96.0.10\nsearch default.svc\n");
}

static json_t *look(const struct agent *agent, json_t *request)
{
	auto_error struct error err = {0};
	json_t *reply = json_object();

	CHECK_OK(processes_look(agent, request, reply, &err), &err);
	json_decref(request);
	return reply;
}

static void test_look(void)
{
	auto_free char *proc = file_join(folder, "proc");
	struct agent agent = {.root = "", .proc = proc};
	auto_json json_t *reply = NULL;
	auto_free char *text = NULL;

	clock_set_virtual(0, 1800000000);
	TEST("servers of this network namespace, with their flags but not their secrets");
	reply = look(&agent, json_pack("{s:[s]}", "cidrs", "10.96.0.0/16"));
	text = json_print(reply);
	CHECK(!strstr(text, "SECRET"));
	CHECK_INT(json_path_count(reply, "servers"), 2);
	CHECK_STR(json_path_text(reply, "servers.0.name"), "kube-apiserver");
	CHECK_INT(json_path_int(reply, "servers.0.pid", 0), 100);
	CHECK_INT(json_path_count(reply, "servers.0.args"), 6);
	CHECK_STR(json_path_text(reply, "servers.0.args.1"),
		  "--service-cluster-ip-range=10.96.0.0/16");
	CHECK_STR(json_path_text(reply, "servers.0.args.4"), "xxxxxx");
	CHECK_STR(json_path_text(reply, "servers.1.name"), "kubelet");

	TEST("start times are wall seconds");
	/* boot was 1000.5 s ago, the server started 200 s after it */
	CHECK_INT(json_path_int(reply, "servers.0.startedAt", 0), 1800000000 - 1001 + 200);

	TEST("a container is what its oldest process says");
	CHECK_INT(json_path_count(reply, "containers"), 2);
	CHECK_STR(json_path_text(reply, "containers.0.podUID"), STATIC_UID);
	CHECK(json_path_bool(reply, "containers.0.hostNetwork", false));
	CHECK_STR(json_path_text(reply, "containers.1.podUID"), UID_1);
	CHECK_STR(json_path_text(reply, "containers.1.containerID"), ID_1);
	CHECK_INT(json_path_int(reply, "containers.1.pid", 0), 300);
	CHECK_STR(json_path_text(reply, "containers.1.command"), "/app");
	CHECK(!json_path_bool(reply, "containers.1.hostNetwork", true));
	CHECK_STR(json_path_text(reply, "containers.1.nameservers.0"), "10.96.0.10");

	TEST("only the variables that name Services are read out");
	CHECK_INT(json_object_size(json_path(reply, "containers.1.env")), 3);
	CHECK_STR(json_path_text(reply, "containers.1.env.KUBERNETES_SERVICE_HOST"), "10.96.0.1");
	CHECK_STR(json_path_text(reply, "containers.1.env.KUBERNETES_SERVICE_PORT"), "443");
	CHECK_STR(json_path_text(reply, "containers.1.env.DB_SERVICE_HOST"), "10.96.3.4");
}

static void test_link_in_container(void)
{
	auto_free char *proc = file_join(folder, "proc");
	auto_free char *path = file_join(folder, "proc/300/root/etc/resolv.conf");
	auto_free char *host = file_join(folder, "host-file");
	struct agent agent = {.root = "", .proc = proc};
	auto_json json_t *reply = NULL;

	PUT("host-file", "nameserver 9.9.9.9\n");
	TEST("a container's link into our file system is not followed");
	CHECK_INT(unlink(path), 0);
	CHECK_INT(symlink(host, path), 0);
	reply = look(&agent, json_pack("{s:[]}", "cidrs"));
	CHECK_INT(json_path_count(reply, "containers.1.nameservers"), 0);
	/* without ranges the variables of other Services are nobody's business */
	CHECK_INT(json_object_size(json_path(reply, "containers.1.env")), 2);
}

static void test_bad_request(void)
{
	static const char *const requests[] = {"{}", "{\"cidrs\":\"10.96.0.0/16\"}",
					       "{\"cidrs\":[\"10.96.0.0/99\"]}", "{\"cidrs\":[7]}"};
	struct agent agent = {.root = "", .proc = "/proc"};

	for (size_t i = 0; i < 4; i++) {
		auto_json json_t *request = json_loads(requests[i], 0, NULL);
		auto_json json_t *reply = json_object();
		auto_error struct error err = {0};

		TEST("request %s", requests[i]);
		CHECK_ERROR(processes_look(&agent, request, reply, &err), &err, ERROR_PARSE, "");
	}
}

/* systemctl is a stand-in that "starts" a kubelet by writing the folder that is /proc here. */
static void test_kubelet(void)
{
	auto_free char *proc = file_join(folder, "proc");
	auto_free char *bin = file_join(folder, "bin");
	auto_free char *log = file_join(folder, "log");
	auto_free char *script = alloc_format(
		"#!/bin/sh\necho \"$*\" >>%s/log\n[ \"$1\" = is-active ] && echo active && exit 0\n"
		"[ -e %s/fail ] && echo 'Unit kubelet.service not found.' >&2 && exit 5\n"
		"mv %s/proc/60 %s/proc/61\n",
		folder, folder, folder, folder);
	struct agent agent = {.root = "", .proc = proc};
	auto_json json_t *request = json_object();
	auto_json json_t *status = json_object();
	auto_json json_t *restart = json_object();
	auto_json json_t *again = json_object();
	auto_buffer struct buffer said = {0};
	auto_error struct error err = {0};
	auto_free char *path = alloc_format("%s:%s", bin, getenv("PATH"));
	auto_free char *systemctl = file_join(bin, "systemctl");

	put("bin/systemctl", script, strlen(script));
	CHECK_INT(chmod(systemctl, 0755), 0);
	setenv("PATH", path, 1);
	TEST("kubelet's status");
	CHECK_OK(host_kubelet_status(&agent, request, status, &err), &err);
	CHECK_STR(json_path_text(status, "active"), "active");
	CHECK_INT(json_path_int(status, "pid", 0), 60);

	TEST("kubelet is restarted, and waited for until a new one runs");
	CHECK_OK(host_restart_kubelet(&agent, request, restart, &err), &err);
	CHECK_INT(json_path_int(restart, "startedAt", 0), 1800000000 - 1001 + 900);
	CHECK_OK(file_read(log, 4096, &said, &err), &err);
	CHECK_STR(buffer_cstr(&said), "is-active kubelet\nrestart kubelet\n");

	TEST("a restart that fails says why");
	PUT("fail", "");
	CHECK_ERROR(host_restart_kubelet(&agent, request, again, &err), &err, ERROR_IO,
		    "Unit kubelet.service not found.");
}

int main(void)
{
	test_cgroup();
	test_resolv_conf();
	TEST("a folder that looks like /proc is made");
	folder = test_folder();
	make_proc();
	test_look();
	test_link_in_container();
	test_bad_request();
	test_kubelet();
	return test_done();
}
