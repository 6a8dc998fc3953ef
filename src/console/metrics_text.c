/* Figures in the text format of Prometheus, version 0.0.4: docs/reference/metrics.md. */

#include "console/room.h"
#include "os/files.h"
#include "os/log.h"
#include "os/os.h"
#include "os/process.h"

#define METRICS_NAME "hopseal_"

static bool
put_head(struct buf *out, const char *name, const char *suffix, const char *type, struct str prose)
{
	return buf_fmt(out, "# HELP " METRICS_NAME "%s%s " STR_FMT "\n", name, suffix,
		       STR_ARG(prose)) &&
	       buf_fmt(out, "# TYPE " METRICS_NAME "%s%s %s\n", name, suffix, type);
}

static bool put_gauge(struct buf *out, const char *name, struct str prose, uint64_t v)
{
	return put_head(out, name, "", "gauge", prose) &&
	       buf_fmt(out, METRICS_NAME "%s %llu\n", name, (unsigned long long)v);
}

/* ---- what the workers count ---- */

static bool put_counter(struct buf *out, const struct console_daemon *d, enum log_counter id)
{
	const char *name = counter_name(id).p;
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->workers(d->arg); i++)
		sum += counter_read(d->counters(d->arg, i), id);
	if (d->store)
		sum += counter_read(store_counters(d->store), id);
	return put_head(out, name, "_total", "counter", counter_prose(id)) &&
	       buf_fmt(out, METRICS_NAME "%s_total %llu\n", name, (unsigned long long)sum);
}

/* A family's head stands before its first kind. */
static bool put_kind(struct buf *out, const struct console_daemon *d, enum log_kind id)
{
	enum log_family f = counter_kind_family(id);
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->workers(d->arg); i++)
		sum += counter_kind_read(d->counters(d->arg, i), id);
	if ((id == 0 || counter_kind_family(id - 1) != f) &&
	    !put_head(out, counter_family_name(f).p, "_total", "counter", counter_family_prose(f)))
		return false;
	return buf_fmt(out, METRICS_NAME STR_FMT "_total{" STR_FMT "=\"" STR_FMT "\"} %llu\n",
		       STR_ARG(counter_family_name(f)), STR_ARG(counter_family_label(f)),
		       STR_ARG(counter_kind_value(id)), (unsigned long long)sum);
}

static bool
put_bucket(struct buf *out, const char *name, enum log_histogram id, size_t i, uint64_t n)
{
	if (i == HISTOGRAM_BUCKETS - 1)
		return buf_fmt(out, METRICS_NAME "%s_seconds_bucket{le=\"+Inf\"} %llu\n", name,
			       (unsigned long long)n);
	return buf_fmt(out, METRICS_NAME "%s_seconds_bucket{le=\"%g\"} %llu\n", name,
		       (double)histogram_bound_ms(id, i) / 1000, (unsigned long long)n);
}

static bool put_histogram(struct buf *out, const struct console_daemon *d, enum log_histogram id)
{
	const char *name = histogram_name(id).p;
	struct histogram_sum sum = { 0 };
	uint64_t n = 0;

	for (unsigned i = 0; i < d->workers(d->arg); i++)
		histogram_read(d->counters(d->arg, i), id, &sum);
	if (d->store)
		histogram_read(store_counters(d->store), id, &sum);
	bool fits = put_head(out, name, "_seconds", "histogram", histogram_prose(id));
	for (size_t i = 0; fits && i < HISTOGRAM_BUCKETS; i++) {
		n += sum.bucket[i];
		fits = put_bucket(out, name, id, i, n);
	}
	return fits &&
	       buf_fmt(out, METRICS_NAME "%s_seconds_sum %.3f\n", name,
		       (double)sum.sum_ms / 1000) &&
	       buf_fmt(out, METRICS_NAME "%s_seconds_count %llu\n", name, (unsigned long long)n);
}

static bool put_counted(struct buf *out, const struct console_daemon *d)
{
	bool fits = true;

	for (int id = 0; fits && id < COUNTER_COUNT; id++)
		fits = put_counter(out, d, (enum log_counter)id);
	for (int id = 0; fits && id < KIND_COUNT; id++)
		fits = put_kind(out, d, (enum log_kind)id);
	for (int id = 0; fits && id < HISTOGRAM_COUNT; id++)
		fits = put_histogram(out, d, (enum log_histogram)id);
	return fits;
}

/* ---- what is there now ---- */

static bool put_queue(struct buf *out, const struct console_figures *f)
{
	static const char line[] = METRICS_NAME "queue_recipients{state=\"%s\"} %llu\n";

	int64_t age_s = f->totals.oldest_ms ? os_utc_s() - f->totals.oldest_ms / 1000 : 0;

	return put_gauge(out, "queue_oldest_seconds", STR("Age of the oldest message, 0: none."),
			 age_s > 0 ? (uint64_t)age_s : 0) &&
	       put_gauge(out, "queue_messages", STR("Messages in the queue."), f->space.messages) &&
	       put_gauge(out, "queue_destinations", STR("Destinations that have mail."),
			 f->totals.destinations) &&
	       put_head(out, "queue_recipients", "", "gauge", STR("Recipients in the queue.")) &&
	       buf_fmt(out, line, "queued", (unsigned long long)f->totals.queued) &&
	       buf_fmt(out, line, "held", (unsigned long long)f->totals.held) &&
	       buf_fmt(out, line, "finished", (unsigned long long)f->totals.finished);
}

static bool put_active(struct buf *out, const struct sched_totals *t)
{
	return put_gauge(out, "active_attempts", STR("Delivery attempts under way."),
			 t->n_attempts) &&
	       put_gauge(out, "active_recipients", STR("Recipients in memory."), t->n_rcpts) &&
	       put_gauge(out, "active_destinations", STR("Destinations in memory."), t->n_dests) &&
	       put_gauge(out, "dead_destinations",
			 STR("Destinations that are left alone because no host could be used."),
			 t->n_dead);
}

static bool put_sessions(struct buf *out, const struct console_sessions *s)
{
	static const char in[] = METRICS_NAME "inbound_sessions{listener=\"%s\"} %zu\n";
	static const char to[] = METRICS_NAME "outbound_sessions{state=\"%s\"} %zu\n";

	return put_head(out, "inbound_sessions", "", "gauge", STR("Sessions of clients.")) &&
	       buf_fmt(out, in, "smtp", s->smtp) && buf_fmt(out, in, "smtps", s->smtps) &&
	       buf_fmt(out, in, "lmtp", s->lmtp) &&
	       put_gauge(out, "inbound_tls_sessions", STR("Of them, those inside TLS."), s->tls) &&
	       put_head(out, "outbound_sessions", "", "gauge", STR("Sessions with servers.")) &&
	       buf_fmt(out, to, "in_use", s->outbound - s->idle) &&
	       buf_fmt(out, to, "idle", s->idle);
}

/* As monitors name them for any program. */
static bool put_process(struct buf *out)
{
	struct os_process p = os_process();

	return put_gauge(out, "heap_bytes", STR("Memory that is handed out."), p.heap_octets) &&
	       buf_fmt(out,
		       "# HELP process_open_fds Open descriptors.\n"
		       "# TYPE process_open_fds gauge\nprocess_open_fds %llu\n"
		       "# HELP process_max_fds How many there may be.\n"
		       "# TYPE process_max_fds gauge\nprocess_max_fds %llu\n",
		       (unsigned long long)os_files_open(), (unsigned long long)os_files_limit()) &&
	       buf_fmt(out,
		       "# HELP process_resident_memory_bytes Memory in use.\n"
		       "# TYPE process_resident_memory_bytes gauge\n"
		       "process_resident_memory_bytes %llu\n"
		       "# HELP process_virtual_memory_bytes Address space.\n"
		       "# TYPE process_virtual_memory_bytes gauge\n"
		       "process_virtual_memory_bytes %llu\n"
		       "# HELP process_cpu_seconds_total User and system time.\n"
		       "# TYPE process_cpu_seconds_total counter\n"
		       "process_cpu_seconds_total %.2f\n",
		       (unsigned long long)p.resident_octets, (unsigned long long)p.virtual_octets,
		       (double)p.cpu_ms / 1000);
}

static bool put_store(struct buf *out, const struct store_space *s)
{
	return put_gauge(out, "store_free_bytes", STR("Of the file system, for the queue."),
			 s->free_octets) &&
	       put_gauge(out, "store_database_bytes", STR("Files of the queue's database."),
			 s->database_octets) &&
	       put_gauge(out, "store_reusable_bytes", STR("Of them: taken before the files grow."),
			 s->reusable_octets) &&
	       put_gauge(out, "store_notes", STR("Changes that wait for the store's writer."),
			 s->notes) &&
	       put_gauge(out, "content_memory_bytes", STR("Memory of content that came in."),
			 s->content_memory_octets);
}

static bool put_log(struct buf *out, const struct console_daemon *d)
{
	return put_head(out, "log_lines_lost", "_total", "counter",
			STR("Lines of the log that nobody took.")) &&
	       buf_fmt(out, METRICS_NAME "log_lines_lost_total %llu\n",
		       (unsigned long long)(d->log ? os_log_lost(d->log) : 0));
}

static bool put_daemon(struct buf *out, const struct console_daemon *d)
{
	return put_head(out, "build_info", "", "gauge",
			STR("The version of the program and the configuration in force.")) &&
	       buf_fmt(out,
		       METRICS_NAME "build_info{version=\"" HOPSEAL_VERSION
				    "\",configuration=\"" STR_FMT "\"} 1\n",
		       STR_ARG(d->configuration(d->arg))) &&
	       put_gauge(out, "start_time_seconds", STR("When the daemon started, since 1970."),
			 (uint64_t)d->started_at) &&
	       put_gauge(out, "workers", STR("Threads that carry mail."), d->workers(d->arg));
}

bool metrics_page(struct buf *out, const struct console *c, const struct console_figures *f)
{
	const struct console_daemon *d = &c->options.daemon;

	return put_daemon(out, d) && put_queue(out, f) && put_active(out, &f->view->totals) &&
	       put_sessions(out, &f->view->sessions) && put_process(out) &&
	       put_store(out, &f->space) && put_log(out, d) && put_counted(out, d);
}
