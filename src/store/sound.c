/* Whether the queue is whole, looked at before anything is written to it or removed from it. */

#include <dirent.h>
#include <sys/stat.h>

#include "store/room.h"

/* Beyond it a start would take too long: some 2 ms for each MB. */
#define SOUND_OCTETS_MAX (64ull * 1024 * 1024)

/* ---- the database is not there ---- */

static int64_t size_of(const char *directory, const char *name)
{
	char path[STORE_PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static bool has_mail_in(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	bool has = false;
	uint64_t id;

	while (d && !has && (entry = readdir(d)) != NULL)
		has = store_id_parse(str_of(entry->d_name), &id);
	if (d)
		(void)closedir(d);
	return has;
}

static bool has_mail(const char *directory)
{
	char path[STORE_PATH_MAX];
	bool has = false;

	for (unsigned i = 0; !has && i < STORE_CONTENT_FOLDERS; i++) {
		(void)snprintf(path, sizeof(path), "%s/" STORE_CONTENT "/%02x", directory, i);
		has = has_mail_in(path);
	}
	return has;
}

/* To an empty database SQLite's log is rubbish, and all content nobody's: both would be removed. */
bool store_sound_files(const char *directory, struct error *e)
{
	if (size_of(directory, STORE_DATABASE) > 0)
		return true;
	if (size_of(directory, STORE_DATABASE "-wal") > 0)
		return error_set(e, ERROR_DATA,
				 "%s/" STORE_DATABASE " is missing or empty, and its log is there: "
				 "put it back, or move " STORE_DATABASE "-wal away",
				 directory);
	if (has_mail(directory))
		return error_set(e, ERROR_DATA,
				 "%s/" STORE_DATABASE
				 " is missing or empty, and there is mail in " STORE_CONTENT
				 ": put it back, or move " STORE_CONTENT " away",
				 directory);
	return true;
}

/* ---- what is in it ---- */

/* SQLite's words begin with a line about which database it is. */
static struct str finding(struct str text)
{
	struct str first, rest;

	if (str_has_prefix(text, STR("***")) && str_cut(text, '\n', &first, &rest))
		return rest;
	return text;
}

/* A page that the disk did not give is told as a row among those about damage. */
static bool is_unread(struct str text)
{
	size_t at;

	return str_search(text, STR("error code="), &at) ||
	       str_search(text, STR("failed to get page "), &at);
}

static void set_finding(struct str text, struct error *e)
{
	if (is_unread(text))
		error_set(e, ERROR_IO, "cannot be read: " STR_FMT, STR_ARG(finding(text)));
	else
		error_set(e, ERROR_DATA, "damaged: " STR_FMT, STR_ARG(finding(text)));
}

static bool check_pages(struct sql *db, struct error *e)
{
	struct sql_statement *st = sql_prepare(db, STR("PRAGMA integrity_check(1)"), e);
	enum sql_step step = st ? sql_step(st, e) : SQL_FAILED;
	bool is_sound = step == SQL_ROW && str_eq(sql_text(st, 0), STR("ok"));

	if (step == SQL_ROW && !is_sound)
		set_finding(sql_text(st, 0), e);
	if (step == SQL_ROW)
		sql_reset(st);
	sql_free(st);
	return is_sound;
}

static bool is_small(struct sql *db, bool *is, struct error *e)
{
	int64_t pages;

	if (!sql_get_int(db, STR("PRAGMA page_count"), &pages, e))
		return false;
	*is = (uint64_t)pages * 4096 <= SOUND_OCTETS_MAX;
	return true;
}

bool store_sound_pages(struct sql *db, struct error *e)
{
	bool is;

	return is_small(db, &is, e) && (!is || check_pages(db, e));
}

bool store_sound_rows(struct sql *db, struct store_losses *out, struct error *e)
{
	bool is;

	*out = (struct store_losses){ 0 };
	if (!is_small(db, &is, e))
		return false;
	if (!is)
		return true;
	return sql_get_int(db,
			   STR("SELECT count(*) FROM recipient AS r WHERE "
			       "NOT EXISTS (SELECT 1 FROM message WHERE id = r.message) OR "
			       "NOT EXISTS (SELECT 1 FROM destination WHERE id = r.destination)"),
			   &out->recipients, e) &&
	       sql_get_int(db,
			   STR("SELECT count(*) FROM message AS m WHERE NOT EXISTS "
			       "(SELECT 1 FROM recipient WHERE message = m.id)"),
			   &out->messages, e);
}
