/* SPDX-License-Identifier: MIT */
#include "agent/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/mask.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "net/cidr.h"
#include "text/json.h"

/* Linux lets one argument be 128 KiB; a larger environment than this is cut short. */
#define PROCESSES_FILE_MAX ((size_t)1024 * 1024)
#define PROCESSES_COMMAND_MAX 256

struct processes_item {
	uint64_t pid;
	uint64_t started; /* clock ticks since boot */
	struct processes_cgroup cgroup;
};

struct processes {
	const char *proc;
	struct processes_item *items; /* owned */
	size_t count;
	size_t capacity;
	struct net_cidr *cidrs; /* owned */
	size_t cidr_count;
	char net[64];	    /* our network namespace */
	int64_t boot_ms;    /* wall time */
	uint64_t ticks_a_s; /* clock ticks a second */
};

static void processes_release(struct processes *p)
{
	free(p->items);
	free(p->cidrs);
}

/* What there is to read of the file, up to `max`; false when it cannot be opened. */
static bool processes_read_fd(int fd, size_t max, struct buffer *ret)
{
	char chunk[4096];
	ssize_t got;

	ret->max = max;
	while ((got = read(fd, chunk, sizeof(chunk))) > 0 && ret->len < max) {
		size_t room = max - ret->len;

		buffer_append(ret, chunk, (size_t)got < room ? (size_t)got : room);
	}
	return got >= 0;
}

static bool processes_read(const char *proc, uint64_t pid, const char *name, struct buffer *ret)
{
	auto_free char *path = alloc_format("%s/%llu/%s", proc, (unsigned long long)pid, name);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && processes_read_fd(fd, PROCESSES_FILE_MAX, ret);
}

static bool processes_net(const char *proc, const char *pid, char *ret, size_t size)
{
	auto_free char *path = alloc_format("%s/%s/ns/net", proc, pid);
	ssize_t len = readlink(path, ret, size - 1);

	if (len < 0)
		return false;
	ret[len] = '\0';
	return true;
}

static bool processes_is_our_net(const struct processes *p, uint64_t pid)
{
	auto_free char *name = alloc_format("%llu", (unsigned long long)pid);
	char net[64];

	return processes_net(p->proc, name, net, sizeof(net)) && strcmp(net, p->net) == 0;
}

/* "12345.67 …" in /proc/uptime, in milliseconds. */
static bool processes_uptime(const char *proc, int64_t *ret_ms)
{
	auto_free char *path = alloc_format("%s/uptime", proc);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_buffer struct buffer text = {0};
	struct slice rest;
	struct slice whole;
	struct slice part;
	uint64_t seconds;
	uint64_t hundredths;

	if (fd < 0 || !processes_read_fd(fd, PROCESSES_FILE_MAX, &text))
		return false;
	rest = buffer_as_slice(&text);
	if (!slice_next(&rest, ' ', &whole) || !slice_next(&whole, '.', &part) ||
	    !slice_to_u64(part, INT64_MAX / 1000 - 1, &seconds) ||
	    !slice_to_u64(whole, 99, &hundredths))
		return false;
	*ret_ms = (int64_t)(seconds * 1000 + hundredths * 10);
	return true;
}

int processes_boot(const char *proc, int64_t *ret_boot_ms, struct error *err)
{
	int64_t uptime_ms;

	if (!processes_uptime(proc, &uptime_ms))
		return error_set(err, ERROR_IO, "cannot read '%s/uptime'", proc);
	*ret_boot_ms = clock_wall_s() * 1000 - uptime_ms;
	return 0;
}

static uint64_t processes_ticks(void)
{
	long ticks = sysconf(_SC_CLK_TCK);

	return ticks > 0 ? (uint64_t)ticks : 100;
}

static int64_t processes_started_at(int64_t boot_ms, uint64_t ticks, uint64_t ticks_a_s)
{
	return (boot_ms +
		(int64_t)(ticks / ticks_a_s * 1000 + ticks % ticks_a_s * 1000 / ticks_a_s)) /
	       1000;
}

/* Field 22 of /proc/PID/stat; the name in parentheses may hold anything, parentheses too. */
static bool processes_start_ticks(struct slice stat, uint64_t *ret)
{
	const char *close = stat.len ? memrchr(stat.ptr, ')', stat.len) : NULL;
	struct slice rest;
	struct slice part;

	if (!close || (size_t)(close - stat.ptr) + 2 > stat.len)
		return false;
	rest = (struct slice){close + 2, stat.len - (size_t)(close - stat.ptr) - 2};
	for (int field = 3; slice_next(&rest, ' ', &part); field++)
		if (field == 22)
			return slice_to_u64(slice_trim(part), UINT64_MAX, ret);
	return false;
}

static size_t processes_hex_run(struct slice text, size_t at)
{
	size_t end = at;

	while (end < text.len && isxdigit((unsigned char)text.ptr[end]))
		end++;
	return end - at;
}

/* A UID at the front of the text: 8-4-4-4-12 with '-' or '_', or 32 hex digits. */
static bool processes_uid(struct slice text, char *ret, size_t *ret_len)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};
	size_t at = 0;

	if (processes_hex_run(text, 0) == 32) {
		memcpy(ret, text.ptr, 32);
		ret[32] = '\0';
		*ret_len = 32;
		return true;
	}
	for (size_t i = 0; i < 5; i++) {
		if (i > 0) {
			if (at >= text.len || (text.ptr[at] != '-' && text.ptr[at] != '_'))
				return false;
			ret[at++] = '-';
		}
		if (processes_hex_run(text, at) != groups[i])
			return false;
		memcpy(ret + at, text.ptr + at, groups[i]);
		at += groups[i];
	}
	ret[at] = '\0';
	*ret_len = at;
	return true;
}

static bool processes_cgroup_line(struct slice line, struct processes_cgroup *ret)
{
	size_t uid_len = 0;
	size_t at = 0;

	for (; at + 3 < line.len; at++) {
		struct slice behind = {line.ptr + at + 3, line.len - at - 3};

		if (memcmp(line.ptr + at, "pod", 3) == 0 &&
		    processes_uid(behind, ret->pod_uid, &uid_len))
			break;
	}
	if (uid_len == 0)
		return false;
	for (at += 3 + uid_len; at < line.len; at++) {
		size_t run = processes_hex_run(line, at);

		if (run == 64) {
			memcpy(ret->container_id, line.ptr + at, 64);
			ret->container_id[64] = '\0';
			return true;
		}
		at += run;
	}
	return false;
}

bool processes_cgroup_parse(struct slice text, struct processes_cgroup *ret)
{
	struct slice line;

	while (slice_next(&text, '\n', &line))
		if (processes_cgroup_line(line, ret))
			return true;
	*ret = (struct processes_cgroup){0};
	return false;
}

static int processes_compare(const void *a, const void *b)
{
	const struct processes_item *x = a;
	const struct processes_item *y = b;

	if (x->started != y->started)
		return x->started < y->started ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* All processes, oldest first. One that ends meanwhile is passed over. */
static int processes_collect(struct processes *p, struct error *err)
{
	DIR *dir = opendir(p->proc);
	struct dirent *entry;

	if (!dir)
		return error_errno(err, "cannot list '%s'", p->proc);
	while ((entry = readdir(dir))) {
		auto_buffer struct buffer stat = {0};
		auto_buffer struct buffer cgroup = {0};
		struct processes_item item = {0};

		if (!slice_to_u64(slice_of(entry->d_name), INT32_MAX, &item.pid) ||
		    !processes_read(p->proc, item.pid, "stat", &stat) ||
		    !processes_start_ticks(buffer_as_slice(&stat), &item.started))
			continue;
		if (processes_read(p->proc, item.pid, "cgroup", &cgroup))
			processes_cgroup_parse(buffer_as_slice(&cgroup), &item.cgroup);
		ALLOC_GROW(p->items, p->count, p->capacity);
		p->items[p->count++] = item;
	}
	closedir(dir);
	if (p->count)
		qsort(p->items, p->count, sizeof(*p->items), processes_compare);
	return 0;
}

static struct slice processes_base_name(struct slice path)
{
	const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

	if (!slash)
		return path;
	return (struct slice){slash + 1, path.len - (size_t)(slash + 1 - path.ptr)};
}

static bool processes_is_server(struct slice name)
{
	static const char *const names[] = {"kube-apiserver", "kube-controller-manager",
					    "kube-scheduler", "kubelet",
					    "kube-proxy",     "etcd"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

static json_t *processes_args(struct slice rest)
{
	json_t *list = json_array();
	bool next_is_secret = false;
	struct slice part;

	while (slice_next(&rest, '\0', &part)) {
		auto_free char *text = slice_dup(part);
		bool is_flag = text[0] == '-';
		json_t *value;

		if (rest.ptr == NULL && part.len == 0)
			break; /* behind the last NUL */
		if (next_is_secret && !is_flag)
			memset(text, 'x', part.len);
		mask_argument(text);
		next_is_secret =
			is_flag && !strchr(text, '=') && mask_is_secret_name(text, part.len);
		value = json_string(text);
		json_array_append_new(list, value ? value : json_string("?"));
	}
	return list;
}

static void processes_add_server(const struct processes *p, const struct processes_item *item,
				 json_t *servers)
{
	auto_buffer struct buffer line = {0};
	auto_free char *name_text = NULL;
	struct slice rest;
	struct slice first;
	struct slice name;
	json_t *server;

	if (!processes_read(p->proc, item->pid, "cmdline", &line) || line.len == 0)
		return;
	rest = buffer_as_slice(&line);
	if (!slice_next(&rest, '\0', &first))
		return;
	name = processes_base_name(first);
	if (slice_is(name, "hyperkube") && slice_next(&rest, '\0', &first))
		name = first;
	if (!processes_is_server(name) || !processes_is_our_net(p, item->pid))
		return;
	name_text = slice_dup(name);
	server = json_object();
	json_object_set_new(server, "name", json_string(name_text));
	json_object_set_new(server, "pid", json_integer((json_int_t)item->pid));
	json_object_set_new(
		server, "startedAt",
		json_integer(processes_started_at(p->boot_ms, item->started, p->ticks_a_s)));
	json_object_set_new(server, "args", processes_args(buffer_as_slice(&line)));
	json_array_append_new(servers, server);
}

/* The only variables that are looked at: those by which Kubernetes tells where a Service is. */
static bool processes_wants_variable(const struct processes *p, struct slice name,
				     struct slice value)
{
	struct net_address address;

	if (slice_is(name, "KUBERNETES_SERVICE_HOST") || slice_is(name, "KUBERNETES_SERVICE_PORT"))
		return value.len <= 255;
	if (!slice_ends(name, "_SERVICE_HOST") || name.len > 255 ||
	    !net_address_read(value, &address))
		return false;
	for (size_t i = 0; i < p->cidr_count; i++)
		if (net_cidr_contains(p->cidrs[i], address))
			return true;
	return false;
}

static json_t *processes_environment(const struct processes *p, uint64_t pid)
{
	auto_buffer struct buffer text = {0};
	json_t *variables = json_object();
	struct slice rest;
	struct slice entry;
	struct slice name;

	if (!processes_read(p->proc, pid, "environ", &text))
		return variables;
	rest = buffer_as_slice(&text);
	while (slice_next(&rest, '\0', &entry)) {
		auto_free char *name_text = NULL;
		auto_free char *value_text = NULL;

		if (!slice_next(&entry, '=', &name) || !processes_wants_variable(p, name, entry))
			continue;
		name_text = slice_dup(name);
		value_text = slice_dup(entry);
		protocol_set_text(variables, name_text, value_text);
	}
	/* The rest of it is nobody's business, not even in memory. */
	if (text.ptr)
		explicit_bzero(text.ptr, text.len);
	return variables;
}

json_t *processes_resolv_conf(struct slice text, bool search)
{
	json_t *list = json_array();
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		struct slice word;
		bool first = true;
		bool wanted = false;

		for (size_t i = 0; i < line.len; i++)
			if (line.ptr[i] == '#' || line.ptr[i] == ';')
				line.len = i;
		line = slice_trim(line);
		while (line.len) {
			auto_free char *value = NULL;
			size_t end = 0;

			while (end < line.len && line.ptr[end] != ' ' && line.ptr[end] != '\t')
				end++;
			word = (struct slice){line.ptr, end};
			line = slice_trim((struct slice){line.ptr + end, line.len - end});
			if (first)
				wanted = slice_is(word, search ? "search" : "nameserver");
			else if (wanted && word.len < 256) {
				value = slice_dup(word);
				json_array_append_new(list, json_string(value));
			}
			first = false;
		}
	}
	return list;
}

/*
 * The container's own file. Its links would be followed in our file system, so none is: kubelet
 * mounts the file itself there.
 */
static bool processes_container_file(const struct processes *p, uint64_t pid, struct buffer *ret)
{
	auto_free char *path = alloc_format("%s/%llu/root", p->proc, (unsigned long long)pid);
	auto_close int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int etc =
		root < 0 ? -1 : openat(root, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int fd = etc < 0 ? -1
				    : openat(etc, "resolv.conf",
					     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       processes_read_fd(fd, PROCESSES_FILE_MAX, ret);
}

static char *processes_command(const struct processes *p, uint64_t pid)
{
	auto_buffer struct buffer line = {0};
	struct slice rest;
	struct slice first;

	if (!processes_read(p->proc, pid, "cmdline", &line))
		return alloc_text("");
	rest = buffer_as_slice(&line);
	if (!slice_next(&rest, '\0', &first))
		return alloc_text("");
	if (first.len > PROCESSES_COMMAND_MAX)
		first.len = PROCESSES_COMMAND_MAX;
	return slice_dup(first);
}

static void processes_add_container(const struct processes *p, const struct processes_item *item,
				    json_t *containers)
{
	auto_free char *command = processes_command(p, item->pid);
	auto_buffer struct buffer resolv = {0};
	json_t *container = json_object();

	protocol_set_text(container, "podUID", item->cgroup.pod_uid);
	protocol_set_text(container, "containerID", item->cgroup.container_id);
	json_object_set_new(container, "pid", json_integer((json_int_t)item->pid));
	json_object_set_new(
		container, "startedAt",
		json_integer(processes_started_at(p->boot_ms, item->started, p->ticks_a_s)));
	protocol_set_text(container, "command", command);
	json_object_set_new(
		container, "sandbox",
		json_boolean(slice_is(processes_base_name(slice_of(command)), "pause")));
	json_object_set_new(container, "hostNetwork",
			    json_boolean(processes_is_our_net(p, item->pid)));
	json_object_set_new(container, "env", processes_environment(p, item->pid));
	processes_container_file(p, item->pid, &resolv);
	json_object_set_new(container, "nameservers",
			    processes_resolv_conf(buffer_as_slice(&resolv), /* search= */ false));
	json_array_append_new(containers, container);
}

/* The items are ordered by age: the first of a container is its oldest. */
static bool processes_is_first(const struct processes *p, size_t i)
{
	const char *id = p->items[i].cgroup.container_id;

	for (size_t k = 0; k < i; k++)
		if (strcmp(p->items[k].cgroup.container_id, id) == 0)
			return false;
	return true;
}

static int processes_parse_cidrs(struct processes *p, const json_t *request, struct error *err)
{
	json_t *list;
	json_t *item;
	size_t i;

	if (protocol_list(request, "cidrs", &list, err) < 0)
		return -1;
	p->cidrs = alloc_array(json_array_size(list) + 1, sizeof(*p->cidrs));
	json_array_foreach(list, i, item)
		if (net_cidr_parse_sloppy(slice_of(json_string_value(item)),
					  &p->cidrs[p->cidr_count++], err) < 0)
			return error_wrap(err, "member 'cidrs'");
	return 0;
}

int processes_look(const struct agent *agent, const json_t *request, json_t *reply,
		   struct error *err)
{
	__attribute__((cleanup(processes_release))) struct processes p = {.proc = agent->proc};
	json_t *servers = json_array();
	json_t *containers = json_array();

	json_object_set_new(reply, "servers", servers);
	json_object_set_new(reply, "containers", containers);
	p.ticks_a_s = processes_ticks();
	if (processes_parse_cidrs(&p, request, err) < 0 ||
	    processes_boot(p.proc, &p.boot_ms, err) < 0)
		return -1;
	if (!processes_net(p.proc, "self", p.net, sizeof(p.net)))
		return error_errno(err, "cannot read '%s/self/ns/net'", p.proc);
	if (processes_collect(&p, err) < 0)
		return -1;
	for (size_t i = 0; i < p.count; i++) {
		processes_add_server(&p, &p.items[i], servers);
		if (p.items[i].cgroup.container_id[0] && processes_is_first(&p, i))
			processes_add_container(&p, &p.items[i], containers);
	}
	return 0;
}

int processes_find(const struct agent *agent, const char *name, int64_t *ret_pid,
		   int64_t *ret_started_at, struct error *err)
{
	auto_json json_t *request = json_pack("{s:[]}", "cidrs");
	auto_json json_t *reply = json_object();
	json_t *server;
	size_t i;

	if (processes_look(agent, request, reply, err) < 0)
		return -1;
	json_array_foreach(json_object_get(reply, "servers"), i, server) {
		if (!json_path_is(server, "name", name))
			continue;
		*ret_pid = json_path_int(server, "pid", 0);
		*ret_started_at = json_path_int(server, "startedAt", 0);
		return 0;
	}
	return error_set(err, ERROR_NOT_FOUND, "no '%s' runs on this node", name);
}
