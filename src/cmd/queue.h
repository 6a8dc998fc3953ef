/* The parts of `hopseal queue`. */

#ifndef HOPSEAL_CMD_QUEUE_H
#define HOPSEAL_CMD_QUEUE_H

#include "cmd/cmd.h"
#include "cmd/control_client.h"

struct queue_command {
	struct cmd_sources sources;
	struct conf *conf;
	bool is_rescued; /* only the daemon may be asked: cmd_configure_to_ask() */
	struct arena *arena;
	const char *directory; /* of the store */
	bool is_json, is_by_destination, is_all;
	struct control_filter filter; /* of list; its destination is of changes, too */
	char *const *ids;
	size_t n_ids;
};

/* Each gives the exit code. */
int cmd_queue_list(struct queue_command *q);
int cmd_queue_by_destination(struct queue_command *q);
int cmd_queue_show(struct queue_command *q);
int cmd_queue_cat(struct queue_command *q);
int cmd_queue_change(struct queue_command *q, enum control_kind kind);

/* Tells the lines of the reply to a request that reads the store, without the last one. */
MUST_USE bool cmd_queue_read(struct queue_command *q, const struct control_request *r,
			     cmd_control_line *line, void *arg, struct error *e);

/* Of a line; "" and 0 when there is none. */
struct str cmd_queue_text(const struct json_node *n, const char *path);
int64_t cmd_queue_number(const struct json_node *n, const char *path);

#endif
