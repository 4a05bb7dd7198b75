CREATE TABLE "events" (
	"position" bigint PRIMARY KEY NOT NULL,
	"event_id" uuid NOT NULL,
	"stream_id" text NOT NULL,
	"version" integer NOT NULL,
	"type" text NOT NULL,
	"schema_version" integer NOT NULL,
	"data" jsonb NOT NULL,
	"metadata" jsonb NOT NULL,
	"recorded_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "events_event_id_key" UNIQUE("event_id"),
	CONSTRAINT "events_stream_version_key" UNIQUE("stream_id","version")
);
--> statement-breakpoint
CREATE TABLE "executions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"session_id" uuid NOT NULL,
	"worker_id" uuid NOT NULL,
	"status" text NOT NULL,
	"code_sha256" text NOT NULL,
	"code_bytes" integer NOT NULL,
	"timeout_ms" integer NOT NULL,
	"max_output_bytes" bigint NOT NULL,
	"idempotency_key" text,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"execution_count" integer,
	"error_name" text,
	"error_value" text,
	"state_lost" boolean NOT NULL,
	"truncated" boolean NOT NULL,
	"queued_ms" double precision,
	"run_ms" double precision,
	"cpu_ms" double precision,
	"peak_memory_bytes" bigint,
	"output_bytes" bigint NOT NULL,
	"requested_position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"key" text NOT NULL,
	"code_sha256" text NOT NULL,
	"execution_id" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY("tenant","user_uuid","key")
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"name" text PRIMARY KEY NOT NULL,
	"holder" uuid NOT NULL,
	"epoch" integer NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "output_events" (
	"execution_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"kind" text NOT NULL,
	"body" json NOT NULL,
	"bytes" integer NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "output_events_pkey" PRIMARY KEY("execution_id","seq")
);
--> statement-breakpoint
CREATE TABLE "pools" (
	"is_only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"pool_id" uuid NOT NULL,
	"engine_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pruned_streams" (
	"stream_id" text PRIMARY KEY NOT NULL,
	"pruned_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "schema_versions" (
	"version" integer PRIMARY KEY NOT NULL,
	"compatible_from" integer NOT NULL,
	"applied_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"worker_id" uuid NOT NULL,
	"follows_loss" boolean NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"kernel_restarts" integer NOT NULL,
	"kernel_restarted_at" timestamp (3) with time zone,
	"closed_at" timestamp (3) with time zone,
	"close_reason" text,
	CONSTRAINT "sessions_worker_key" UNIQUE("worker_id")
);
--> statement-breakpoint
CREATE TABLE "sql_files" (
	"name" text PRIMARY KEY NOT NULL,
	"sha256" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "waiting_requests" (
	"gateway_id" uuid PRIMARY KEY NOT NULL,
	"count" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "worker_cursors" (
	"worker_id" uuid PRIMARY KEY NOT NULL,
	"epoch" integer NOT NULL,
	"boot_id" text NOT NULL,
	"seq" bigint NOT NULL,
	"progress" json
);
--> statement-breakpoint
CREATE TABLE "workers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"pool_id" uuid NOT NULL,
	"state" text NOT NULL,
	"name" text NOT NULL,
	"image_id" text NOT NULL,
	"runtime" text NOT NULL,
	"limits" jsonb NOT NULL,
	"container_id" text,
	"socket_path" text,
	"session_id" uuid,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ready_at" timestamp (3) with time zone,
	"ready_ms" double precision,
	"assigned_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"end_reason" text,
	"exit_code" integer,
	"removed_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE INDEX "executions_unfinished_idx" ON "executions" USING btree ("worker_id","requested_position") WHERE "executions"."finished_at" is null;--> statement-breakpoint
CREATE INDEX "executions_session_idx" ON "executions" USING btree ("session_id","finished_at");--> statement-breakpoint
CREATE INDEX "executions_user_idx" ON "executions" USING btree ("tenant","user_uuid","requested_position");--> statement-breakpoint
CREATE INDEX "executions_tenant_idx" ON "executions" USING btree ("tenant","requested_position");--> statement-breakpoint
CREATE INDEX "idempotency_keys_created_idx" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "sessions_open_user_key" ON "sessions" USING btree ("tenant","user_uuid") WHERE "sessions"."closed_at" is null;--> statement-breakpoint
CREATE INDEX "sessions_user_idx" ON "sessions" USING btree ("tenant","user_uuid","opened_at");--> statement-breakpoint
CREATE INDEX "sessions_open_idx" ON "sessions" USING btree ("opened_at") WHERE "sessions"."closed_at" is null;--> statement-breakpoint
CREATE INDEX "workers_present_idx" ON "workers" USING btree ("pool_id","state") WHERE "workers"."state" <> 'REMOVED';--> statement-breakpoint
-- How many days and users there are: audit.usage_daily is then summed up by several processes at once. Counted by ANALYZE alone, so
-- no append pays for it.
CREATE STATISTICS executions_day_stats (ndistinct) ON ((requested_at AT TIME ZONE 'UTC')::date), tenant, user_uuid FROM executions;
--> statement-breakpoint
-- Bodies beyond 2 kB would be packed with pglz, at some 40 MB/s: two thirds of what PostgreSQL did for text, and half for pictures, which
-- do not shrink at all. lz4 is many times faster. A server that was built without it (the embedded one is) stores them as they are.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
    ALTER TABLE output_events ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE events ALTER COLUMN data SET COMPRESSION lz4;
  ELSE
    ALTER TABLE output_events ALTER COLUMN body SET STORAGE EXTERNAL;
  END IF;
END
$$;
