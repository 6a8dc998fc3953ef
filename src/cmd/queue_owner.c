/* Root puts mail into a queue, or changes it, while there is no daemon: what is made there must be
 * the daemon's, who is not root and could open neither the lock nor a message. And root writes into
 * no folder in which somebody else could put a link in its way. */

#include "cmd/cmd.h"
#include "os/privileges.h"

bool cmd_become_queue_owner(const struct conf *conf, const char *directory, struct error *e)
{
	struct os_user user;

	if (!os_is_root())
		return true;
	if (!os_folder_user(directory, &user) &&
	    !(os_user_find(conf_str(conf, CONF_hopseal_user), &user, e) &&
	      os_user_folder(directory, user, e)))
		return false;
	return os_become(user, e);
}
