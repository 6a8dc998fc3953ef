/* What the daemon needs of the system: the folder of its queue, and descriptors. */

#include "cmd/check_inside.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen/listen.h"
#include "os/files.h"
#include "os/privileges.h"

static void
say(const struct check_to *to, struct conf_finding f, const char *remedy, struct str text)
{
	f.text = text;
	f.remedy = str_of(remedy);
	to->found(to->arg, &f);
}

/* It is made, but not what it is in. */
static void check_missing(const struct check_to *to, struct conf_finding f, const char *path)
{
	struct str parent = str_of(path), name;
	struct stat st;

	if (!str_rcut(str_of(path), '/', &parent, &name) || parent.n == 0)
		return;
	f.severity = CONF_ERROR;
	if (stat(arena_str(to->arena, parent).p, &st) != 0)
		say(to, f, "make that folder: hopseal serve does not start without it",
		    arena_fmt(to->arena, "%s cannot be made: " STR_FMT ": %s", path,
			      STR_ARG(parent), strerror(errno)));
}

static void check_rights(const struct check_to *to, const struct conf *conf, struct conf_finding f,
			 const char *path, const struct stat *st)
{
	struct os_user user;
	struct error e;

	if (st->st_mode & 022)
		say(to, f, "chmod 0700: whoever can write there can take mail away",
		    arena_fmt(to->arena, "%s may be written by others than its owner (mode %04o)",
			      path, (unsigned)st->st_mode & 07777));
	if (os_user_find(conf_str(conf, CONF_hopseal_user), &user, &e) && st->st_uid != 0 &&
	    st->st_uid != user.uid && st->st_uid != geteuid())
		say(to, f, "chown it to hopseal_user",
		    arena_fmt(to->arena, "%s belongs to user %u, and hopseal_user = " STR_FMT, path,
			      (unsigned)st->st_uid, STR_ARG(conf_str(conf, CONF_hopseal_user))));
}

void check_queue_folder(const struct check_to *to, const struct conf *conf)
{
	enum conf_id id = CONF_hopseal_queue_directory;
	const char *path = arena_str(to->arena, conf_str(conf, id)).p;
	struct conf_finding f = check_param_finding(conf, id, CONF_WARNING, STR("queue-directory"));
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == ENOENT)
			check_missing(to, f, path);
	} else if (!S_ISDIR(st.st_mode)) {
		f.severity = CONF_ERROR;
		say(to, f, "name a folder: hopseal serve does not start with it",
		    arena_fmt(to->arena, "%s is no folder", path));
	} else {
		check_rights(to, conf, f, path, &st);
	}
}

/* Defaults give way by themselves; what was asked for does, too, but is missed. */
void check_connections(const struct check_to *to, const struct conf *conf, uint64_t inbound)
{
	int64_t workers = conf_int(conf, CONF_hopseal_workers);
	bool is_asked = conf_is_set(conf, CONF_hopseal_connection_limit);
	enum conf_id id = is_asked ? CONF_hopseal_connection_limit : CONF_hopseal_delivery_limit;
	struct conf_finding f = check_param_finding(conf, id, CONF_WARNING, STR("files-limit"));
	struct os_files_wish w = { .limit = os_raise_files_limit(), .inbound = inbound };

	w.workers = (unsigned)(workers > 0 ? workers : sysconf(_SC_NPROCESSORS_ONLN));
	w.outbound = (uint64_t)conf_int(conf, CONF_hopseal_delivery_limit) * w.workers;
	struct os_files_plan p = os_files_plan(&w);
	if (p.fits || !(is_asked || conf_is_set(conf, CONF_hopseal_delivery_limit)))
		return;
	say(to, f, "raise LimitNOFILE or ulimit -n for the daemon, or ask for fewer",
	    arena_fmt(to->arena,
		      "%llu files at most may be open here: %llu inbound connections in the place "
		      "of %llu, and %llu outbound ones in the place of %llu",
		      (unsigned long long)w.limit, (unsigned long long)p.inbound,
		      (unsigned long long)w.inbound, (unsigned long long)p.outbound,
		      (unsigned long long)w.outbound));
}
