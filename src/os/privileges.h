/* From root to the user who does the work. */

#ifndef HOPSEAL_OS_PRIVILEGES_H
#define HOPSEAL_OS_PRIVILEGES_H

#include "base/error.h"

struct os_user {
	unsigned uid, gid;
};

/* False: there is none of that name. */
MUST_USE bool os_user_find(struct str name, struct os_user *out, struct error *e);
bool os_is_root(void);
MUST_USE bool os_group_find(struct str name, unsigned *gid, struct error *e);
/* Asks the system's lists of users and groups. */
bool os_user_is_member(unsigned uid, unsigned gid);
/* The name of a user, or the number of one who has none; always NUL-terminated. */
void os_user_name(unsigned uid, char *out, size_t size);

/* The folder, made when it is missing, for this user alone. Only root may call it. */
MUST_USE bool os_user_folder(const char *path, struct os_user user, struct error *e);

/* Mode and owner (OS_KEEP: as it is) of a socket's file that was bound just now. False: whoever may
 * write in its folder has put something else in its place, which keeps what it has. */
#define OS_KEEP ((unsigned)-1)
MUST_USE bool os_socket_give(const char *path, unsigned mode, struct os_user user, struct error *e);

/* Whose folder it is. False: there is none, or it is root's. */
bool os_folder_user(const char *path, struct os_user *out);

/* For good: no way back, no other groups. Threads that come later have the new user, too, so
 * there must be none yet. */
MUST_USE bool os_become(struct os_user user, struct error *e);

/* Raises the limit of open files as far as the system allows; the limit that counts then. */
uint64_t os_raise_files_limit(void);

#endif
