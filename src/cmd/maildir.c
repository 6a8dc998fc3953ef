#include "cmd/maildir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

#define PATH_SIZE 4096
#define NAME_SIZE 128
#define FILE_PATH_SIZE (PATH_SIZE + sizeof("/tmp/") + NAME_SIZE)

struct cmd_maildir {
	char path[PATH_SIZE];
	unsigned long n_messages;
};

struct cmd_maildir_message {
	struct cmd_maildir *maildir;
	FILE *f;
	char name[NAME_SIZE];
	bool has_cr; /* the last octet was a CR, not written yet */
};

static bool make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return true;
	return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
}

static void
path_in(const struct cmd_maildir *m, const char *folder, const char *name, char out[FILE_PATH_SIZE])
{
	snprintf(out, FILE_PATH_SIZE, "%s/%s%s%s", m->path, folder, *name ? "/" : "", name);
}

struct cmd_maildir *cmd_maildir_open(const char *path, struct error *e)
{
	static const char *const folders[] = { "tmp", "new", "cur" };
	char folder[FILE_PATH_SIZE];
	struct cmd_maildir *m;

	if (strlen(path) >= PATH_SIZE) {
		error_set(e, ERROR_USAGE, "too long a path for a maildir");
		return NULL;
	}
	if (!make_folder(path, e))
		return NULL;
	m = base_alloc(sizeof(*m));
	memcpy(m->path, path, strlen(path) + 1);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		path_in(m, folders[i], "", folder);
		if (!make_folder(folder, e)) {
			cmd_maildir_close(m);
			return NULL;
		}
	}
	return m;
}

void cmd_maildir_close(struct cmd_maildir *m)
{
	free(m);
}

struct cmd_maildir_message *cmd_maildir_begin(struct cmd_maildir *m, struct error *e)
{
	struct cmd_maildir_message *msg = base_alloc(sizeof(*msg));
	char path[FILE_PATH_SIZE];

	msg->maildir = m;
	snprintf(msg->name, sizeof(msg->name), "%lld.P%ldQ%lu.hopseal-sink", (long long)os_utc_s(),
		 (long)getpid(), ++m->n_messages);
	path_in(m, "tmp", msg->name, path);
	msg->f = fopen(path, "wxe");
	if (msg->f)
		return msg;
	error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	free(msg);
	return NULL;
}

void cmd_maildir_write(struct cmd_maildir_message *msg, struct str octets)
{
	for (size_t i = 0; i < octets.n; i++) {
		char c = octets.p[i];

		if (msg->has_cr && c != '\n')
			putc_unlocked('\r', msg->f);
		msg->has_cr = c == '\r';
		if (!msg->has_cr)
			putc_unlocked(c, msg->f);
	}
}

static void message_free(struct cmd_maildir_message *msg)
{
	char path[FILE_PATH_SIZE];

	if (msg->f)
		fclose(msg->f);
	path_in(msg->maildir, "tmp", msg->name, path);
	unlink(path);
	free(msg);
}

bool cmd_maildir_commit(struct cmd_maildir_message *msg, struct error *e)
{
	char from[FILE_PATH_SIZE], to[FILE_PATH_SIZE];
	bool is_ok;

	if (msg->has_cr)
		putc_unlocked('\r', msg->f);
	is_ok = !ferror(msg->f);
	is_ok = fclose(msg->f) == 0 && is_ok;
	msg->f = NULL;
	path_in(msg->maildir, "tmp", msg->name, from);
	path_in(msg->maildir, "new", msg->name, to);
	if (!is_ok || rename(from, to) != 0)
		is_ok = error_set(e, ERROR_IO, "%s: %s", to, strerror(errno));
	message_free(msg);
	return is_ok;
}

void cmd_maildir_drop(struct cmd_maildir_message *msg)
{
	if (msg)
		message_free(msg);
}
