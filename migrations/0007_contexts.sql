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
CREATE TABLE "execution_variables" (
	"execution_id" uuid NOT NULL,
	"name" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "execution_variables_pkey" PRIMARY KEY("execution_id","name")
);
--> statement-breakpoint
CREATE TABLE "gateway_releases" (
	"gateway_id" uuid PRIMARY KEY NOT NULL,
	"epoch" integer NOT NULL,
	"version" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "language" text DEFAULT 'PYTHON' NOT NULL;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "context_id" uuid;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "exit_code" integer;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "signal" text;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "keeps_alive" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "input_bytes" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "options" jsonb;--> statement-breakpoint
ALTER TABLE "schema_versions" ADD COLUMN "raised_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE UNIQUE INDEX "contexts_slot_key" ON "contexts" USING btree ("session_id","slot") WHERE "contexts"."ended_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "contexts_name_key" ON "contexts" USING btree ("session_id","name") WHERE "contexts"."ended_at" is null and "contexts"."name" is not null;--> statement-breakpoint
CREATE INDEX "contexts_session_idx" ON "contexts" USING btree ("session_id","created_at");--> statement-breakpoint
CREATE INDEX "contexts_open_idx" ON "contexts" USING btree ("worker_id") WHERE "contexts"."ended_at" is null;