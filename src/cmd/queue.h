/* The parts of `hopseal queue`. */

#ifndef HOPSEAL_CMD_QUEUE_H
#define HOPSEAL_CMD_QUEUE_H

#include "cmd/cmd.h"
#include "cmd/control_client.h"
#include "store/store.h"

struct queue_command {
	struct cmd_sources sources;
	struct conf *conf;
	struct arena *arena;
	const char *directory; /* of the store */
	bool is_json, is_by_destination, is_all;
	struct str destination, sender;
	bool has_destination, has_sender;
	struct store_filter filter; /* of list */
	char *const *ids;
	size_t n_ids;
};

/* Each gives the exit code. */
int cmd_queue_list(struct queue_command *q);
int cmd_queue_by_destination(struct queue_command *q);
int cmd_queue_show(struct queue_command *q);
int cmd_queue_cat(struct queue_command *q);
int cmd_queue_change(struct queue_command *q, enum control_kind kind);

struct str cmd_queue_state(enum store_state s);
/* As the log writes times; in the arena. */
struct str cmd_queue_time(struct arena *a, int64_t ms);
/* The members of a recipient, in the object that is open. */
void cmd_queue_recipient_json(struct json *j, struct arena *a, const struct store_rcpt *r);

#endif
