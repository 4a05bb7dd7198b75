CREATE TABLE "accepted_ends" (
	"session_id" uuid PRIMARY KEY NOT NULL,
	"accepted_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chain_days" (
	"day" date PRIMARY KEY NOT NULL,
	"position" bigint NOT NULL,
	"head" "bytea" NOT NULL,
	"closed_at" timestamp (3) with time zone NOT NULL,
	"gateway_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chain_head" (
	"is_only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"chain_id" uuid NOT NULL,
	"position" bigint NOT NULL,
	"head" "bytea" NOT NULL,
	"open_day" date
);
--> statement-breakpoint
CREATE TABLE "context_readers" (
	"context_id" uuid NOT NULL,
	"reader" text NOT NULL,
	"session_id" uuid NOT NULL,
	"position" bigint NOT NULL,
	"seq" integer NOT NULL,
	"reached_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "context_readers_pkey" PRIMARY KEY("context_id","reader")
);
--> statement-breakpoint
CREATE TABLE "contexts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"session_id" uuid NOT NULL,
	"worker_id" uuid NOT NULL,
	"name" text,
	"working_directory" text,
	"slot" integer NOT NULL,
	"status" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"ready_ms" double precision,
	"kernel_restarts" integer NOT NULL,
	"kernel_restarted_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"end_reason" text
);
--> statement-breakpoint
CREATE TABLE "egress_counts" (
	"session_id" uuid NOT NULL,
	"minute" timestamp (3) with time zone NOT NULL,
	"host" text NOT NULL,
	"port" integer NOT NULL,
	"outcome" text NOT NULL,
	"connections" bigint NOT NULL,
	"sent_bytes" bigint NOT NULL,
	"received_bytes" bigint NOT NULL,
	CONSTRAINT "egress_counts_pkey" PRIMARY KEY("session_id","minute","host","port","outcome")
);
--> statement-breakpoint
CREATE TABLE "environment_uses" (
	"name" text PRIMARY KEY NOT NULL,
	"asked_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "environments" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"name" text NOT NULL,
	"number" integer NOT NULL,
	"state" text NOT NULL,
	"reason" text NOT NULL,
	"spec" jsonb NOT NULL,
	"base_image_id" text NOT NULL,
	"hash" text NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone,
	"image_id" text,
	"bytes" bigint,
	"packages" jsonb NOT NULL,
	"failure" text,
	"last_lines" text,
	"removed_at" timestamp (3) with time zone,
	"remove_reason" text,
	CONSTRAINT "environments_number_key" UNIQUE("name","number")
);
--> statement-breakpoint
CREATE TABLE "event_links" (
	"position" bigint PRIMARY KEY NOT NULL,
	"leaf" "bytea" NOT NULL,
	"salt" "bytea",
	"tenant" text,
	"number" bigint
);
--> statement-breakpoint
CREATE TABLE "event_removals" (
	"position" bigint NOT NULL,
	"removal_id" uuid NOT NULL,
	"leaf" "bytea",
	CONSTRAINT "event_removals_pkey" PRIMARY KEY("position","removal_id")
);
--> statement-breakpoint
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
CREATE TABLE "execution_inputs" (
	"execution_id" uuid NOT NULL,
	"input_offset" bigint NOT NULL,
	"base64" text NOT NULL,
	CONSTRAINT "execution_inputs_pkey" PRIMARY KEY("execution_id","input_offset")
);
--> statement-breakpoint
CREATE TABLE "execution_variables" (
	"execution_id" uuid NOT NULL,
	"name" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "execution_variables_pkey" PRIMARY KEY("execution_id","name")
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
	"files" jsonb,
	"requested_position" bigint NOT NULL,
	"language" text DEFAULT 'PYTHON' NOT NULL,
	"context_id" uuid,
	"exit_code" integer,
	"signal" text,
	"keeps_alive" boolean DEFAULT true NOT NULL,
	"input_bytes" bigint DEFAULT 0 NOT NULL,
	"input_closed" boolean DEFAULT false NOT NULL,
	"options" jsonb,
	"stopped_by" uuid,
	"stored_output_bytes" bigint,
	"pid" integer
);
--> statement-breakpoint
CREATE TABLE "file_changes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"session_id" uuid NOT NULL,
	"worker_id" uuid NOT NULL,
	"operation" text NOT NULL,
	"path" text NOT NULL,
	"to_path" text,
	"status" text NOT NULL,
	"size" bigint,
	"sha256" text,
	"is_new" boolean,
	"files" integer,
	"error_code" text,
	"may_have_happened" boolean,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone,
	"requested_position" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "gateway_releases" (
	"gateway_id" uuid PRIMARY KEY NOT NULL,
	"epoch" integer NOT NULL,
	"version" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
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
CREATE TABLE "notebooks" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"context_id" uuid NOT NULL,
	"path" text NOT NULL,
	"name" text NOT NULL,
	"type" text NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone
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
CREATE TABLE "pseudonyms" (
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"pseudonym" text NOT NULL,
	CONSTRAINT "pseudonyms_pkey" PRIMARY KEY("tenant","user_uuid")
);
--> statement-breakpoint
CREATE TABLE "quotas" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text,
	"kind" text NOT NULL,
	"maximum" bigint,
	"is_set" boolean DEFAULT true NOT NULL,
	"set_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "refused_calls" (
	"minute" timestamp (3) with time zone NOT NULL,
	"token" text NOT NULL,
	"operation" text NOT NULL,
	"code" text NOT NULL,
	"count" bigint NOT NULL,
	CONSTRAINT "refused_calls_minute_token_operation_code_pk" PRIMARY KEY("minute","token","operation","code")
);
--> statement-breakpoint
CREATE TABLE "removals" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"reason" text NOT NULL,
	"before" timestamp (3) with time zone,
	"streams" integer NOT NULL,
	"events" integer NOT NULL,
	"outputs" integer NOT NULL,
	"is_archived" boolean NOT NULL,
	"digest" text NOT NULL,
	"removed_at" timestamp (3) with time zone NOT NULL,
	"pseudonym" text
);
--> statement-breakpoint
CREATE TABLE "schema_versions" (
	"version" integer PRIMARY KEY NOT NULL,
	"compatible_from" integer NOT NULL,
	"raised_at" timestamp (3) with time zone,
	"applied_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "secrets" (
	"name" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "session_uses" (
	"session_id" uuid PRIMARY KEY NOT NULL,
	"used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "session_variables" (
	"session_id" uuid NOT NULL,
	"name" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "session_variables_pkey" PRIMARY KEY("session_id","name")
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
	"has_options" boolean DEFAULT false NOT NULL,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"environment_variable_names" text[] DEFAULT '{}'::text[] NOT NULL,
	"idle_timeout_ms" bigint,
	"max_life_ms" bigint,
	"egress_allow" text[],
	"environment" text,
	"expires_at" timestamp (3) with time zone,
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
CREATE TABLE "token_uses" (
	"token_id" uuid PRIMARY KEY NOT NULL,
	"used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tokens" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text,
	"user_prefix" text,
	"door" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"secret_sha256" text NOT NULL,
	"former_sha256" text,
	"former_until" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"revoke_reason" text
);
--> statement-breakpoint
CREATE TABLE "waiting_requests" (
	"gateway_id" uuid PRIMARY KEY NOT NULL,
	"count" integer NOT NULL,
	"tenants" jsonb NOT NULL
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
	"environment_id" uuid,
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
CREATE UNIQUE INDEX "contexts_slot_key" ON "contexts" USING btree ("session_id","slot") WHERE "contexts"."ended_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "contexts_name_key" ON "contexts" USING btree ("session_id","name") WHERE "contexts"."ended_at" is null and "contexts"."name" is not null;--> statement-breakpoint
CREATE INDEX "contexts_session_idx" ON "contexts" USING btree ("session_id","created_at");--> statement-breakpoint
CREATE INDEX "contexts_open_idx" ON "contexts" USING btree ("worker_id") WHERE "contexts"."ended_at" is null;--> statement-breakpoint
CREATE INDEX "egress_counts_minute_idx" ON "egress_counts" USING btree ("minute");--> statement-breakpoint
CREATE INDEX "environments_present_idx" ON "environments" USING btree ("name") WHERE "environments"."removed_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "event_links_tenant_key" ON "event_links" USING btree ("tenant","number") WHERE "event_links"."tenant" is not null;--> statement-breakpoint
CREATE INDEX "executions_unfinished_idx" ON "executions" USING btree ("worker_id","requested_position") WHERE "executions"."finished_at" is null;--> statement-breakpoint
CREATE INDEX "executions_session_idx" ON "executions" USING btree ("session_id","finished_at");--> statement-breakpoint
CREATE INDEX "executions_user_idx" ON "executions" USING btree ("tenant","user_uuid","requested_position");--> statement-breakpoint
CREATE INDEX "executions_tenant_idx" ON "executions" USING btree ("tenant","requested_position");--> statement-breakpoint
CREATE INDEX "executions_finished_idx" ON "executions" USING brin ("finished_at");--> statement-breakpoint
CREATE INDEX "executions_open_idx" ON "executions" USING btree ("tenant","user_uuid") WHERE "executions"."finished_at" is null;--> statement-breakpoint
CREATE INDEX "file_changes_session_idx" ON "file_changes" USING btree ("session_id","requested_position");--> statement-breakpoint
CREATE INDEX "file_changes_user_idx" ON "file_changes" USING btree ("tenant","user_uuid","requested_position");--> statement-breakpoint
CREATE INDEX "idempotency_keys_created_idx" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "notebooks_open_idx" ON "notebooks" USING btree ("tenant","user_uuid") WHERE "notebooks"."closed_at" is null;--> statement-breakpoint
CREATE INDEX "output_events_input_idx" ON "output_events" USING btree ("execution_id","seq") WHERE "output_events"."kind" = 'input';--> statement-breakpoint
CREATE UNIQUE INDEX "sessions_open_user_key" ON "sessions" USING btree ("tenant","user_uuid") WHERE "sessions"."closed_at" is null;--> statement-breakpoint
CREATE INDEX "sessions_user_idx" ON "sessions" USING btree ("tenant","user_uuid","opened_at");--> statement-breakpoint
CREATE INDEX "sessions_open_idx" ON "sessions" USING btree ("opened_at") WHERE "sessions"."closed_at" is null;--> statement-breakpoint
CREATE INDEX "sessions_metadata_idx" ON "sessions" USING gin ("metadata" jsonb_path_ops) WHERE "sessions"."metadata" <> '{}'::jsonb;--> statement-breakpoint
CREATE UNIQUE INDEX "tokens_secret_key" ON "tokens" USING btree ("secret_sha256");--> statement-breakpoint
CREATE INDEX "tokens_former_idx" ON "tokens" USING btree ("former_sha256");--> statement-breakpoint
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
