#include "os/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

bool os_user_find(struct str name, struct os_user *out, struct error *e)
{
	char text[256], room[16384];
	struct passwd entry, *found = NULL;

	if (name.n < sizeof(text)) {
		memcpy(text, name.p, name.n);
		text[name.n] = '\0';
		(void)!getpwnam_r(text, &entry, room, sizeof(room), &found);
	}
	if (!found)
		return error_set(e, ERROR_CONFIG, "there is no user " STR_FMT, STR_ARG(name));
	*out = (struct os_user){ found->pw_uid, found->pw_gid };
	return true;
}

bool os_group_find(struct str name, unsigned *gid, struct error *e)
{
	char text[256], room[16384];
	struct group entry, *found = NULL;

	if (name.n < sizeof(text)) {
		memcpy(text, name.p, name.n);
		text[name.n] = '\0';
		(void)!getgrnam_r(text, &entry, room, sizeof(room), &found);
	}
	if (!found)
		return error_set(e, ERROR_CONFIG, "there is no group " STR_FMT, STR_ARG(name));
	*gid = found->gr_gid;
	return true;
}

bool os_user_is_member(unsigned uid, unsigned gid)
{
	char room[16384];
	struct passwd entry, *found = NULL;
	gid_t groups[256];
	int n = ARRAY_LEN(groups);

	(void)!getpwuid_r(uid, &entry, room, sizeof(room), &found);
	if (!found)
		return false;
	if (getgrouplist(found->pw_name, found->pw_gid, groups, &n) < 0)
		n = ARRAY_LEN(groups); /* in more of them than are looked at */
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

void os_user_name(unsigned uid, char *out, size_t size)
{
	char room[16384];
	struct passwd entry, *found = NULL;

	(void)!getpwuid_r(uid, &entry, room, sizeof(room), &found);
	if (found)
		(void)snprintf(out, size, "%s", found->pw_name);
	else
		(void)snprintf(out, size, "%u", uid);
}

bool os_is_root(void)
{
	return geteuid() == 0;
}

bool os_user_folder(const char *path, struct os_user user, struct error *e)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	if (chown(path, user.uid, user.gid) != 0)
		return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	return true;
}

static bool give_socket(int fd, unsigned mode, struct os_user user)
{
	char name[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	errno = ENOTSOCK;
	if (!S_ISSOCK(st.st_mode))
		return false;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd); /* fchmod(2) refuses O_PATH */
	return chmod(name, mode) == 0 && fchownat(fd, "", user.uid, user.gid, AT_EMPTY_PATH) == 0;
}

/* By name it would go through a link: the folder may be that of the user who is to be kept apart
 * from root. */
bool os_socket_give(const char *path, unsigned mode, struct os_user user, struct error *e)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool is_given = give_socket(fd, mode, user);

	if (!is_given)
		(void)error_set(e, ERROR_SYSTEM, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return is_given;
}

bool os_folder_user(const char *path, struct os_user *out)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid == 0)
		return false;
	*out = (struct os_user){ st.st_uid, st.st_gid };
	return true;
}

bool os_become(struct os_user user, struct error *e)
{
	if (setgroups(0, NULL) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
	    setresuid(user.uid, user.uid, user.uid) != 0)
		return error_set(e, ERROR_SYSTEM, "cannot become user %u: %s", user.uid,
				 strerror(errno));
	CHECK(user.uid == 0 || setuid(0) != 0);
	return true;
}

uint64_t os_raise_files_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return 0;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	(void)getrlimit(RLIMIT_NOFILE, &l);
	return l.rlim_cur;
}
