/* The daemon's state as JSON: docs/reference/status.md. */

#include <unistd.h>

#include "console/room.h"
#include "os/files.h"
#include "os/os.h"
#include "os/process.h"

static void put_counters(struct json *j, const struct console_daemon *d)
{
	json_key(j, "counters");
	json_object(j);
	for (int id = 0; id < COUNTER_COUNT; id++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < d->workers(d->arg); i++)
			sum += counter_read(d->counters(d->arg, i), (enum log_counter)id);
		if (d->store)
			sum += counter_read(store_counters(d->store), (enum log_counter)id);
		json_put_int(j, counter_name((enum log_counter)id).p, (int64_t)sum);
	}
	json_object_end(j);
}

static void put_queue(struct json *j, const struct console_figures *f)
{
	json_key(j, "queue");
	json_object(j);
	json_put_int(j, "messages", (int64_t)f->space.messages);
	json_put_int(j, "recipients", (int64_t)f->space.recipients);
	json_put_int(j, "queued", (int64_t)f->totals.queued);
	json_put_int(j, "held", (int64_t)f->totals.held);
	json_put_int(j, "finished", (int64_t)f->totals.finished);
	json_put_int(j, "destinations", (int64_t)f->totals.destinations);
	json_object_end(j);
}

static void put_active(struct json *j, const struct console_view *v)
{
	json_key(j, "active");
	json_object(j);
	json_put_int(j, "attempts", v->totals.n_attempts);
	json_put_int(j, "recipients", (int64_t)v->totals.n_rcpts);
	json_put_int(j, "destinations", (int64_t)v->totals.n_dests);
	json_put_int(j, "dead", (int64_t)v->totals.n_dead);
	json_object_end(j);
}

static void put_sessions(struct json *j, const struct console_sessions *s)
{
	json_key(j, "sessions");
	json_object(j);
	json_put_int(j, "smtp", (int64_t)s->smtp);
	json_put_int(j, "smtps", (int64_t)s->smtps);
	json_put_int(j, "lmtp", (int64_t)s->lmtp);
	json_put_int(j, "tls", (int64_t)s->tls);
	json_put_int(j, "outbound", (int64_t)s->outbound);
	json_put_int(j, "idle", (int64_t)s->idle);
	json_object_end(j);
}

static void put_process(struct json *j)
{
	struct os_process p = os_process();

	json_key(j, "process");
	json_object(j);
	json_put_int(j, "open_files", (int64_t)os_files_open());
	json_put_int(j, "files_max", (int64_t)os_files_limit());
	json_put_int(j, "resident_octets", (int64_t)p.resident_octets);
	json_put_int(j, "heap_octets", (int64_t)p.heap_octets);
	json_put_int(j, "cpu_ms", (int64_t)p.cpu_ms);
	json_object_end(j);
}

static void put_store(struct json *j, const struct store_space *s)
{
	json_key(j, "store");
	json_object(j);
	json_put_int(j, "free_octets", (int64_t)s->free_octets);
	json_put_int(j, "database_octets", (int64_t)s->database_octets);
	json_put_int(j, "reusable_octets", (int64_t)s->reusable_octets);
	json_put_int(j, "notes", (int64_t)s->notes);
	json_put_int(j, "content_memory_octets", (int64_t)s->content_memory_octets);
	json_object_end(j);
}

void console_destination_json(struct json *j, const struct console_destination *d)
{
	json_object(j);
	json_put_str(j, "destination", d->name);
	json_put_bool(j, "is_dead", d->window == 0);
	json_put_int(j, "window", d->window);
	json_put_int(j, "attempts", d->attempts);
	json_put_int(j, "recipients", d->recipients);
	json_put_int(j, "blocked_s", (int64_t)(d->blocked_ms + 999) / 1000);
	json_object_end(j);
}

void console_status_json(struct json *j, const struct console *c, const struct console_figures *f)
{
	const struct console_daemon *d = &c->options.daemon;

	json_put_str(j, "state", STR("running"));
	json_put_str(j, "version", STR(HOPSEAL_VERSION));
	json_put_str(j, "configuration", d->configuration(d->arg));
	json_put_int(j, "pid", getpid());
	json_put_int(j, "started_at", d->started_at);
	json_put_int(j, "uptime_s", os_utc_s() - d->started_at);
	json_put_int(j, "workers", d->workers(d->arg));
	if (f->e.kind != ERROR_NONE)
		json_put_str(j, "trouble", error_text(&f->e));
	put_queue(j, f);
	put_active(j, f->view);
	put_sessions(j, &f->view->sessions);
	put_process(j);
	put_store(j, &f->space);
	put_counters(j, d);
	json_key(j, "blocked");
	json_array(j);
	for (size_t i = 0; i < f->view->n; i++)
		console_destination_json(j, &f->view->v[i]);
	json_array_end(j);
	json_put_int(j, "blocked_more", (int64_t)(f->view->n_blocked - f->view->n));
}
