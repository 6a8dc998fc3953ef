#include "base/test.h"
#include "cmd/maildir.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

/* The one file of a folder, "" if there is none. */
static void only_file(const char *folder, char out[512])
{
	char where[128];
	struct dirent *d;
	DIR *dir;

	out[0] = '\0';
	snprintf(where, sizeof(where), "%s/%s", path, folder);
	dir = opendir(where);
	ok(dir != NULL, where);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			snprintf(out, 512, "%s/%s", where, d->d_name);
	closedir(dir);
}

static struct str content_of(const char *file, char out[256])
{
	FILE *f = fopen(file, "r");
	size_t n;

	ok(f != NULL, file);
	n = fread(out, 1, 256, f);
	fclose(f);
	return str_span(out, n);
}

static void in_pieces(struct cmd_maildir *m, struct str text, size_t piece)
{
	struct error e = { 0 };
	struct cmd_maildir_message *msg = cmd_maildir_begin(m, &e);
	char file[512], got[256];

	ok(msg != NULL, e.text);
	for (struct str rest = text; rest.n > 0; rest = str_from(rest, piece))
		cmd_maildir_write(msg, str_first(rest, piece));
	only_file("new", file);
	ok(!file[0], "nothing is seen before the commit");
	ok(cmd_maildir_commit(msg, &e), e.text);
	only_file("tmp", file);
	ok(!file[0], "nothing is left over");
	only_file("new", file);
	ok_str(content_of(file, got), STR("a\r b\n\n\r\rc\n\r"), "CRLF is LF, other CRs stay");
	unlink(file);
}

static void remove_maildir(void)
{
	static const char *const folders[] = { "tmp", "new", "cur", "." };
	char where[128];

	FOR_EACH(f, folders) {
		snprintf(where, sizeof(where), "%s/%s", path, *f);
		rmdir(where);
	}
	rmdir(path);
}

TEST(maildir)
{
	struct str text = STR("a\r b\r\n\r\n\r\rc\r\n\r");
	struct error e = { 0 };
	struct cmd_maildir *m;
	struct cmd_maildir_message *msg;
	char file[512];

	snprintf(path, sizeof(path), "maildir_test.%ld", (long)getpid());
	m = cmd_maildir_open(path, &e);
	ok(m != NULL, e.text);
	for (size_t piece = 1; piece <= text.n; piece++)
		in_pieces(m, text, piece);

	msg = cmd_maildir_begin(m, &e);
	ok(msg != NULL, e.text);
	cmd_maildir_write(msg, text);
	cmd_maildir_drop(msg);
	only_file("new", file);
	ok(!file[0], "dropped");
	only_file("tmp", file);
	ok(!file[0], "with nothing left over");
	cmd_maildir_close(m);
	m = cmd_maildir_open(path, &e);
	ok(m != NULL, "one that exists is taken");
	cmd_maildir_close(m);
	remove_maildir();
}

TEST(nowhere)
{
	struct error e = { 0 };

	ok(cmd_maildir_open("no/such/folder", &e) == NULL && e.kind == ERROR_IO, "no parent");
	ok(str_search(error_text(&e), STR("no/such/folder"), &(size_t){ 0 }), e.text);
}

TEST_MAIN(RUN(maildir), RUN(nowhere))
