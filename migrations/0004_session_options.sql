CREATE TABLE "accepted_ends" (
	"session_id" uuid PRIMARY KEY NOT NULL,
	"accepted_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "has_options" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "metadata" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "environment_variable_names" text[] DEFAULT '{}'::text[] NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "idle_timeout_ms" bigint;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "max_life_ms" bigint;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "expires_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "sessions_metadata_idx" ON "sessions" USING gin ("metadata" jsonb_path_ops) WHERE "sessions"."metadata" <> '{}'::jsonb;