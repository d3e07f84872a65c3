/* SPDX-License-Identifier: MIT */
#include "node/pool.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/process.h"
#include "lib/test.h"
#include "text/json.h"

/*
 * A real sshd on loopback, with keys made for the test, serves as every node. Each of its ports has
 * programs of its own in front of the PATH, so that a node may have a sudo, another machine type, or
 * a user that is not root, whoever runs the test.
 */
enum port_kind {
	PORT_GOOD,     /* root */
	PORT_USER,     /* not root; sudo works */
	PORT_PASSWORD, /* not root; sudo wants a password */
	PORT_MACHINE,  /* another machine */
	PORT_NOEXEC,   /* no folder to start programs from */
	PORT_NOISE,    /* the login shell talks */
	PORT_COUNT,
};

static const char *const port_names[] = {"good", "user", "password", "machine", "noexec", "noise"};

static char *folder;
static char *agent_path;
static int ports[PORT_COUNT];
static struct process sshd;
static bool made_run_sshd;

static char *in_folder(const char *name)
{
	return file_join(folder, name);
}

static void write_file(const char *name, mode_t mode, const char *text)
{
	auto_free char *path = in_folder(name);
	auto_free char *parent = alloc_text_n(path, (size_t)(strrchr(path, '/') - path));
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(parent, 0755, &err), &err);
	CHECK_OK(file_replace(path, text, strlen(text), mode, 0, &err), &err);
}

static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	close(fd);
	return ntohs(address.sin_port);
}

static bool accepts(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return ok;
}

static void make_key(const char *name)
{
	auto_free char *path = in_folder(name);
	const char *argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, NULL};
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error err = {0};
	int status = -1;

	CHECK_OK(process_run(argv, NULL, (struct slice){0}, 20000, &output, &errors, &status, &err),
		 &err);
	CHECK_INT(status, 0);
}

/* The stand-ins of each port. */
static void make_programs(void)
{
	static const char root[] = "#!/bin/sh\necho 0\n";
	static const char user[] = "#!/bin/sh\n[ \"$1\" = -un ] && echo ops || echo 1000\n";
	/* What sudo gives is a PATH in which the user is root. */
	auto_free char *sudo = alloc_format("#!/bin/sh\n[ \"$1\" = -n ] || exit 9\nshift\n"
					    "PATH=%s/good:$PATH exec \"$@\"\n",
					    folder);

	for (int i = 0; i < PORT_COUNT; i++) {
		auto_free char *id = alloc_format("%s/id", port_names[i]);

		write_file(id, 0755, i == PORT_USER || i == PORT_PASSWORD ? user : root);
	}
	write_file("user/sudo", 0755, sudo);
	write_file("password/sudo", 0755,
		   "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
	write_file("machine/uname", 0755, "#!/bin/sh\necho vax\n");
	write_file("noexec/mktemp", 0755, "#!/bin/sh\nexit 1\n");
	write_file("noise/shell", 0755,
		   "#!/bin/sh\necho Welcome to this machine\necho '{\"x\":1}'\n"
		   "echo be careful >&2\neval \"$SSH_ORIGINAL_COMMAND\"\n");
}

static void make_server_config(void)
{
	auto_buffer struct buffer text = {0};

	buffer_format(&text,
		      "ListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/client.pub\n"
		      "UsePAM no\nStrictModes no\nPasswordAuthentication no\n"
		      "KbdInteractiveAuthentication no\nPidFile none\nMaxStartups 100\n"
		      "PermitRootLogin prohibit-password\nPrintMotd no\n",
		      folder, folder);
	for (int i = 0; i < PORT_COUNT; i++)
		buffer_format(&text, "Port %d\n", ports[i]);
	for (int i = 0; i < PORT_COUNT; i++)
		buffer_format(
			&text,
			"Match LocalPort %d\nSetEnv PATH=%s/%s:/usr/sbin:/usr/bin:/sbin:/bin\n",
			ports[i], folder, port_names[i]);
	buffer_format(&text, "Match LocalPort %d\nForceCommand %s/noise/shell\n", ports[PORT_NOISE],
		      folder);
	write_file("sshd_config", 0600, text.ptr);
}

/* Hosts are named by port; those of 'many…' have no address in the configuration. */
static void make_client_config(const char *name, const char *key, const char *known_hosts)
{
	auto_buffer struct buffer text = {0};

	for (int i = 0; i < PORT_COUNT; i++)
		buffer_format(&text, "Host %s\n  HostName 127.0.0.1\n  Port %d\n", port_names[i],
			      ports[i]);
	buffer_format(&text,
		      "Host *\n  Port %d\n  IdentityFile %s/%s\n  IdentitiesOnly yes\n"
		      "  IdentityAgent none\n  UserKnownHostsFile %s/%s\n"
		      "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
		      "  HostKeyAlias node\n  PreferredAuthentications publickey\n",
		      ports[PORT_GOOD], folder, key, folder, known_hosts);
	write_file(name, 0600, text.ptr);
}

static void make_known_hosts(const char *name, const char *key)
{
	auto_free char *path = in_folder(key);
	auto_buffer struct buffer text = {0};
	auto_buffer struct buffer line = {0};
	auto_error struct error err = {0};

	CHECK_OK(file_read(path, LIMIT_CONFIG_FILE, &text, &err), &err);
	buffer_format(&line, "node %s", text.ptr);
	write_file(name, 0600, line.ptr);
}

static void start_sshd(void)
{
	auto_free char *config = in_folder("sshd_config");
	const char *argv[] = {"/usr/sbin/sshd", "-D", "-e", "-f", config, NULL};
	auto_error struct error err = {0};

	/* sshd as root insists on this folder, which its service makes at boot. */
	made_run_sshd = geteuid() == 0 && mkdir("/run/sshd", 0755) == 0;
	CHECK_OK(process_start(&sshd, argv, NULL, &err), &err);
	for (int i = 0; i < 500 && !accepts(ports[PORT_GOOD]); i++)
		CHECK_OK(clock_sleep_ms(10, &err), &err);
	CHECK(accepts(ports[PORT_GOOD]));
}

static void set_up(void)
{
	TEST("an sshd is started");
	for (int i = 0; i < PORT_COUNT; i++)
		ports[i] = free_port();
	make_key("host");
	make_key("client");
	make_key("other");
	make_programs();
	make_server_config();
	make_known_hosts("known", "host.pub");
	make_known_hosts("changed", "other.pub");
	write_file("unknown", 0600, "");
	make_client_config("config", "client", "known");
	make_client_config("config-key", "other", "known");
	make_client_config("config-unknown", "client", "unknown");
	make_client_config("config-changed", "client", "changed");
	start_sshd();
}

static struct node_pool *ssh_pool(const char *config, struct node_options options)
{
	auto_free char *command = alloc_format("ssh -F '%s/%s'", folder, config);
	auto_error struct error err = {0};
	struct node_pool *pool;

	options.via = NODE_VIA_SSH;
	/* A machine that is busy with other tests is no failure. */
	options.connect_ms = options.connect_ms ? options.connect_ms : 60000;
	options.agent = options.agent ? options.agent : agent_path;
	options.ssh_command = options.ssh_command ? options.ssh_command : command;
	pool = node_pool_new(&options, &err);
	CHECK(pool);
	return pool;
}

/* Number of folders that streamed agents left behind. */
static size_t leftovers(void)
{
	static const char *const places[] = {"/run", "/var/lib", "/var/tmp", "/tmp"};
	size_t count = 0;

	for (size_t i = 0; i < 4; i++) {
		DIR *dir = opendir(places[i]);
		struct dirent *entry;

		while (dir && (entry = readdir(dir)))
			count += strncmp(entry->d_name, "renumber-agent.", 15) == 0;
		if (dir)
			closedir(dir);
	}
	return count;
}

/* Other tests on this machine may be streaming an agent just now. */
static void check_no_leftovers(size_t before)
{
	auto_error struct error err = {0};

	for (int i = 0; i < 50 && leftovers() > before; i++)
		CHECK_OK(clock_sleep_ms(100, &err), &err);
	CHECK(leftovers() <= before);
}

static void check_failure(struct node_call *call, enum error_kind kind, const char *text)
{
	CHECK(!call->reply);
	CHECK_ERROR(call->reply ? 0 : -1, &call->error, kind, text);
}

static void test_ssh(void)
{
	struct node_pool *pool = ssh_pool("config", (struct node_options){0});
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	auto_json json_t *shadow =
		json_pack("{s:s, s:s}", "op", "read-file", "path", "/etc/shadow");
	auto_json json_t *hosts = json_pack("{s:s, s:s}", "op", "read-file", "path", "/etc/hosts");
	auto_json json_t *unknown = json_pack("{s:s}", "op", "shell");
	auto_json json_t *reply = NULL;
	auto_error struct error err = {0};
	auto_free char *content = NULL;
	size_t before = leftovers();
	size_t len = 0;
	char name[65];

	node_pool_add(pool, "good", NULL);
	TEST("an agent is streamed and answers, and leaves no file behind");
	CHECK_OK(node_call(pool, "good", info, &reply, &err), &err);
	gethostname(name, sizeof(name));
	CHECK_STR(json_path_text(reply, "hostname"), name);
	CHECK_INT(json_path_int(reply, "protocol", 0), 1);
	check_no_leftovers(before);
	json_decref(reply);

	TEST("the same agent answers again, a refusal comes as one");
	reply = NULL;
	CHECK_OK(node_call(pool, "good", hosts, &reply, &err), &err);
	content = node_reply_bytes(reply, "content", &len, &err);
	CHECK(content && len && strstr(content, "localhost"));
	json_decref(reply);
	reply = NULL;
	CHECK_ERROR(node_call(pool, "good", shadow, &reply, &err), &err, ERROR_REFUSED,
		    "node 'good': '/etc/shadow' is not in the agent's list");
	CHECK_ERROR(node_call(pool, "good", unknown, &reply, &err), &err, ERROR_USAGE,
		    "no operation 'shell'");
	CHECK_ERROR(node_call(pool, "nobody", info, &reply, &err), &err, ERROR_NOT_FOUND,
		    "node 'nobody'");
	node_pool_free(pool);
	check_no_leftovers(before);
}

/* One call on a fresh pool. */
static void check_one(const char *what, const char *config, struct node_options options,
		      const char *node, const char *address, enum error_kind kind, const char *text)
{
	struct node_pool *pool = ssh_pool(config, options);
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	struct node_call call = {.node = node, .request = info};

	TEST("%s", what);
	node_pool_add(pool, node, address);
	node_pool_run(pool, &call, 1);
	if (kind == ERROR_NONE)
		CHECK_OK(call.reply ? 0 : -1, &call.error);
	else
		check_failure(&call, kind, text);
	node_calls_release(&call, 1);
	node_pool_free(pool);
}

static void test_failures(void)
{
	const struct node_options none = {0};
	auto_free char *map = in_folder("map");
	auto_free char *missing = in_folder("no-agent");
	auto_free char *script = in_folder("machine/uname");
	auto_free char *text = alloc_format("cp1=ssh://127.0.0.1:%d\n", ports[PORT_GOOD]);
	auto_free char *closed = alloc_format("dead=ssh://127.0.0.1:%d\n", free_port());
	auto_free char *closed_map = in_folder("closed");
	size_t before = leftovers();

	write_file("map", 0600, text);
	write_file("closed", 0600, closed);
	check_one("a node of the map", "config", (struct node_options){.ssh_map = map}, "cp1", NULL,
		  ERROR_NONE, NULL);
	check_one("a node without configuration is reached by its address", "config", none, "many",
		  "127.0.0.1", ERROR_NONE, NULL);
	check_one("a login shell that talks", "config", none, "noise", NULL, ERROR_NONE, NULL);
	check_one("sudo", "config", (struct node_options){.sudo = true}, "user", NULL, ERROR_NONE,
		  NULL);
	check_one("wrong user", "config", (struct node_options){.ssh_user = "nobody-like-that"},
		  "good", NULL, ERROR_API, "as 'nobody-like-that' was refused");
	check_one("wrong key", "config-key", none, "good", NULL, ERROR_API, "--ssh-user");
	check_one("unknown host key", "config-unknown", none, "good", NULL, ERROR_API,
		  "the ssh host key of 'good' is not known");
	check_one("changed host key", "config-changed", none, "good", NULL, ERROR_API,
		  "is not the one in known_hosts");
	check_one("nobody listens", "config", (struct node_options){.ssh_map = closed_map}, "dead",
		  NULL, ERROR_NETWORK, "Connection refused");
	check_one("not root", "config", none, "user", NULL, ERROR_API,
		  "user 'ops' is not root; use --ssh-user root, or --sudo");
	check_one("sudo with a password", "config", (struct node_options){.sudo = true}, "password",
		  NULL, ERROR_API, "NOPASSWD");
	check_one("another machine", "config", none, "machine", NULL, ERROR_API, "'vax'");
	check_one("nowhere to start a program", "config", none, "noexec", NULL, ERROR_API,
		  "noexec");
	check_one("no agent", "config", (struct node_options){.agent = missing}, "good", NULL,
		  ERROR_NOT_FOUND, "renumber-agent");
	check_one("an agent that is none", "config", (struct node_options){.agent = script}, "good",
		  NULL, ERROR_PARSE, "not a program");
	check_one("no ssh", "config", (struct node_options){.ssh_command = "/no/such/ssh -F x"},
		  "good", NULL, ERROR_NOT_FOUND, "'/no/such/ssh'");
	TEST("no failure left anything behind");
	check_no_leftovers(before);
}

/* A server that accepts and says nothing. */
static void test_silence(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_free char *path = in_folder("silent");
	auto_free char *text = NULL;
	int64_t start = clock_monotonic_ms();

	TEST("a port that accepts and is silent is listened on");
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	text = alloc_format("mute=ssh://127.0.0.1:%d\n", ntohs(address.sin_port));
	write_file("silent", 0600, text);
	check_one("silence ends after the time for connecting", "config",
		  (struct node_options){.ssh_map = path, .connect_ms = 1200}, "mute", NULL,
		  ERROR_NETWORK, "");
	CHECK(clock_monotonic_ms() - start < 6000);
}

/* Kills our children that run `program`; gives their number. */
static size_t kill_children(const char *program)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir))) {
		auto_free char *path = alloc_format("/proc/%s/stat", entry->d_name);
		auto_free char *parent = alloc_format(" %d ", (int)getpid());
		auto_free char *name = alloc_format("(%s)", program);
		auto_buffer struct buffer stat = {0};
		auto_error struct error ignored = {0};
		uint64_t pid;
		char *found;

		if (!slice_to_u64(slice_of(entry->d_name), INT32_MAX, &pid) ||
		    file_read(path, 4096, &stat, &ignored) < 0)
			continue;
		found = strstr(stat.ptr, name);
		/* "(ssh) S PPID …" */
		if (found && strncmp(found + strlen(name) + 2, parent, strlen(parent)) == 0)
			count += kill((pid_t)pid, SIGKILL) == 0;
	}
	closedir(dir);
	return count;
}

static void test_reconnect(void)
{
	struct node_pool *pool = ssh_pool("config", (struct node_options){0});
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	auto_error struct error err = {0};
	json_t *reply = NULL;

	node_pool_add(pool, "good", NULL);
	TEST("a connection that went between two calls is made again");
	CHECK_OK(node_call(pool, "good", info, &reply, &err), &err);
	json_decref(reply);
	reply = NULL;
	CHECK_INT(kill_children("ssh"), 1);
	CHECK_OK(clock_sleep_ms(50, &err), &err);
	CHECK_OK(node_call(pool, "good", info, &reply, &err), &err);
	json_decref(reply);
	node_pool_free(pool);
}

#define MANY 9

static void test_many(void)
{
	struct node_pool *pool = ssh_pool("config", (struct node_options){.parallel = 3});
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	struct node_call calls[MANY + 2] = {0};
	char names[MANY][16];

	TEST("many nodes, three at a time; one of them refuses, one is asked twice");
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "many%zu", i);
		node_pool_add(pool, names[i], "127.0.0.1");
		calls[i] = (struct node_call){.node = names[i], .request = info};
	}
	node_pool_add(pool, "machine", NULL);
	calls[MANY] = (struct node_call){.node = "machine", .request = info};
	calls[MANY + 1] = (struct node_call){.node = names[0], .request = info};
	CHECK_INT(node_pool_run(pool, calls, MANY + 2), 1);
	for (size_t i = 0; i < MANY + 2; i++)
		if (i != MANY)
			CHECK(json_path_bool(calls[i].reply, "ok", false));
	check_failure(&calls[MANY], ERROR_API, "node 'machine': ");
	node_calls_release(calls, MANY + 2);

	TEST("all of them are asked again on the connections that are there");
	for (size_t i = 0; i < MANY; i++)
		calls[i] = (struct node_call){.node = names[i], .request = info};
	CHECK_INT(node_pool_run(pool, calls, MANY), 0);
	node_calls_release(calls, MANY);
	node_pool_free(pool);
}

/* The agent itself, with a folder for its root, in the place of this host. */
static void test_local(void)
{
	auto_free char *script = in_folder("local-agent");
	auto_free char *text =
		alloc_format("#!/bin/sh\necho $$ >>%s/starts\nexec %s --root %s/node\n", folder,
			     agent_path, folder);
	struct node_options options = {.via = NODE_VIA_LOCAL, .agent = script};
	auto_json json_t *read =
		json_pack("{s:s, s:s}", "op", "read-file", "path", "/etc/kubernetes/admin.conf");
	auto_error struct error err = {0};
	struct node_pool *pool = node_pool_new(&options, &err);
	json_t *reply = NULL;
	char name[65];

	write_file("local-agent", 0755, text);
	write_file("node/etc/kubernetes/admin.conf", 0600, "kind: Config\n");
	gethostname(name, sizeof(name));
	node_pool_add(pool, name, NULL);
	node_pool_add(pool, "by-address", "127.0.0.1");
	node_pool_add(pool, "elsewhere", "192.0.2.77");
	TEST("this host is reached without ssh");
	CHECK(node_pool_may_reach(pool, name));
	CHECK(node_pool_may_reach(pool, "by-address"));
	CHECK(!node_pool_may_reach(pool, "elsewhere"));
	CHECK(!node_pool_may_reach(pool, "nobody"));
	CHECK_OK(node_call(pool, name, read, &reply, &err), &err);
	CHECK_STR(json_path_text(reply, "content"), "a2luZDogQ29uZmlnCg==");
	json_decref(reply);
	TEST("no other host is");
	CHECK_ERROR(node_call(pool, "elsewhere", read, &reply, &err), &err, ERROR_REFUSED,
		    "node 'elsewhere': it is not this host");
	node_pool_free(pool);
}

/* Only an agent that is silent by intent must not have much time. */
static void check_local_failure(const char *what, const char *script_text, enum error_kind kind,
				const char *text)
{
	bool silent = strstr(script_text, "sleep") != NULL;
	auto_free char *script = in_folder("broken-agent");
	struct node_options options = {
		.via = NODE_VIA_LOCAL, .agent = script, .connect_ms = silent ? 800 : 60000};
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	auto_error struct error err = {0};
	struct node_pool *pool;
	json_t *reply = NULL;

	write_file("broken-agent", 0755, script_text);
	pool = node_pool_new(&options, &err);
	node_pool_add(pool, "here", "127.0.0.1");
	TEST("%s", what);
	CHECK_ERROR(node_call(pool, "here", info, &reply, &err), &err, kind, text);
	node_pool_free(pool);
}

#define HELLO "echo '{\"agent\":\"renumber-agent\",\"protocol\":1,\"uid\":0}'\n"

static void test_hostile_agent(void)
{
	check_local_failure(
		"an agent of another protocol",
		"#!/bin/sh\necho '{\"agent\":\"renumber-agent\",\"protocol\":99}'\nread a\n",
		ERROR_API, "protocol 99");
	check_local_failure("an agent that ends at once", "#!/bin/sh\necho broken >&2\nexit 3\n",
			    ERROR_IO, "status 3: broken");
	check_local_failure("an agent that is silent", "#!/bin/sh\nexec sleep 20\n", ERROR_NETWORK,
			    "did not answer within");
	check_local_failure("an agent that never ends its noise",
			    "#!/bin/sh\nexec head -c 200000 /dev/zero\n", ERROR_API,
			    "not renumber-agent");
	check_local_failure("an agent that answers nonsense",
			    "#!/bin/sh\n" HELLO "read a\necho nonsense\nread a\n", ERROR_PARSE,
			    "malformed");
	check_local_failure("an agent whose answer has no end",
			    "#!/bin/sh\n" HELLO "read a\nhead -c 40000000 /dev/zero\nread a\n",
			    ERROR_PARSE, "larger than");
	check_local_failure("an agent that answers another request",
			    "#!/bin/sh\n" HELLO "read a\necho '{\"id\":77,\"ok\":true}'\nread a\n",
			    ERROR_PARSE, "another request");
	check_local_failure("an agent that says no without a reason",
			    "#!/bin/sh\n" HELLO "read a\necho '{\"id\":1,\"ok\":false}'\nread a\n",
			    ERROR_IO, "without a reason");
	check_local_failure(
		"an agent whose message drives the terminal",
		"#!/bin/sh\n" HELLO "read a\n"
		"echo '{\"id\":1,\"ok\":false,\"kind\":\"api\",\"error\":\"a\\u001b[2Jb\"}'\n"
		"read a\n",
		ERROR_API, "a?[2Jb");
	check_local_failure("an agent that ends again and again", "#!/bin/sh\n" HELLO "read a\n",
			    ERROR_NETWORK, "connection was lost while 'info'");
}

/* The first agent takes a request and dies of it; the next ones are whole. */
static void check_repeated(const char *op, bool repeated)
{
	auto_free char *script = in_folder("dying-agent");
	auto_free char *starts = in_folder("dying-starts");
	auto_free char *text = alloc_format("#!/bin/sh\necho x >>%s\n"
					    "if [ $(wc -l <%s) = 1 ]; then\n" HELLO
					    "read a\nexit 0\nfi\nexec %s --root %s/node\n",
					    starts, starts, agent_path, folder);
	struct node_options options = {.via = NODE_VIA_LOCAL, .agent = script, .connect_ms = 60000};
	auto_json json_t *request = json_pack("{s:s}", "op", op);
	auto_buffer struct buffer lines = {0};
	auto_error struct error err = {0};
	struct node_pool *pool;
	json_t *reply = NULL;

	write_file("dying-agent", 0755, text);
	unlink(starts);
	pool = node_pool_new(&options, &err);
	node_pool_add(pool, "here", "127.0.0.1");
	TEST("'%s' is %s after a lost connection", op, repeated ? "repeated" : "not repeated");
	if (repeated)
		CHECK_OK(node_call(pool, "here", request, &reply, &err), &err);
	else
		CHECK_ERROR(node_call(pool, "here", request, &reply, &err), &err, ERROR_NETWORK,
			    "the connection was lost while");
	json_decref(reply);
	CHECK_OK(file_read(starts, 100, &lines, &err), &err);
	CHECK_STR(buffer_cstr(&lines), repeated ? "x\nx\n" : "x\n");
	node_pool_free(pool);
}

static void test_options(void)
{
	static const struct {
		const char *what;
		struct node_options options;
		enum error_kind kind;
		const char *text;
	} rows[] = {
		{"daemonset", {.via = NODE_VIA_DAEMONSET}, ERROR_USAGE, "not served yet"},
		{"open quote", {.ssh_command = "ssh 'a"}, ERROR_USAGE, "quote"},
		{"no map", {.ssh_map = "/no/such/map"}, ERROR_NOT_FOUND, "/no/such/map"},
		{"user that is an option",
		 {.ssh_user = "-oProxyCommand=x"},
		 ERROR_USAGE,
		 "--ssh-user"},
		{"empty user", {.ssh_user = ""}, ERROR_USAGE, "--ssh-user"},
	};
	struct node_options none = {.via = NODE_VIA_NONE};
	auto_json json_t *info = json_pack("{s:s}", "op", "info");
	auto_error struct error err = {0};
	enum node_transport via = NODE_VIA_NONE;
	struct node_pool *pool;
	json_t *reply = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("options: %s", rows[i].what);
		pool = node_pool_new(&rows[i].options, &err);
		CHECK_ERROR(pool ? 0 : -1, &err, rows[i].kind, rows[i].text);
	}
	TEST("--nodes-via none reaches nobody");
	pool = node_pool_new(&none, &err);
	node_pool_add(pool, "cp1", NULL);
	CHECK(!node_pool_reaches_nodes(pool));
	CHECK(!node_pool_may_reach(pool, "cp1"));
	CHECK_ERROR(node_call(pool, "cp1", info, &reply, &err), &err, ERROR_REFUSED,
		    "--nodes-via none");
	node_pool_free(pool);
	TEST("transports are named");
	CHECK(node_transport_parse("local", &via));
	CHECK_INT(via, NODE_VIA_LOCAL);
	CHECK(!node_transport_parse("telnet", &via));
}

static void take_down(void)
{
	process_release(&sshd);
	if (made_run_sshd)
		rmdir("/run/sshd");
}

int main(void)
{
	const char *build = getenv("KR_BUILD");

	signal(SIGPIPE, SIG_IGN);
	folder = realpath(test_folder(), NULL);
	agent_path = alloc_format("%s/renumber-agent", build ? build : KR_SRCDIR "/build");
	TEST("the agent is built");
	CHECK(file_exists(agent_path));
	test_options();
	test_local();
	test_hostile_agent();
	check_repeated("info", true);
	check_repeated("list-backups", true);
	check_repeated("restart-kubelet", false);
	if (access("/usr/sbin/sshd", X_OK) == 0) {
		set_up();
		test_ssh();
		test_failures();
		test_silence();
		test_reconnect();
		test_many();
		take_down();
	} else {
		TEST("nodes by ssh # SKIP there is no sshd (Debian package openssh-server)");
		CHECK(true);
	}
	free(agent_path);
	free(folder);
	return test_done();
}
