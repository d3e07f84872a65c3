/* SPDX-License-Identifier: MIT */
/* What base/ does against other people: text that drives terminals, files that are not ours. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "kube/path.h"
#include "lib/test.h"
#include "report/document.h"
#include "text/json.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_filter(void)
{
	static const struct {
		const char *name;
		const char *text;
		const char *becomes;
	} rows[] = {
		{"plain text stays", "cp1: all is well\n\tindeed", "cp1: all is well\n\tindeed"},
		{"letters of all kinds stay", "Größe, 集群, кластер, 😀 …",
		 "Größe, 集群, кластер, 😀 …"},
		{"a colour", "a\033[31mb", "a?[31mb"},
		{"a title", "\033]0;pwned\007", "?]0;pwned?"},
		{"a carriage return", "all is well\rall is lost", "all is well?all is lost"},
		{"a backspace and a delete", "a\bb\177c", "a?b?c"},
		{"CSI in one character", "a\302\23331mb", "a??31mb"},
		{"CSI in one byte", "a\23331mb", "a?31mb"},
		{"bytes that are no UTF-8", "\377\376 \300\200 \342\202", "?? ?? ??"},
		{"a character that is cut off by the end", "a\360\237", "a??"},
		{"text that is turned round", "user\342\200\256nimda", "user???nimda"},
		{"isolates", "\342\201\246x\342\201\251", "???x???"},
		{"separators of lines", "a\342\200\250b\342\200\251c", "a???b???c"},
		{"nothing", "", ""},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		auto_free char *text = alloc_text(rows[i].text);

		TEST("filter: %s", rows[i].name);
		log_filter(text);
		CHECK_STR(text, rows[i].becomes);
	}
}

/* Programs get the text as it is, terminals nothing that they obey. */
static void test_documents(void)
{
	auto_json json_t *value =
		json_pack("{s:s}", "a\302\233b", "\033[31m \302\2335m \177 gr\303\266n \\\\");
	auto_json json_t *again = NULL;
	auto_buffer struct buffer json = {0};
	auto_buffer struct buffer yaml = {0};
	auto_error struct error err = {0};

	TEST("JSON and YAML have escapes for controls");
	document_json(value, &json);
	document_yaml(value, &yaml);
	CHECK_STR(
		buffer_cstr(&json),
		"{\n  \"a\\u009Bb\": \"\\u001B[31m \\u009B5m \\u007F gr\303\266n \\\\\\\\\"\n}\n");
	CHECK_STR(buffer_cstr(&yaml),
		  "\"a\\u009Bb\": \"\\u001B[31m \\u009B5m \\u007F gr\303\266n \\\\\\\\\"\n");
	again = json_parse(buffer_as_slice(&json), "a", &err);
	CHECK(again && json_equal(value, again));
}

static char *make_file(const char *name, mode_t mode)
{
	char *path = file_join(test_folder(), name);
	auto_error struct error err = {0};

	CHECK_OK(file_replace(path, "x", 1, mode, 0, &err), &err);
	return path;
}

static void test_own_files(void)
{
	static const struct {
		mode_t mode;
		bool fine;
	} rows[] = {
		{0600, true},  {0644, true},  {0400, true},  {0620, false},
		{0602, false}, {0666, false}, {0664, false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		auto_free char *path = make_file("plan", rows[i].mode);
		auto_buffer struct buffer text = {0};
		auto_error struct error err = {0};

		TEST("a plan of mode %04o is %s", (unsigned int)rows[i].mode,
		     rows[i].fine ? "read" : "refused");
		if (rows[i].fine)
			CHECK_OK(file_read_own(path, 10, &text, &err), &err);
		else
			CHECK_ERROR(file_read_own(path, 10, &text, &err), &err, ERROR_REFUSED,
				    "can be written by others");
		CHECK_STR(buffer_cstr(&text), rows[i].fine ? "x" : "");
	}
}

static void test_foreign(void)
{
	auto_free char *path = make_file("theirs", 0600);
	auto_free char *folder = file_join(test_folder(), "folder");
	auto_buffer struct buffer text = {0};
	auto_error struct error err = {0};

	TEST("a folder of ours is fine, one that others may write in is not");
	CHECK_INT(mkdir(folder, 0700), 0);
	CHECK_OK(file_check_own_folder(folder, &err), &err);
	CHECK_INT(chmod(folder, 0770), 0);
	CHECK_ERROR(file_check_own_folder(folder, &err), &err, ERROR_REFUSED, "mode 0770");
	CHECK_INT(chmod(folder, 01777), 0);
	CHECK_ERROR(file_check_own_folder(folder, &err), &err, ERROR_REFUSED, "mode 1777");
	CHECK_INT(chmod(folder, 0755), 0);
	CHECK_OK(file_check_own_folder(folder, &err), &err);
	if (geteuid() != 0)
		return;
	TEST("what belongs to somebody else is refused");
	CHECK_INT(chown(folder, 12345, 0), 0);
	CHECK_INT(chown(path, 12345, 0), 0);
	CHECK_ERROR(file_check_own_folder(folder, &err), &err, ERROR_REFUSED,
		    "belongs to user 12345, and you are 0");
	CHECK_ERROR(file_read_own(path, 10, &text, &err), &err, ERROR_REFUSED, "belongs to user");
}

/* A umask of 000, as cron and containers may have, opens nothing. */
static void test_umask(void)
{
	mode_t before = umask(0);
	auto_free char *path = make_file("key", 0600);
	auto_free char *folder = file_join(test_folder(), "a/b");
	auto_free char *lock = file_join(test_folder(), "lock");
	auto_error struct error err = {0};
	auto_close int fd = -1;
	struct stat st;

	TEST("modes do not depend on the umask");
	CHECK_OK(file_make_folder(folder, 0700, &err), &err);
	CHECK_OK(file_lock(lock, &fd, &err), &err);
	CHECK_INT(lstat(path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_INT(lstat(folder, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK_INT(lstat(lock, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	umask(before);
}

static void test_links(void)
{
	auto_free char *target = make_file("target", 0644);
	auto_free char *link = file_join(test_folder(), "link");
	auto_buffer struct buffer text = {0};
	auto_error struct error err = {0};
	auto_close int fd = -1;
	struct stat st;

	TEST("what is written replaces a link and leaves alone what it points to");
	CHECK_INT(symlink(target, link), 0);
	CHECK_OK(file_replace(link, "new", 3, 0600, FILE_REPLACE_KEEP, &err), &err);
	CHECK_INT(lstat(link, &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_OK(file_read(target, 10, &text, &err), &err);
	CHECK_STR(buffer_cstr(&text), "x");

	TEST("a lock that is a link is none");
	CHECK_INT(unlink(link), 0);
	CHECK_INT(symlink(target, link), 0);
	CHECK_ERROR(file_lock(link, &fd, &err), &err, ERROR_IO, "symbolic links");
	buffer_clear(&text);
	CHECK_OK(file_read(target, 10, &text, &err), &err);
	CHECK_STR(buffer_cstr(&text), "x");
}

static void test_names(void)
{
	static const struct {
		const char *name;
		bool fine;
	} rows[] = {
		{"cp1", true},
		{"node-1.example.com", true},
		{"10-1-15-121", true},
		{"", false},
		{".", false},
		{"..", false},
		{"../../etc/cron.d/x", false},
		{"a/b", false},
		{"-oProxyCommand=x", false},
		{"a b", false},
		{"a;b", false},
		{"$(id)", false},
		{"`id`", false},
		{"a\nb", false},
		{"a\033[31m", false},
		{"CP1", false},
		{"a..b", false},
		{"a-", false},
		{"gr\303\266n", false},
	};
	auto_free char *longest = alloc_bytes(255);

	for (size_t i = 0; i < COUNT(rows); i++) {
		TEST("'%s' is %s of a node", rows[i].name, rows[i].fine ? "the name" : "no name");
		CHECK_INT(kube_path_is_name(rows[i].name), rows[i].fine);
	}
	memset(longest, 'a', 254);
	longest[254] = '\0';
	TEST("a name has an end");
	CHECK(!kube_path_is_name(longest));
	CHECK(kube_path_is_name(longest + 1));
}

static void test_core(void)
{
	struct rlimit limit = {1, 1};

	TEST("no core file, and no other process of the user reads our memory");
	secret_protect_process();
	CHECK_INT(getrlimit(RLIMIT_CORE, &limit), 0);
	CHECK_INT((int)limit.rlim_cur, 0);
	CHECK_INT((int)limit.rlim_max, 0);
	CHECK_INT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

int main(void)
{
	test_filter();
	test_documents();
	test_own_files();
	test_foreign();
	test_umask();
	test_links();
	test_names();
	test_core();
	return test_done();
}
