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
CREATE INDEX "file_changes_session_idx" ON "file_changes" USING btree ("session_id","requested_position");--> statement-breakpoint
CREATE INDEX "file_changes_user_idx" ON "file_changes" USING btree ("tenant","user_uuid","requested_position");